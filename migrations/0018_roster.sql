-- The people a community helps: the roster, visits to them, dispatches of wishes, donation drives.

-- The last number that the service gave by itself.
create table wish.beneficiary_number (
    community_id uuid   not null,
    last_number  bigint not null,
    constraint beneficiary_number_pk primary key (community_id)
);

-- One row for each of them: nothing here says who it is.
create table wish.beneficiary (
    community_id   uuid        not null,
    beneficiary_id uuid        not null,
    number         text        not null,
    programme_id   uuid        not null,
    time_zone      text        not null, -- the programme's
    household      text,                 -- a number in the community's register; null = one of their own, or erased
    birth_year     smallint,
    grade          text        not null,
    state          text        not null,
    last_visit_at  timestamptz,          -- the latest at which somebody was met
    due_date       date,                 -- of the next visit, in time_zone
    revision       bigint      not null, -- 1, 2, 3 …: the etag
    created_at     timestamptz not null,
    ended_at       timestamptz,
    erased_at      timestamptz,
    constraint beneficiary_pk primary key (community_id, beneficiary_id),
    constraint beneficiary_number_unique unique (community_id, number),
    constraint beneficiary_number_length check (char_length(number) between 1 and 32),
    constraint beneficiary_grade_known check (grade in ('weekly', 'quarterly', 'half_yearly')),
    constraint beneficiary_state_known check (state in ('active', 'ended')),
    constraint beneficiary_ended check ((ended_at is not null) = (state = 'ended')),
    constraint beneficiary_due check ((due_date is not null) = (state = 'active')),
    constraint beneficiary_erased_unknown check (
        erased_at is null or (state = 'ended' and birth_year is null and household is null)
    )
) with (fillfactor = 80);
create index beneficiary_due on wish.beneficiary (community_id, programme_id, due_date, beneficiary_id) where due_date is not null;

-- What is sealed of them: the person, and what each visit found. A data key for each row.
create table wish.sealed (
    community_id   uuid  not null,
    sealed_id      uuid  not null, -- the beneficiary's or the visit's
    kind           text  not null,
    beneficiary_id uuid  not null, -- whom it is about
    key_id         text  not null, -- which key of the configuration
    wrapped_key    bytea not null, -- the data key
    content        bytea not null,
    constraint sealed_pk primary key (community_id, sealed_id),
    constraint sealed_beneficiary_fk foreign key (community_id, beneficiary_id) references wish.beneficiary,
    constraint sealed_kind_known check (kind in ('beneficiary', 'visit'))
);
-- All that is about one of them.
create index sealed_about on wish.sealed (community_id, beneficiary_id);
-- Which keys are in use, and what a key that is replaced still seals.
create index sealed_key on wish.sealed (key_id, community_id);

create table wish.visit (
    community_id   uuid        not null,
    visit_id       uuid        not null,
    beneficiary_id uuid        not null,
    visitor_id     uuid        not null, -- a member
    condition      text        not null,
    visited_at     timestamptz not null,
    created_at     timestamptz not null,
    constraint visit_pk primary key (community_id, visit_id),
    constraint visit_beneficiary_fk foreign key (community_id, beneficiary_id) references wish.beneficiary,
    constraint visit_condition_known check (condition in ('well', 'needs_attention', 'urgent', 'not_met')),
    constraint visit_not_ahead check (visited_at <= created_at)
);
create index visit_of on wish.visit (community_id, beneficiary_id, visit_id);

-- At which visit a wish was collected.
alter table wish.wish
    add column visit_id uuid, -- null = at none
    add constraint wish_visit_fk foreign key (community_id, visit_id) references wish.visit;

-- Who is asked to see to a wish.
create table wish.dispatch (
    community_id uuid        not null,
    dispatch_id  uuid        not null,
    wish_id      uuid        not null,
    member_id    uuid,                 -- who is asked …
    team_id      uuid,                 -- … is one of the two
    organisation text,                 -- what the team's pledge is shown as
    quantity     bigint      not null, -- of the wish, in its unit
    note         text        not null, -- '' = none
    state        text        not null, -- 'issued' also past expires_at until somebody looks; the clock decides
    reason       text        not null, -- why declined or withdrawn; '' otherwise
    pledge_id    uuid,                 -- what accepting made; it may end and go
    expires_at   timestamptz not null,
    created_at   timestamptz not null,
    ended_at     timestamptz,
    constraint dispatch_pk primary key (community_id, dispatch_id),
    constraint dispatch_wish_fk foreign key (community_id, wish_id) references wish.wish,
    constraint dispatch_one_assignee check (
        (member_id is null) <> (team_id is null) and (organisation is not null) = (team_id is not null)
    ),
    constraint dispatch_quantity_positive check (quantity > 0),
    constraint dispatch_state_known check (state in ('issued', 'accepted', 'declined', 'expired', 'withdrawn')),
    constraint dispatch_ended check ((ended_at is null) = (state = 'issued')),
    constraint dispatch_pledged check ((pledge_id is not null) = (state = 'accepted'))
) with (fillfactor = 80);
create unique index dispatch_open_one on wish.dispatch (community_id, wish_id) where state = 'issued';
create index dispatch_by_member on wish.dispatch (community_id, member_id, dispatch_id) where member_id is not null;
create index dispatch_by_team on wish.dispatch (community_id, team_id, dispatch_id) where team_id is not null;
create index dispatch_by_wish on wish.dispatch (community_id, wish_id, dispatch_id);

