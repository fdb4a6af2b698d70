-- Settlement: each merchant's day in a programme, frozen after local midnight.
-- Row locks are taken after those of 0003, in this order: settlement, statement, dispute.

-- How far a merchant is settled in a programme: one row once it has had an offer there.
create table redemption.settlement (
    community_id  uuid        not null,
    programme_id  uuid        not null,
    merchant_id   uuid        not null,
    asset         text        not null,  -- the programme's
    time_zone     text        not null,  -- the programme's, an IANA name
    next_date     date        not null,  -- first local date that is not closed
    last_sequence bigint      not null,  -- last entry of the ledger in a closed statement; 0 = none
    balance       bigint      not null,  -- of the merchant in the ledger after it
    hash          bytea       not null,  -- of the last closed line; before the first, of the merchant's name in the programme
    due_at        timestamptz not null,  -- when a replica may look whether a day can be closed
    attempts      integer     not null,  -- how often one did since a day was last closed or found to be empty
    constraint settlement_pk primary key (community_id, programme_id, merchant_id),
    constraint settlement_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant,
    constraint settlement_last_sequence_range check (last_sequence >= 0),
    constraint settlement_hash_length check (octet_length(hash) = 32)
) with (fillfactor = 80);
create index settlement_due on redemption.settlement (due_at);

insert into redemption.settlement
    (community_id, programme_id, merchant_id, asset, time_zone, next_date, last_sequence, balance, hash, due_at, attempts)
select community_id, programme_id, merchant_id, min(asset), min(time_zone), (min(created_at) at time zone min(time_zone))::date, 0, 0,
    sha256(convert_to(format('communities/%s/merchants/%s/programmes/%s', community_id, merchant_id, programme_id), 'UTF8')),
    min(created_at), 0
from redemption.offer
group by community_id, programme_id, merchant_id;

-- A merchant's day in a programme on which something happened. While its lines are still being written it is 'closing', and nobody sees it; from then
-- on only its state and who did what with it change.
create table redemption.statement (
    community_id      uuid        not null,
    programme_id      uuid        not null,
    merchant_id       uuid        not null,
    business_date     date        not null,  -- local to the programme
    state             text        not null,
    opening_balance   bigint      not null,  -- of the merchant in the ledger
    captured_points   bigint      not null,
    reversed_points   bigint      not null,  -- given back > 0
    other_points      bigint      not null,  -- signed
    adjusted_points   bigint      not null,  -- signed; in no balance
    line_count        integer     not null,
    last_sequence     bigint      not null,  -- last entry of the ledger in it
    previous_hash     bytea       not null,  -- of the line before the first
    hash              bytea       not null,  -- of the last line
    closed_at         timestamptz,
    confirmed_at      timestamptz,
    confirmed_by      text,
    paid_at           timestamptz,
    paid_by           text,
    payment_reference text,
    constraint statement_pk primary key (community_id, programme_id, merchant_id, business_date),
    constraint statement_settlement_fk foreign key (community_id, programme_id, merchant_id) references redemption.settlement,
    constraint statement_state_known check (state in ('closing', 'closed', 'disputed', 'confirmed', 'paid')),
    constraint statement_points_range check (captured_points >= 0 and reversed_points >= 0),
    constraint statement_has_lines check (line_count > 0),
    constraint statement_hash_length check (octet_length(hash) = 32 and octet_length(previous_hash) = 32),
    constraint statement_closed check ((closed_at is null) = (state = 'closing')),
    constraint statement_confirmed check (
        (confirmed_at is not null) = (state in ('confirmed', 'paid')) and (confirmed_by is not null) = (confirmed_at is not null)
    ),
    constraint statement_paid check (
        (paid_at is not null) = (state = 'paid') and (paid_by is not null) = (paid_at is not null)
            and (payment_reference is not null) = (paid_at is not null)
    ),
    constraint statement_two_people check (paid_by <> confirmed_by)
) with (fillfactor = 80);
create unique index statement_closing_one on redemption.statement (community_id, programme_id, merchant_id) where state = 'closing';
create index statement_by_date on redemption.statement (community_id, business_date, merchant_id, programme_id);
create index statement_by_merchant on redemption.statement (community_id, merchant_id, business_date, programme_id);

