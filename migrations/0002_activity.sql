-- Who takes part, what they did, and what it earned. Hours (hour_entry) and points (reward_grant) are two books.

-- For the rule that a member serves in one place at a time: equality and overlap in one index.
create extension if not exists btree_gist;

create schema activity;

-- The group role the activity service works under. Roles belong to the whole cluster, so it may be there already.
do $$
begin
    create role linli_activity nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    if not pg_has_role(current_user, 'linli_activity', 'usage') then
        execute format('grant linli_activity to %I', current_user);
    end if;
exception
    when unique_violation then null;
end
$$;
grant usage on schema activity to linli_activity;

-- One row for each scheme of a community. Whoever decides a grant locks it: it holds what is left of the budget.
create table activity.programme (
    community_id uuid        not null,
    programme_id uuid        not null,
    display_name text        not null,
    asset        text        not null,           -- code of the asset in the ledger
    exponent     smallint    not null,           -- decimal places of the asset
    time_zone    text        not null,           -- IANA name; days, months and expiry are local to it
    budget       bigint,                         -- the most it may ever grant; null = no limit
    granted      bigint      not null default 0, -- sum of reward_grant.counted: made, less what was taken back
    awaiting     bigint      not null default 0, -- sum of the grants that wait for budget
    created_at   timestamptz not null,
    constraint programme_pk primary key (community_id, programme_id),
    constraint programme_exponent_range check (exponent between 0 and 9),
    constraint programme_budget_positive check (budget > 0),
    constraint programme_granted_range check (granted >= 0 and (budget is null or granted <= budget)),
    constraint programme_awaiting_range check (awaiting >= 0)
);

-- What a programme's earning policy said, revision by revision. The policy itself never changes.
create table activity.policy_revision (
    community_id uuid        not null,
    revision_id  uuid        not null,
    programme_id uuid        not null,
    number       integer     not null, -- 1, 2, 3 … within the programme
    state        text        not null,
    policy       jsonb       not null,
    created_at   timestamptz not null,
    effective_at timestamptz,          -- in force from here …
    retired_at   timestamptz,          -- … to here
    constraint policy_revision_pk primary key (community_id, revision_id),
    constraint policy_revision_number_unique unique (community_id, programme_id, number),
    constraint policy_revision_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint policy_revision_number_positive check (number > 0),
    constraint policy_revision_state_known check (state in ('draft', 'active', 'retired', 'discarded')),
    constraint policy_revision_times check (
        (effective_at is not null) = (state in ('active', 'retired'))
        and (retired_at is not null) = (state = 'retired')
        and retired_at >= effective_at
    )
);
create unique index policy_revision_one_active on activity.policy_revision (community_id, programme_id)
    where state = 'active';

-- Teams of members.
create table activity.team (
    community_id uuid        not null,
    team_id      uuid        not null,
    number       text        not null, -- the community's own
    display_name text        not null,
    colour       text        not null, -- '' = none
    created_at   timestamptz not null,
    constraint team_pk primary key (community_id, team_id),
    constraint team_number_unique unique (community_id, number)
);

-- The last member number that the service gave out by itself.
create table activity.member_number (
    community_id uuid   not null,
    last         bigint not null, -- n of V00000n
    constraint member_number_pk primary key (community_id),
    constraint member_number_positive check (last > 0)
);

-- Those who take part, under neutral numbers: nothing here says who they are.
create table activity.member (
    community_id    uuid        not null,
    member_id       uuid        not null,
    number          text        not null,           -- the unified member number
    kind            text        not null,
    team_id         uuid,
    birth_year      smallint,                       -- null = unknown
    service_minutes bigint      not null default 0, -- sum of hour_entry.minutes
    created_at      timestamptz not null,
    constraint member_pk primary key (community_id, member_id),
    constraint member_number_unique unique (community_id, number),
    constraint member_team_fk foreign key (community_id, team_id) references activity.team,
    constraint member_kind_known check (kind in ('resident', 'courier', 'rider', 'driver', 'staff')),
    constraint member_birth_year_range check (birth_year >= 1900),
    constraint member_service_minutes_range check (service_minutes >= 0)
) with (fillfactor = 80);

