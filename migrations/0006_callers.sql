-- Who asked for what. Each change that a caller asks for leaves a row in `answer`, in the transaction that makes it or refuses it, so with who asked
-- that table is the audit log as well.
alter table activity.answer
    add column subject  text,         -- `sub` of the caller's token; null = from before callers were known
    add column roles    text,         -- in what capacities, as in 'staff, operator'
    add column resource text;         -- what the call was about: its `name` or `parent`
create index answer_time on activity.answer (community_id, recorded_at, request_id) where subject is not null;

alter table redemption.answer
    add column subject  text,
    add column roles    text,
    add column resource text;
create index answer_time on redemption.answer (community_id, recorded_at, request_id) where subject is not null;

-- A service that was recorded long after it ended needs two people.
alter table activity.programme
    add column second_person_days integer not null default 7, -- recorded later than so many days after its end
    add constraint programme_second_person_days_range check (second_person_days between 0 and 3650);
alter table activity.service_record
    add column recorded_by text;      -- `sub` of who recorded it; null = from before callers were known

-- Money-like changes that one member of the staff proposes and another decides on.
create table activity.adjustment (
    community_id  uuid        not null,
    adjustment_id uuid        not null,
    programme_id  uuid        not null,
    member_id     uuid,                -- whose points change; null = the programme's budget changes
    amount        bigint,              -- of points: given > 0, taken < 0
    expires_at    timestamptz,         -- of given points; null = never
    budget        bigint,              -- the new budget; null with no member = no limit
    reason        text        not null,
    state         text        not null,
    proposed_by   text        not null,
    proposed_at   timestamptz not null,
    decided_by    text,                -- who approved or declined it, another than who proposed it
    decided_at    timestamptz,
    due_at        timestamptz,         -- of an approved one: when the ledger is to be asked next
    attempts      integer     not null default 0,
    entry         bigint,              -- the ledger's entry of points, once applied
    refusal       text,                -- the ledger's reason, when it was refused
    constraint adjustment_pk primary key (community_id, adjustment_id),
    constraint adjustment_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint adjustment_member_fk foreign key (community_id, member_id) references activity.member,
    constraint adjustment_one_of_two check ((member_id is null) = (amount is null) and (member_id is null or budget is null)),
    constraint adjustment_amount_not_zero check (amount <> 0),
    constraint adjustment_expires_given check (expires_at is null or amount > 0),
    constraint adjustment_budget_positive check (budget > 0),
    constraint adjustment_state_known check (state in ('proposed', 'approved', 'applied', 'declined', 'refused')),
    constraint adjustment_decided check (
        (decided_by is not null) = (state <> 'proposed') and (decided_at is not null) = (state <> 'proposed')
    ),
    constraint adjustment_two_people check (decided_by <> proposed_by or state = 'declined'),
    constraint adjustment_due check ((due_at is not null) = (state = 'approved')),
    constraint adjustment_entry_applied check (entry is null or state = 'applied'),
    constraint adjustment_refusal check ((refusal is not null) = (state = 'refused'))
) with (fillfactor = 80);
create index adjustment_due on activity.adjustment (community_id, due_at) where state = 'approved';

grant select, insert on activity.adjustment to linli_activity;
grant update (state, decided_by, decided_at, due_at, attempts, entry, refusal) on activity.adjustment to linli_activity;
grant update (budget) on activity.programme to linli_activity;