-- Packs that a company gives. Whoever allots, hands over or takes back locks the row.
create table wish.donation_drive (
    community_id      uuid        not null,
    drive_id          uuid        not null,
    donor             text        not null,
    title             text        not null,
    pack              text        not null, -- what is in each
    packs             bigint      not null,
    repeat_households boolean     not null,
    handed_over       bigint      not null, -- packs
    allotted          bigint      not null, -- packs, not yet handed over
    state             text        not null,
    created_at        timestamptz not null,
    ended_at          timestamptz,
    constraint donation_drive_pk primary key (community_id, drive_id),
    constraint donation_drive_packs_range check (packs between 1 and 1000000),
    constraint donation_drive_counts check (handed_over >= 0 and allotted >= 0 and handed_over + allotted <= packs),
    constraint donation_drive_state_known check (state in ('open', 'closed')),
    constraint donation_drive_closed check ((ended_at is not null) = (state = 'closed') and (state = 'open' or allotted = 0))
) with (fillfactor = 80);

-- Packs for somebody.
create table wish.allotment (
    community_id      uuid        not null,
    allotment_id      uuid        not null,
    drive_id          uuid        not null,
    beneficiary_id    uuid        not null,
    household         text,                 -- as of then; null = one of their own
    served_once       text,                 -- what must be there once a drive: the household, or the beneficiary; null = taken back, or repeats allowed
    packs             bigint      not null,
    state             text        not null,
    receiver          text,
    receipt_reference text,
    handed_over_by    uuid,                 -- a member
    reason            text        not null, -- why taken back; '' otherwise
    created_at        timestamptz not null,
    ended_at          timestamptz,
    constraint allotment_pk primary key (community_id, allotment_id),
    constraint allotment_drive_fk foreign key (community_id, drive_id) references wish.donation_drive,
    constraint allotment_beneficiary_fk foreign key (community_id, beneficiary_id) references wish.beneficiary,
    constraint allotment_packs_range check (packs between 1 and 1000),
    constraint allotment_state_known check (state in ('allotted', 'handed_over', 'taken_back')),
    constraint allotment_ended check ((ended_at is null) = (state = 'allotted')),
    constraint allotment_receiver_known check (receiver in ('beneficiary', 'household', 'proxy')),
    constraint allotment_receipt check (
        (receiver is not null) = (state = 'handed_over') and (receipt_reference is not null) = (state = 'handed_over')
        and (handed_over_by is not null) = (state = 'handed_over')
    ),
    constraint allotment_taken_back_free check (state <> 'taken_back' or served_once is null)
) with (fillfactor = 80);
create unique index allotment_household_once on wish.allotment (community_id, drive_id, served_once) where served_once is not null;
create index allotment_served on wish.allotment (community_id, drive_id, beneficiary_id) where served_once is not null;
create index allotment_of on wish.allotment (community_id, drive_id, allotment_id);

grant select, insert on
    wish.beneficiary_number, wish.beneficiary, wish.sealed, wish.visit, wish.dispatch, wish.donation_drive, wish.allotment
    to linli_wish;
grant update (last_number) on wish.beneficiary_number to linli_wish;
grant update (household, birth_year, grade, state, last_visit_at, due_date, revision, ended_at, erased_at) on wish.beneficiary to linli_wish;
grant update (key_id, wrapped_key, content) on wish.sealed to linli_wish;
grant update (state, reason, pledge_id, ended_at) on wish.dispatch to linli_wish;
grant update (handed_over, allotted, state, ended_at) on wish.donation_drive to linli_wish;
grant update (served_once, state, receiver, receipt_reference, handed_over_by, reason, ended_at) on wish.allotment to linli_wish;
grant delete on wish.sealed to linli_wish; -- an erasure
