-- Redemption: merchants, their offers, and what members take.
-- Row locks are taken in this order: answer, merchant, offer, redemption, operation.
create schema redemption;

-- Several databases of one cluster may be migrated at once, and roles belong to the cluster.
do $$
begin
    create role linli_redemption nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    if not pg_has_role(current_user, 'linli_redemption', 'usage') then
        execute format('grant linli_redemption to %I', current_user);
    end if;
exception
    when unique_violation then null;
end
$$;

-- A partner shop.
create table redemption.merchant (
    community_id uuid        not null,
    merchant_id  uuid        not null,
    number       text        not null,  -- the community's own
    display_name text        not null,
    category     text        not null,  -- '' when unknown
    state        text        not null,
    created_at   timestamptz not null,
    constraint merchant_pk primary key (community_id, merchant_id),
    constraint merchant_number_unique unique (community_id, number),
    constraint merchant_number_length check (char_length(number) between 1 and 32),
    constraint merchant_display_name_length check (char_length(display_name) between 1 and 120),
    constraint merchant_category_length check (char_length(category) <= 60),
    constraint merchant_state_known check (state in ('active', 'suspended', 'terminated'))
);

-- The local dates between which a merchant takes part. Rows are only added.
create table redemption.agreement (
    community_id uuid        not null,
    agreement_id uuid        not null,
    merchant_id  uuid        not null,
    start_date   date        not null,  -- included
    end_date     date        not null,  -- included
    created_at   timestamptz not null,
    constraint agreement_pk primary key (community_id, agreement_id),
    constraint agreement_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant,
    constraint agreement_dates_ordered check (start_date <= end_date)
);
create index agreement_by_merchant on redemption.agreement (community_id, merchant_id, start_date, agreement_id);

-- Something a merchant gives for points, with the price now in force and what is left of it.
create table redemption.offer (
    community_id     uuid        not null,
    offer_id         uuid        not null,
    merchant_id      uuid        not null,
    programme_id     uuid        not null,
    asset            text        not null,  -- the programme's
    time_zone        text        not null,  -- the programme's, an IANA name
    title            text        not null,
    revision         integer     not null,  -- number of the price in force, from 1
    points           bigint      not null,  -- that price, of one, in units of the asset
    stock            bigint      not null,  -- how many were ever put in stock, less what was taken out unsold
    stock_left       bigint      not null,  -- how many are neither reserved nor taken
    per_member_limit bigint,                -- null: none
    audience         text        not null,
    start_date       date        not null,  -- included
    end_date         date        not null,  -- included
    reversal_days    integer     not null,  -- times 24 h after the capture
    state            text        not null,
    created_at       timestamptz not null,
    constraint offer_pk primary key (community_id, offer_id),
    constraint offer_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant,
    constraint offer_title_length check (char_length(title) between 1 and 120),
    constraint offer_revision_from_one check (revision >= 1),
    constraint offer_points_range check (points between 1 and 1000000000),
    constraint offer_stock_left_range check (stock_left between 0 and stock),
    constraint offer_per_member_limit_range check (per_member_limit between 1 and 1000000000),
    constraint offer_audience_known check (audience in ('all', 'gig', 'senior')),
    constraint offer_dates_ordered check (start_date <= end_date),
    constraint offer_reversal_days_range check (reversal_days between 0 and 3650),
    constraint offer_state_known check (state in ('draft', 'in_review', 'active', 'paused', 'ended'))
);
create index offer_by_merchant on redemption.offer (community_id, merchant_id, offer_id);

-- Every price an offer ever had. Rows are only added.
create table redemption.offer_revision (
    community_id uuid        not null,
    offer_id     uuid        not null,
    revision     integer     not null,
    points       bigint      not null,  -- price of one, in units of the offer's asset
    request_id   uuid        not null,  -- the call that set it
    created_at   timestamptz not null,
    constraint offer_revision_pk primary key (community_id, offer_id, revision),
    constraint offer_revision_offer_fk foreign key (community_id, offer_id) references redemption.offer,
    constraint offer_revision_points_range check (points between 1 and 1000000000)
);