-- Who the members are, apart from everything they do. It leaves the service only masked.
create table activity.member_person (
    community_id uuid not null,
    member_id    uuid not null,
    display_name text not null,
    phone        text not null, -- '' = none
    constraint member_person_pk primary key (community_id, member_id),
    constraint member_person_member_fk foreign key (community_id, member_id) references activity.member
);

-- That a member served from one instant to another, and whether it counts.
create table activity.service_record (
    community_id uuid        not null,
    record_id    uuid        not null,
    programme_id uuid        not null,
    member_id    uuid        not null,
    role         text        not null,
    category     text        not null,
    activity     text        not null,
    started_at   timestamptz not null, -- included
    ended_at     timestamptz not null, -- not included
    minutes      bigint      not null, -- whole minutes between the two
    state        text        not null,
    decided_by   text,                 -- who verified, rejected or last revoked it
    decided_at   timestamptz,
    reason       text,                 -- why it was rejected or revoked
    created_at   timestamptz not null,
    constraint service_record_pk primary key (community_id, record_id),
    constraint service_record_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint service_record_member_fk foreign key (community_id, member_id) references activity.member,
    constraint service_record_role_known check (role in ('member', 'leader')),
    constraint service_record_state_known check (state in ('pending', 'verified', 'rejected', 'revoked')),
    constraint service_record_interval check (started_at < ended_at),
    constraint service_record_minutes_range check (minutes >= 0),
    constraint service_record_decided check (
        (decided_by is not null) = (state <> 'pending')
        and (decided_at is not null) = (state <> 'pending')
        and (reason is not null) = (state in ('rejected', 'revoked'))
    ),
    constraint service_record_one_place_at_a_time exclude using gist (
        community_id with =,
        member_id with =,
        tstzrange(started_at, ended_at, '[)') with &&
    ) where (state = 'verified')
) with (fillfactor = 80);
create index service_record_member on activity.service_record (community_id, member_id, record_id);
create index service_record_programme on activity.service_record (community_id, programme_id, state);

-- The hours book. Rows are only added: a revoked record is an opposite row. Records under a minute have none.
create table activity.hour_entry (
    community_id    uuid        not null,
    member_id       uuid        not null,
    number          bigint      not null, -- 1, 2, 3 … within the member's book
    record_id       uuid        not null,
    minutes         bigint      not null, -- verified > 0, revoked < 0
    balance_minutes bigint      not null, -- the member's minutes after this row
    created_at      timestamptz not null,
    constraint hour_entry_pk primary key (community_id, member_id, number),
    constraint hour_entry_member_fk foreign key (community_id, member_id) references activity.member,
    constraint hour_entry_record_fk foreign key (community_id, record_id) references activity.service_record,
    constraint hour_entry_minutes_not_zero check (minutes <> 0),
    constraint hour_entry_balance_range check (balance_minutes >= 0)
);
-- A record is entered once and taken back once.
create unique index hour_entry_record_once on activity.hour_entry (community_id, record_id, (minutes > 0));

