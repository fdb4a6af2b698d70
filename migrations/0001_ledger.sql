-- The points ledger. Amounts are whole units of an asset's smallest part; balances are credits less debits.
create schema ledger;

-- The group role the ledger service works under. Roles belong to the whole cluster, so it may be there already.
do $$
begin
    create role linli_ledger nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    if not pg_has_role(current_user, 'linli_ledger', 'usage') then
        execute format('grant linli_ledger to %I', current_user);
    end if;
exception
    when unique_violation then null;
end
$$;
grant usage on schema ledger to linli_ledger;

-- One row for each community: the head of its serial journal. Whoever writes locks it first.
create table ledger.journal (
    community_id     uuid        not null,
    next_sequence    bigint      not null, -- of the next entry; 1 at first
    definitions      bigint      not null, -- counts changes of accounts that are no entries
    last_recorded_at timestamptz not null, -- of the last entry; time in a journal never runs backwards
    last_definition  bigint      not null default 0, -- number of the last definition
    last_refusal     bigint      not null default 0, -- number of the last refusal
    constraint journal_pk primary key (community_id),
    constraint journal_next_sequence_positive check (next_sequence > 0)
);

-- What amounts are counted in.
create table ledger.asset (
    community_id uuid        not null,
    code         text        not null,
    exponent     smallint    not null, -- decimal places of the unit people speak of
    created_at   timestamptz not null,
    constraint asset_pk primary key (community_id, code),
    constraint asset_journal_fk foreign key (community_id) references ledger.journal,
    constraint asset_exponent_range check (exponent between 0 and 9)
);

-- Who has how much. The balance is kept here and equals the sum of the account's entries.
create table ledger.account (
    community_id      uuid        not null,
    account_id        uuid        not null,
    programme_id      uuid        not null,
    asset             text        not null,
    kind              smallint    not null, -- AccountKind of the contract
    owner_id          uuid,                 -- member or merchant
    expiry_account_id uuid,                 -- where expired points go; set = the account keeps lots
    min_balance       bigint,               -- of balance - held; null = no limit
    max_balance       bigint,               -- of balance; null = no limit
    balance           bigint      not null default 0,
    held              bigint      not null default 0, -- reserved by open holds
    last_sequence     bigint      not null default 0, -- of the last entry that changed it; the head of its statement
    entries           bigint      not null default 0, -- how many entries changed it
    revision          bigint      not null default 1, -- counts every change of the row, limits included
    created_at        timestamptz not null,
    constraint account_pk primary key (community_id, account_id),
    constraint account_asset_fk foreign key (community_id, asset) references ledger.asset,
    constraint account_expiry_account_fk foreign key (community_id, expiry_account_id) references ledger.account,
    constraint account_kind_range check (kind between 1 and 4),
    constraint account_held_range check (held >= 0),
    -- Where lots are kept, expired points do not count for max_balance and leave whatever min_balance says; a row can't tell them.
    constraint account_min_balance check (balance - held >= min_balance or expiry_account_id is not null),
    constraint account_max_balance check (balance <= max_balance or expiry_account_id is not null),
    constraint account_lots_cover check (balance - held >= 0 or expiry_account_id is null),
    constraint account_lots_not_negative check (expiry_account_id is null or min_balance >= 0)
) with (fillfactor = 70);

-- The part of an account that expires at one instant. Remaining and held, summed over the lots, are the account's balance.
create table ledger.lot (
    community_id uuid        not null,
    account_id   uuid        not null,
    expires_at   timestamptz not null, -- 9999-12-31 = never
    remaining    bigint      not null, -- neither spent nor held
    held         bigint      not null, -- reserved by open holds
    constraint lot_pk primary key (community_id, account_id, expires_at),
    constraint lot_account_fk foreign key (community_id, account_id) references ledger.account,
    constraint lot_remaining_range check (remaining >= 0),
    constraint lot_held_range check (held >= 0)
) with (fillfactor = 70);
-- Not partial: a predicate on an amount would keep the updates of that amount from being heap-only. Sweeps delete empty lots instead.
create index lot_due on ledger.lot (community_id, expires_at);

-- The journal: one row for each change. Rows are only added; a mistake is undone by an opposite row.
-- It has the fewest indexes that answer every question, for each costs a transfer about as much as its row: an account's statement is a
-- chain of previous entries, entered through ledger.statement_page. It has no foreign keys: the writer has locked the journal and read
-- both accounts and the related entry, and accounts and entries are never deleted.
create table ledger.entry (
    community_id      uuid        not null,
    sequence          bigint      not null, -- 1, 2, 3 … within the community, in commit order
    kind              smallint    not null, -- EntryKind of the contract
    final             boolean     not null, -- of a capture: the last one of its hold
    request_id        uuid,                 -- the caller's; null for what the ledger posts by itself
    fingerprint       bytea,                -- of the request's content, 16 bytes; null with request_id
    debit_account_id  uuid        not null,
    credit_account_id uuid        not null,
    amount            bigint      not null,
    debit_balance     bigint      not null, -- after the entry
    credit_balance    bigint      not null, -- after the entry
    debit_previous    bigint      not null, -- the entry that changed the debit account before this one; 0 = none
    credit_previous   bigint      not null, -- the same for the credit account; 0 also when this entry does not change it
    expires_at        timestamptz,          -- of the credited lot, the expired lot, or the hold
    related_sequence  bigint,               -- the hold's entry, or the entry that is reversed
    description       text        not null,
    recorded_at       timestamptz not null,
    constraint entry_pk primary key (community_id, sequence),
    constraint entry_request_unique unique (community_id, request_id),
    constraint entry_kind_range check (kind between 1 and 7),
    constraint entry_amount_positive check (amount > 0),
    constraint entry_two_accounts check (debit_account_id <> credit_account_id),
    constraint entry_fingerprint_with_request check ((request_id is null) = (fingerprint is null)),
    constraint entry_fingerprint_length check (octet_length(fingerprint) = 16)
);
create index entry_related on ledger.entry (community_id, related_sequence) where related_sequence is not null;

