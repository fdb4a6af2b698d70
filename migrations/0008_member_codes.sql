-- How a member is known at a counter. Of codes, card numbers and PINs there are only hashes.

-- What a member's app shows, for a minute and once.
create table redemption.member_code (
    community_id uuid        not null,
    request_id   uuid        not null,  -- the call that made it; made again, the call replaces it
    member_id    uuid        not null,  -- of the activity service
    code_hash    bytea       not null,  -- SHA-256
    expires_at   timestamptz not null,
    handle_id    uuid,                  -- what it was used for
    constraint member_code_pk primary key (community_id, request_id),
    constraint member_code_unique unique (community_id, code_hash),
    constraint member_code_hash_length check (octet_length(code_hash) = 32)
);
create index member_code_by_member on redemption.member_code (community_id, member_id, expires_at);

-- A printed card of a member without a phone.
create table redemption.member_card (
    community_id uuid        not null,
    card_id      uuid        not null,
    member_id    uuid        not null,
    number_hash  bytea       not null,            -- SHA-256
    pin_salt     bytea       not null,
    pin_hash     bytea       not null,            -- PBKDF2-HMAC-SHA256
    wrong_pins   integer     not null default 0,  -- in a row
    state        text        not null,
    created_at   timestamptz not null,
    constraint member_card_pk primary key (community_id, card_id),
    constraint member_card_number_unique unique (community_id, number_hash),
    constraint member_card_number_hash_length check (octet_length(number_hash) = 32),
    constraint member_card_pin_hash_length check (octet_length(pin_hash) = 32 and octet_length(pin_salt) = 16),
    constraint member_card_wrong_pins_range check (wrong_pins between 0 and 5),
    constraint member_card_state_known check (state in ('active', 'blocked', 'revoked'))
);
create index member_card_by_member on redemption.member_card (community_id, member_id, card_id);
create unique index member_card_one on redemption.member_card (community_id, member_id) where state <> 'revoked';

-- Stands for a member at one merchant for a short time. Rows are only added.
create table redemption.member_handle (
    community_id uuid        not null,
    handle_id    uuid        not null,
    member_id    uuid        not null,
    merchant_id  uuid        not null,
    expires_at   timestamptz not null,
    constraint member_handle_pk primary key (community_id, handle_id),
    constraint member_handle_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant
);

-- Where and how a redemption was made.
alter table redemption.redemption
    add column terminal_id uuid,  -- null = at no till
    add column store_id    uuid,  -- the till's
    add column assisted_by text;  -- `sub` of the staff's token who named the member; null = the member was there

grant select, insert on redemption.member_code, redemption.member_card, redemption.member_handle to linli_redemption;
grant update (code_hash, expires_at, handle_id), delete on redemption.member_code to linli_redemption;
grant update (number_hash, pin_salt, pin_hash, wrong_pins, state) on redemption.member_card to linli_redemption;