-- A member takes an offer, under the terms of that moment. A row that the ledger refused is removed: it never happened.
create table redemption.redemption (
    community_id      uuid        not null,
    redemption_id     uuid        not null,  -- the request_id that made it
    member_id         uuid        not null,
    offer_id          uuid        not null,
    merchant_id       uuid        not null,
    programme_id      uuid        not null,
    offer_revision    integer     not null,
    title             text        not null,  -- the offer's
    unit_points       bigint      not null,  -- price of one, in units of the asset
    asset             text        not null,
    reversal_days     integer     not null,
    quantity          bigint      not null,  -- how many are or were reserved
    captured_quantity bigint      not null,
    reversed_quantity bigint      not null,
    reversals         integer     not null,  -- how many times a part or all was reversed
    state             text        not null,
    expires_at        timestamptz,           -- of a hold: from here on it can't be captured
    created_at        timestamptz not null,
    captured_at       timestamptz,
    ledger_entry      bigint,                -- sequence of the capture in the ledger
    constraint redemption_pk primary key (community_id, redemption_id),
    constraint redemption_offer_fk foreign key (community_id, offer_id) references redemption.offer,
    constraint redemption_revision_fk foreign key (community_id, offer_id, offer_revision) references redemption.offer_revision,
    constraint redemption_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant,
    constraint redemption_unit_points_range check (unit_points between 1 and 1000000000),
    constraint redemption_quantity_range check (quantity between 1 and 1000),
    constraint redemption_captured_range check (captured_quantity between 0 and quantity),
    constraint redemption_reversed_range check (reversed_quantity between 0 and captured_quantity),
    constraint redemption_state_known check (state in ('pending', 'held', 'captured', 'reversed', 'released', 'expired')),
    constraint redemption_hold_ends check (state not in ('held', 'expired', 'released') or expires_at is not null),
    constraint redemption_capture_known check (
        (state in ('captured', 'reversed')) = (captured_at is not null and ledger_entry is not null and captured_quantity > 0)
    ),
    constraint redemption_reversed_whole check ((state = 'reversed') = (reversed_quantity > 0 and reversed_quantity = captured_quantity))
);
create index redemption_by_time on redemption.redemption (community_id, created_at, redemption_id);
create index redemption_by_merchant on redemption.redemption (community_id, merchant_id, created_at, redemption_id);
create index redemption_by_member on redemption.redemption (community_id, member_id, created_at, redemption_id);
-- A member's quota of an offer, and the holds of an offer that have run out.
create index redemption_by_offer_member on redemption.redemption (community_id, offer_id, member_id);
create index redemption_held_by_offer on redemption.redemption (community_id, offer_id, expires_at) where state = 'held';
-- Finds the communities with holds that have run out.
create index redemption_held_due on redemption.redemption (expires_at) where state = 'held';

-- One step of a redemption towards the ledger: decided here, carried out there, then settled here. It stays pending until the ledger has
-- answered, and a redemption has at most one that is.
create table redemption.operation (
    community_id  uuid        not null,
    operation_id  uuid        not null,  -- the request_id of the call; a UUIDv5 for a step nobody called for
    redemption_id uuid        not null,
    kind          text        not null,
    quantity      bigint      not null,  -- how many it holds, captures, gives back
    operator      text        not null,  -- who asked, '' when unknown
    reason        text        not null,  -- why, '' when none was given
    state         text        not null,
    ledger_entry  bigint,                -- done: the entry it made; for a release the hold's
    traceparent   text,                  -- of the call, so that a recovery shows in the same trace
    due_at        timestamptz not null,  -- pending: when a recovery loop may take it up
    attempts      integer     not null,  -- how often one did
    created_at    timestamptz not null,
    constraint operation_pk primary key (community_id, operation_id),
    constraint operation_redemption_fk foreign key (community_id, redemption_id) references redemption.redemption,
    constraint operation_kind_known check (kind in ('hold', 'redeem', 'capture', 'release', 'reverse', 'expire')),
    constraint operation_quantity_positive check (quantity > 0),
    constraint operation_state_known check (state in ('pending', 'done', 'refused'))
);
create unique index operation_pending_one on redemption.operation (community_id, redemption_id) where state = 'pending';
create index operation_by_redemption on redemption.operation (community_id, redemption_id);
create index operation_pending_due on redemption.operation (due_at) where state = 'pending';

-- Every change of a redemption, and who made it. Rows are only added.
create table redemption.transition (
    community_id  uuid        not null,
    request_id    uuid        not null,  -- the operation that made it
    redemption_id uuid        not null,
    from_state    text        not null,
    to_state      text        not null,  -- the same as from_state for a partial reversal
    quantity      bigint      not null,  -- how many it concerned
    operator      text        not null,
    reason        text        not null,
    recorded_at   timestamptz not null,
    constraint transition_pk primary key (community_id, request_id),
    constraint transition_redemption_fk foreign key (community_id, redemption_id) references redemption.redemption
);
create index transition_by_redemption on redemption.transition (community_id, redemption_id, recorded_at);

-- What each mutating call was answered, so that it can be repeated. With neither answer nor refusal its operation is still pending.
create table redemption.answer (
    community_id uuid        not null,
    request_id   uuid        not null,
    method       text        not null,  -- the RPC; 'Cancelled' when the id was cancelled before its call came
    fingerprint  bytea       not null,  -- SHA-256 of the request
    answer       bytea,                 -- JSON
    refusal      jsonb,
    recorded_at  timestamptz not null,
    constraint answer_pk primary key (community_id, request_id),
    constraint answer_one_outcome check (answer is null or refusal is null)
);

grant usage on schema redemption to linli_redemption;
grant select on all tables in schema redemption to linli_redemption;
grant insert on all tables in schema redemption to linli_redemption;
grant update on redemption.merchant, redemption.offer, redemption.redemption, redemption.operation, redemption.answer to linli_redemption;
grant delete on redemption.redemption, redemption.operation to linli_redemption;