-- Every 128th entry of an account: where to enter its chain, so that no question walks further than that. Rows are only added.
create table ledger.statement_page (
    community_id uuid   not null,
    account_id   uuid   not null,
    sequence     bigint not null, -- of the account's 128th, 256th … entry
    constraint statement_page_pk primary key (community_id, account_id, sequence)
);

-- Which lots an entry took from or gave back to, in order. Rows are only added.
create table ledger.allocation (
    community_id uuid        not null,
    sequence     bigint      not null, -- of the entry
    position     smallint    not null, -- 0, 1, 2 …
    expires_at   timestamptz not null, -- the lot
    amount       bigint      not null,
    constraint allocation_pk primary key (community_id, sequence, position),
    constraint allocation_amount_positive check (amount > 0)
);

-- Points reserved for a purchase. What is captured and released never passes the amount.
create table ledger.hold (
    community_id      uuid        not null,
    hold_id           uuid        not null, -- the request_id that made it
    sequence          bigint      not null, -- of its entry
    debit_account_id  uuid        not null,
    credit_account_id uuid        not null,
    amount            bigint      not null,
    captured          bigint      not null,
    released          bigint      not null,
    state             smallint    not null, -- HoldState of the contract
    expires_at        timestamptz not null,
    created_at        timestamptz not null,
    constraint hold_pk primary key (community_id, hold_id),
    constraint hold_state_range check (state between 1 and 4),
    constraint hold_amounts check (captured >= 0 and released >= 0 and captured + released <= amount),
    constraint hold_open_has_rest check ((state = 1) = (captured + released < amount))
) with (fillfactor = 70);
create index hold_due on ledger.hold (community_id, expires_at) where state = 1;

-- The answers to requests that were refused; those that were accepted are in the journal. Rows are only added.
create table ledger.refusal (
    community_id uuid        not null,
    request_id   uuid        not null,
    fingerprint  bytea       not null, -- of the request's content, 16 bytes
    refusal      jsonb       not null,
    recorded_at  timestamptz not null,
    number       bigint      not null, -- 1, 2, 3 … within the community, in commit order
    constraint refusal_pk primary key (community_id, request_id),
    constraint refusal_number_unique unique (community_id, number),
    constraint refusal_journal_fk foreign key (community_id) references ledger.journal
);

-- What assets and accounts are, and every change of a limit: what the state has that entries do not tell. Rows are only added, in the
-- transaction that makes the change; a column that does not belong to the kind is null.
create table ledger.definition (
    community_id      uuid        not null,
    number            bigint      not null, -- 1, 2, 3 … within the community, in commit order
    kind              smallint    not null, -- 1 asset, 2 account, 3 limits of an account
    sequence          bigint      not null, -- of the last entry before it
    asset             text,                 -- its code, of an asset or an account
    exponent          smallint,             -- of an asset
    account_id        uuid,                 -- of an account or its limits
    programme_id      uuid,                 -- of an account, as are the next three
    account_kind      smallint,
    owner_id          uuid,
    expiry_account_id uuid,
    min_balance       bigint,               -- of an account or its new limits
    max_balance       bigint,               -- of an account or its new limits
    recorded_at       timestamptz not null,
    constraint definition_pk primary key (community_id, number),
    constraint definition_kind_range check (kind between 1 and 3),
    constraint definition_journal_fk foreign key (community_id) references ledger.journal
);

-- Whoever seals a community's journal locks its row; there is nothing else in it. What sealing writes has no foreign key to the
-- journal, for that would make it wait for postings and postings for it.
create table ledger.sealer (
    community_id uuid not null,
    constraint sealer_pk primary key (community_id)
);

-- The Merkle tree over the entries in sequence order, in tiles of up to 256 hashes; only the last tile of a level still grows.
create table ledger.tile (
    community_id uuid     not null,
    level        smallint not null, -- a hash stands for 256^level entries
    index        bigint   not null, -- 0, 1, 2 … within the level
    hashes       bytea    not null, -- 32 bytes each
    constraint tile_pk primary key (community_id, level, index),
    constraint tile_level_range check (level between 0 and 7),
    constraint tile_hashes_length check (octet_length(hashes) between 32 and 8192 and octet_length(hashes) % 32 = 0)
);

-- The signed heads of the tree. Rows are only added.
create table ledger.checkpoint (
    community_id     uuid        not null,
    number           bigint      not null, -- 1, 2, 3 … within the community
    size             bigint      not null, -- the tree is over the entries 1 to size
    root             bytea       not null, -- of the tree
    definitions      bigint      not null, -- how many definitions it covers
    definitions_hash bytea       not null, -- of their chain
    refusals         bigint      not null, -- how many refusals it covers
    refusals_hash    bytea       not null, -- of their chain
    note             text        not null, -- the signed text that says all of the above
    signed_at        timestamptz not null,
    constraint checkpoint_pk primary key (community_id, number)
);
create index checkpoint_size on ledger.checkpoint (community_id, size);

grant select, insert, update on ledger.sealer, ledger.tile to linli_ledger;
grant select, insert on ledger.definition, ledger.checkpoint to linli_ledger;
grant select, insert, update on ledger.journal, ledger.account, ledger.lot, ledger.hold to linli_ledger;
grant delete on ledger.lot to linli_ledger;
grant select, insert on ledger.asset, ledger.entry, ledger.statement_page, ledger.allocation, ledger.refusal to linli_ledger;
