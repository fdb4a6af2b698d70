-- What people wish for, and who helps them to it: wishes, the rounds in which they are published, pledges and their steps towards the ledger.
create schema wish;

-- The group role the wish service works under. Roles belong to the whole cluster, so it may be there already.
do $$
begin
    create role linli_wish nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    if not pg_has_role(current_user, 'linli_wish', 'usage') then
        execute format('grant linli_wish to %I', current_user);
    end if;
exception
    when unique_violation then null;
end
$$;
grant usage on schema wish to linli_wish;

-- Wishes that are published together.
create table wish.round (
    community_id uuid        not null,
    round_id     uuid        not null,
    title        text        not null,
    state        text        not null,
    created_at   timestamptz not null,
    published_at timestamptz,
    constraint round_pk primary key (community_id, round_id),
    constraint round_title_length check (char_length(title) between 1 and 120),
    constraint round_state_known check (state in ('draft', 'published')),
    constraint round_published check ((published_at is not null) = (state = 'published'))
);

-- One row for each wish. Whoever changes it or one of its pledges locks it.
create table wish.wish (
    community_id   uuid        not null,
    wish_id        uuid        not null,
    programme_id   uuid        not null,
    asset          text,                 -- the programme's, when points are wished for
    beneficiary_id uuid        not null, -- whose wish it is; shown to staff alone
    proxy_id       uuid,                 -- the member who may confirm for them
    round_id       uuid,                 -- in which it is to be published
    category       text        not null,
    scope          text        not null,
    priority       text        not null,
    title          text        not null,
    description    text        not null, -- '' = none
    unit           text        not null,
    target         bigint      not null, -- how much is wanted, in that unit; points in units of the asset
    pledged        bigint      not null, -- sum of its pledges that neither ended nor were refused
    delivered      bigint      not null, -- of these, what is delivered or confirmed
    confirmed      bigint      not null, -- of these, what is confirmed
    state          text        not null, -- 'published' behind due_at too, until somebody writes; the clock decides
    closes_at      timestamptz not null, -- the last instant for pledges and deliveries
    confirms_until timestamptz not null, -- the last instant for confirmations
    due_at         timestamptz,          -- behind this instant it lapses, or what is delivered of it does, and a loop writes that down; later while that is stepped over; null = nothing can
    created_at     timestamptz not null,
    published_at   timestamptz,
    ended_at       timestamptz,          -- fulfilled, lapsed, rejected or withdrawn
    rating         smallint,             -- 1 to 5, once closed
    feedback       text        not null, -- '' = none
    constraint wish_pk primary key (community_id, wish_id),
    constraint wish_round_fk foreign key (community_id, round_id) references wish.round,
    constraint wish_scope_known check (scope in ('individual', 'common')),
    constraint wish_priority_known check (priority in ('high', 'normal', 'low')),
    constraint wish_unit_known check (unit in ('each', 'hours', 'points')),
    constraint wish_asset_of_points check ((asset is not null) = (unit = 'points')),
    constraint wish_title_length check (char_length(title) between 1 and 120),
    constraint wish_target_range check (target between 1 and 1000000000),
    constraint wish_pledged_range check (pledged between 0 and target),
    constraint wish_delivered_range check (delivered between 0 and pledged),
    constraint wish_confirmed_range check (confirmed between 0 and delivered),
    constraint wish_state_known check (
        state in ('submitted', 'reviewed', 'published', 'fulfilled', 'closed', 'rejected', 'withdrawn', 'lapsed')
    ),
    constraint wish_fulfilled_whole check ((state in ('fulfilled', 'closed')) = (confirmed = target)),
    constraint wish_published check (state not in ('published', 'fulfilled', 'closed', 'lapsed') or published_at is not null),
    constraint wish_rating_range check (rating between 1 and 5),
    constraint wish_due_while_open check (due_at is not null or state <> 'published'),
    constraint wish_times_ordered check (closes_at <= confirms_until)
) with (fillfactor = 80);
create index wish_by_round on wish.wish (community_id, round_id) where round_id is not null;
-- Finds the communities with wishes that have run out.
create index wish_due on wish.wish (due_at) where due_at is not null;