-- A line of a statement. Rows are only added.
create table redemption.statement_line (
    community_id  uuid        not null,
    programme_id  uuid        not null,
    merchant_id   uuid        not null,
    business_date date        not null,
    line          integer     not null,  -- 1, 2, 3 … in each statement
    kind          text        not null,
    ledger_entry  bigint,                -- null for an adjustment
    redemption_id uuid,                  -- null when unknown
    offer_id      uuid,                  -- null when unknown
    title         text        not null,
    quantity      bigint      not null,  -- 0 when unknown
    points        bigint      not null,  -- in favour of the merchant > 0
    balance       bigint      not null,  -- of the merchant in the ledger after the line
    recorded_at   timestamptz not null,  -- by the ledger's clock; of an adjustment when it was accepted
    adjusts_date  date,                  -- of an adjustment: the statement and the line that were disputed
    adjusts_line  integer,
    constraint statement_line_pk primary key (community_id, programme_id, merchant_id, business_date, line),
    constraint statement_line_statement_fk foreign key (community_id, programme_id, merchant_id, business_date) references redemption.statement,
    constraint statement_line_entry_once unique (community_id, programme_id, merchant_id, ledger_entry),
    constraint statement_line_adjustment_once unique (community_id, programme_id, merchant_id, adjusts_date, adjusts_line),
    constraint statement_line_kind_known check (kind in ('capture', 'reversal', 'other', 'adjustment')),
    constraint statement_line_from_one check (line >= 1),
    constraint statement_line_points_not_zero check (points <> 0),
    constraint statement_line_origin check (
        (ledger_entry is null) = (kind = 'adjustment') and (adjusts_date is not null) = (kind = 'adjustment')
            and (adjusts_line is not null) = (kind = 'adjustment')
    )
);

-- A merchant's objection to a line, and what the staff decided.
create table redemption.dispute (
    community_id  uuid        not null,
    programme_id  uuid        not null,
    merchant_id   uuid        not null,
    business_date date        not null,
    line          integer     not null,
    reason        text        not null,
    opened_by     text        not null,
    opened_at     timestamptz not null,
    state         text        not null,
    points        bigint,                -- accepted: of the adjustment, signed
    resolution    text,
    resolved_by   text,
    resolved_at   timestamptz,
    settled_date  date,                  -- accepted: the statement that has the adjustment; null = none yet
    constraint dispute_pk primary key (community_id, programme_id, merchant_id, business_date, line),
    constraint dispute_line_fk foreign key (community_id, programme_id, merchant_id, business_date, line) references redemption.statement_line,
    constraint dispute_statement_fk foreign key (community_id, programme_id, merchant_id, settled_date) references redemption.statement,
    constraint dispute_state_known check (state in ('open', 'declined', 'accepted')),
    constraint dispute_points_range check (points between -1000000000 and 1000000000 and points <> 0),
    constraint dispute_accepted check ((points is not null) = (state = 'accepted') and (settled_date is null or state = 'accepted')),
    constraint dispute_resolved check (
        (resolution is not null) = (state <> 'open') and (resolved_by is not null) = (state <> 'open')
            and (resolved_at is not null) = (state <> 'open')
    ),
    constraint dispute_two_people check (resolved_by <> opened_by)
);
create index dispute_unsettled on redemption.dispute (community_id, programme_id, merchant_id, resolved_at)
    where state = 'accepted' and settled_date is null;
create index dispute_settled on redemption.dispute (community_id, programme_id, merchant_id, settled_date) where settled_date is not null;

-- Which step of a redemption an entry of the ledger is.
create index operation_by_entry on redemption.operation (community_id, ledger_entry) where ledger_entry is not null;

grant select, insert on redemption.settlement, redemption.statement, redemption.statement_line, redemption.dispute to linli_redemption;
grant update (next_date, last_sequence, balance, hash, due_at, attempts) on redemption.settlement to linli_redemption;
grant update (
    state, captured_points, reversed_points, other_points, adjusted_points, line_count, last_sequence, hash, closed_at,
    confirmed_at, confirmed_by, paid_at, paid_by, payment_reference
) on redemption.statement to linli_redemption;
grant update (state, points, resolution, resolved_by, resolved_at, settled_date) on redemption.dispute to linli_redemption;
