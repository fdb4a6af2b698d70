-- Points held in advance, so that a shop can take them without a network. The text of a code is not kept: it can be made again from its row.
create table redemption.offline_code (
    community_id  uuid        not null,
    code_id       uuid        not null,  -- the ledger's hold is named after it
    member_id     uuid        not null,
    programme_id  uuid        not null,
    slot          smallint    not null,  -- 1 to 5: a member has so many of a programme at a time
    points        bigint      not null,  -- what it is worth at most, in units of the programme's asset
    state         text        not null,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,  -- from here on a till refuses it
    returns_at    timestamptz not null,  -- from here on no sale is taken for it
    redemption_id uuid,                  -- the sale that was paid with it
    sold_at       timestamptz,           -- when that was, by the till's clock
    constraint offline_code_pk primary key (community_id, code_id),
    constraint offline_code_slot_range check (slot between 1 and 5),
    constraint offline_code_points_range check (points between 1 and 1000000000),
    constraint offline_code_state_known check (state in ('held', 'used', 'returned')),
    constraint offline_code_sale check ((redemption_id is not null) = (state = 'used') and (sold_at is not null) = (state = 'used')),
    constraint offline_code_times_ordered check (created_at < expires_at and expires_at < returns_at)
);
create unique index offline_code_slot_one on redemption.offline_code (community_id, member_id, programme_id, slot) where state = 'held';
create index offline_code_by_member on redemption.offline_code (community_id, member_id, code_id);

alter table redemption.redemption
    add column offline_code_id uuid,         -- what paid, when it was sold without a network
    add column sold_at         timestamptz;  -- when that was, by the till's clock
-- One more kind of step: it captures what was held for an offline code.
alter table redemption.operation
    drop constraint operation_kind_known,
    add constraint operation_kind_known check (kind in ('hold', 'redeem', 'capture', 'release', 'reverse', 'expire', 'forward'));

grant select, insert on redemption.offline_code to linli_redemption;
grant update (state, redemption_id, sold_at) on redemption.offline_code to linli_redemption;