-- Somebody promises a part of a wish. A row that the ledger refused is removed: it never happened.
create table wish.pledge (
    community_id uuid        not null,
    pledge_id    uuid        not null,  -- the request_id that made it
    wish_id      uuid        not null,
    programme_id uuid        not null,  -- the wish's
    kind         text        not null,  -- of who pledges
    member_id    uuid,                  -- who, when it is a member
    organisation text,                  -- who, when it is not
    quantity     bigint      not null,
    in_points    boolean     not null,  -- held in the ledger until confirmed
    state        text        not null,
    evidence     text[]      not null,  -- references to what shows the delivery
    note         text        not null,  -- of the delivery, or why it was refused or revoked
    created_at   timestamptz not null,
    delivered_at timestamptz,
    ended_at     timestamptz,           -- confirmed, withdrawn, revoked or lapsed
    constraint pledge_pk primary key (community_id, pledge_id),
    constraint pledge_wish_fk foreign key (community_id, wish_id) references wish.wish,
    constraint pledge_kind_known check (kind in ('member', 'organisation', 'company')),
    constraint pledge_one_pledger check (
        (member_id is not null) = (kind = 'member') and (organisation is not null) = (kind <> 'member')
    ),
    constraint pledge_points_of_members check (not in_points or kind = 'member'),
    constraint pledge_quantity_positive check (quantity > 0),
    constraint pledge_state_known check (
        state in ('pending', 'active', 'delivered', 'confirmed', 'withdrawn', 'revoked', 'lapsed')
    ),
    constraint pledge_ended check ((ended_at is not null) = (state in ('confirmed', 'withdrawn', 'revoked', 'lapsed')))
) with (fillfactor = 80);
create index pledge_by_wish on wish.pledge (community_id, wish_id, pledge_id);
create index pledge_by_member on wish.pledge (community_id, member_id, pledge_id) where member_id is not null;

-- A step of a points pledge towards the ledger: decided here, carried out there, then settled here. Each pledge has at most one of a kind.
create table wish.operation (
    community_id uuid        not null,
    pledge_id    uuid        not null,
    kind         text        not null,
    request_id   uuid,                  -- the call that waits for it; null = nobody does
    state        text        not null,
    ledger_entry bigint,                -- the entry it made
    traceparent  text,                  -- of the call, so that a recovery shows in the same trace
    due_at       timestamptz not null,  -- pending: when a recovery loop may take it up
    attempts     integer     not null,  -- how often one did
    created_at   timestamptz not null,
    constraint operation_pk primary key (community_id, pledge_id, kind),
    constraint operation_pledge_fk foreign key (community_id, pledge_id) references wish.pledge,
    constraint operation_kind_known check (kind in ('hold', 'capture', 'release')),
    constraint operation_state_known check (state in ('pending', 'done', 'refused'))
);
create unique index operation_pending_one on wish.operation (community_id, pledge_id) where state = 'pending';
create index operation_pending_due on wish.operation (due_at) where state = 'pending';

-- What each mutating call was answered and who asked for it, so that it can be repeated: the audit log. With neither answer nor refusal its
-- operation is still pending.
create table wish.answer (
    community_id uuid        not null,
    request_id   uuid        not null,
    method       text        not null,
    fingerprint  bytea       not null, -- SHA-256 of the request's content
    answer       jsonb,                -- what was returned …
    refusal      jsonb,                -- … or refused
    recorded_at  timestamptz not null,
    subject      text        not null, -- `sub` of the caller's token
    roles        text        not null, -- in what capacities, as in 'staff, operator'
    resource     text        not null, -- what the call was about: its `name` or `parent`
    reason       text,                 -- why, where the RPC asks for it
    constraint answer_pk primary key (community_id, request_id),
    constraint answer_one_of_two check (answer is null or refusal is null)
);
create index answer_time on wish.answer (community_id, recorded_at, request_id);

-- Only what the ledger refused is ever deleted; updates are limited to the columns that move.
grant select, insert on all tables in schema wish to linli_wish;
grant update (state, published_at) on wish.round to linli_wish;
grant update (round_id, pledged, delivered, confirmed, state, due_at, published_at, ended_at, rating, feedback) on wish.wish to linli_wish;
grant update (state, evidence, note, delivered_at, ended_at) on wish.pledge to linli_wish;
grant update (state, ledger_entry, due_at, attempts) on wish.operation to linli_wish;
grant update (answer, refusal) on wish.answer to linli_wish;
grant delete on wish.pledge, wish.operation to linli_wish;
