-- Tills: each is paired once with a short-lived code and then calls with a key of its own.

-- A place where a merchant serves people.
create table redemption.store (
    community_id uuid        not null,
    store_id     uuid        not null,
    merchant_id  uuid        not null,
    number       text        not null,  -- the merchant's own
    display_name text        not null,
    created_at   timestamptz not null,
    constraint store_pk primary key (community_id, store_id),
    constraint store_number_unique unique (community_id, merchant_id, number),
    constraint store_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant
);

-- A till of a store.
create table redemption.terminal (
    community_id  uuid        not null,
    terminal_id   uuid        not null,
    store_id      uuid        not null,
    merchant_id   uuid        not null,
    display_name  text        not null,
    state         text        not null,
    paired_at     timestamptz not null,
    revoked_at    timestamptz,
    revoke_reason text,
    constraint terminal_pk primary key (community_id, terminal_id),
    constraint terminal_store_fk foreign key (community_id, store_id) references redemption.store,
    constraint terminal_merchant_fk foreign key (community_id, merchant_id) references redemption.merchant,
    constraint terminal_state_known check (state in ('active', 'revoked')),
    constraint terminal_revoked check (
        (revoked_at is not null) = (state = 'revoked') and (revoke_reason is not null) = (state = 'revoked')
    )
);
create index terminal_by_merchant on redemption.terminal (community_id, merchant_id, terminal_id);

-- What a till calls with. The key itself is nowhere but in the till.
create table redemption.terminal_key (
    community_id uuid        not null,
    terminal_id  uuid        not null,
    request_id   uuid        not null,  -- the call that made it; made again, the call replaces it
    key_hash     bytea       not null,  -- SHA-256
    created_at   timestamptz not null,
    retires_at   timestamptz,           -- counts until then; null = until it is rotated
    constraint terminal_key_pk primary key (community_id, terminal_id, request_id),
    constraint terminal_key_terminal_fk foreign key (community_id, terminal_id) references redemption.terminal,
    constraint terminal_key_hash_length check (octet_length(key_hash) = 32)
);

-- What lets a till in for the first time.
create table redemption.pairing_code (
    community_id uuid        not null,
    request_id   uuid        not null,  -- the call that made it; made again, the call replaces it
    store_id     uuid        not null,
    code_hash    bytea       not null,  -- SHA-256
    expires_at   timestamptz not null,
    used_by      uuid,                  -- request_id of the call that paired a till with it
    terminal_id  uuid,                  -- the till
    constraint pairing_code_pk primary key (community_id, request_id),
    constraint pairing_code_unique unique (community_id, code_hash),
    constraint pairing_code_store_fk foreign key (community_id, store_id) references redemption.store,
    constraint pairing_code_terminal_fk foreign key (community_id, terminal_id) references redemption.terminal,
    constraint pairing_code_hash_length check (octet_length(code_hash) = 32),
    constraint pairing_code_used check ((used_by is null) = (terminal_id is null))
);

grant select, insert on redemption.store, redemption.terminal, redemption.terminal_key, redemption.pairing_code to linli_redemption;
grant update (state, revoked_at, revoke_reason) on redemption.terminal to linli_redemption;
grant update (key_hash, created_at, retires_at) on redemption.terminal_key to linli_redemption;
grant update (code_hash, expires_at, used_by, terminal_id) on redemption.pairing_code to linli_redemption;