-- What a deed earned, decided once. The decision and its arithmetic never change; where it stands does.
create table activity.reward_grant (
    community_id   uuid        not null,
    grant_id       uuid        not null,
    programme_id   uuid        not null,
    member_id      uuid        not null,
    record_id      uuid        not null,
    revision_id    uuid,                           -- null = no policy was in force
    source         text        not null,
    local_date     date        not null,           -- of the deed, in the programme's time zone: what caps go by
    amount         bigint      not null,           -- after caps, in units of the asset
    expires_at     timestamptz,                    -- null = never
    arithmetic     jsonb       not null,           -- every step, as it was worked out
    created_at     timestamptz not null,
    state          text        not null,
    counted        bigint      not null,           -- what of it uses up caps and budget now
    entry_sequence bigint,                         -- the ledger's entry, once posted
    revoked_amount bigint      not null default 0, -- what was taken back
    constraint reward_grant_pk primary key (community_id, grant_id),
    constraint reward_grant_record_unique unique (community_id, record_id),
    constraint reward_grant_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint reward_grant_member_fk foreign key (community_id, member_id) references activity.member,
    constraint reward_grant_record_fk foreign key (community_id, record_id) references activity.service_record,
    constraint reward_grant_revision_fk foreign key (community_id, revision_id) references activity.policy_revision,
    constraint reward_grant_source_known check (source in ('service', 'report')),
    constraint reward_grant_amount_range check (amount >= 0),
    constraint reward_grant_state_known check (
        state in ('empty', 'awaiting_budget', 'pending', 'posted', 'revoking', 'revoked')
    ),
    constraint reward_grant_empty check (state <> 'empty' or amount = 0),
    constraint reward_grant_counted check (
        counted = case
            when state in ('pending', 'posted', 'revoking') then amount
            when state in ('empty', 'awaiting_budget') then 0
            else counted
        end
        and counted between 0 and amount
    ),
    constraint reward_grant_entry_known check (entry_sequence is not null or state <> 'posted'),
    constraint reward_grant_revoked_range check (
        revoked_amount between 0 and amount - counted and (revoked_amount = 0 or state = 'revoked')
    )
) with (fillfactor = 80);
create index reward_grant_programme on activity.reward_grant (community_id, programme_id, grant_id);
create index reward_grant_member on activity.reward_grant (community_id, member_id, programme_id, local_date);

-- What the ledger has yet to be told, in order. A row points at a grant, whose decision does not change, so the row
-- itself carries no amount and no personal data.
create table activity.outbox (
    community_id uuid        not null,
    sequence     bigint      not null generated always as identity,
    kind         text        not null,           -- post the grant, or revoke it; in this order for one grant
    grant_id     uuid        not null,
    traceparent  text,                           -- W3C trace context of the call that wrote it
    created_at   timestamptz not null,
    due_at       timestamptz not null,           -- a claim moves it to the end of its lease
    attempts     integer     not null default 0, -- claims so far; 0 = the ledger has never heard of it
    delivered_at timestamptz,                    -- when it was settled, one way or another
    last_error   text,                           -- why it was not delivered as it stood
    constraint outbox_pk primary key (community_id, sequence),
    constraint outbox_grant_kind_unique unique (community_id, grant_id, kind),
    constraint outbox_grant_fk foreign key (community_id, grant_id) references activity.reward_grant,
    constraint outbox_kind_known check (kind in ('post', 'revoke'))
) with (fillfactor = 80);
create index outbox_due on activity.outbox (community_id, due_at) where delivered_at is null;

-- The first answer to each mutating call, so that the same call again gets it again. It is written with the call's
-- effect or, for a refusal, alone. No names and no phone numbers: the request is kept as a hash, and answers are masked.
create table activity.answer (
    community_id uuid        not null,
    request_id   uuid        not null,
    method       text        not null,
    fingerprint  bytea       not null, -- SHA-256 of the request's content
    answer       jsonb,                -- what was returned …
    refusal      jsonb,                -- … or refused; both null only inside the first call's transaction
    recorded_at  timestamptz not null,
    constraint answer_pk primary key (community_id, request_id),
    constraint answer_one_of_two check (answer is null or refusal is null)
);

-- Nothing is ever deleted; updates are limited to the columns that move.
grant select, insert on all tables in schema activity to linli_activity;
grant update (granted, awaiting) on activity.programme to linli_activity;
grant update (state, effective_at, retired_at) on activity.policy_revision to linli_activity;
grant update (last) on activity.member_number to linli_activity;
grant update (service_minutes) on activity.member to linli_activity;
grant update (state, decided_by, decided_at, reason) on activity.service_record to linli_activity;
grant update (state, counted, entry_sequence, revoked_amount) on activity.reward_grant to linli_activity;
grant update (due_at, attempts, delivered_at, last_error) on activity.outbox to linli_activity;
grant update (answer) on activity.answer to linli_activity;
