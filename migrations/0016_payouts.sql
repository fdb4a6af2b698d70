-- Cash rewards are paid by lists. Row locks: a payout comes after answer and before member; its lines come after it.

-- Two more kinds of account: what a programme's members were paid in money, and what they gave to wishes.
alter table ledger.account
    drop constraint account_kind_range,
    add constraint account_kind_range check (kind between 1 and 6);

-- A list of members of a cash programme and what each is paid.
create table activity.payout (
    community_id uuid        not null,
    payout_id    uuid        not null,
    programme_id uuid        not null,
    state        text        not null,
    cutoff_at    timestamptz not null, -- what was granted at or after it is not on the list
    minimum      bigint      not null, -- the least for a member, in units of the asset; 0 = whatever is owed
    more_owed    boolean     not null, -- more members are owed than the list has
    created_by   text        not null,
    created_at   timestamptz not null,
    expires_at   timestamptz not null, -- until when it can be confirmed; the holds last longer
    frozen_at    timestamptz,          -- when the last line was held or not
    hash         bytea,                -- of the last line
    exported_by  text,                 -- who had the file first
    exported_at  timestamptz,
    decided_by   text,                 -- who confirmed or cancelled it; null = nobody, or its time was over
    decided_at   timestamptz,
    reason       text,                 -- why it was cancelled; null = it was not, or its time was over
    constraint payout_pk primary key (community_id, payout_id),
    constraint payout_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint payout_state_known check (state in ('draft', 'exported', 'confirmed', 'cancelled')),
    constraint payout_minimum_range check (minimum >= 0),
    constraint payout_times_ordered check (cutoff_at <= created_at and created_at < expires_at),
    constraint payout_frozen check (
        (hash is null) = (frozen_at is null) and (state not in ('exported', 'confirmed') or hash is not null)
    ),
    constraint payout_hash_length check (octet_length(hash) = 32),
    constraint payout_exported check (
        (exported_by is null) = (exported_at is null) and (state not in ('exported', 'confirmed') or exported_at is not null)
    ),
    constraint payout_decided check (
        (decided_at is not null) = (state in ('confirmed', 'cancelled')) and (decided_by is null or decided_at is not null)
            and (reason is null or state = 'cancelled')
    ),
    constraint payout_two_people check (
        (state <> 'confirmed' or decided_by <> created_by)
            and (state <> 'cancelled' or exported_at is null or decided_by is null or decided_by <> created_by)
    )
);
create index payout_programme on activity.payout (community_id, programme_id, payout_id);
create index payout_expiry on activity.payout (expires_at) where state in ('draft', 'exported');

-- What one member is paid by a list. Who and how much never change; where it stands does.
create table activity.payout_line (
    community_id uuid    not null,
    payout_id    uuid    not null,
    line         integer not null,          -- 1, 2, 3 … within the list
    member_id    uuid    not null,
    amount       bigint  not null,          -- in units of the asset
    state        text    not null,
    steps_id     uuid    not null,          -- what its ids in the ledger are made of; nobody is told, so nobody can take one of them first
    entry        bigint,                    -- the ledger's, of the payment
    note         text    not null default '', -- of a payment where it is found, of a failure why
    due_at       timestamptz,               -- when the ledger is to be asked next; null = nothing to ask
    attempts     integer not null default 0,
    constraint payout_line_pk primary key (community_id, payout_id, line),
    constraint payout_line_payout_fk foreign key (community_id, payout_id) references activity.payout,
    constraint payout_line_member_fk foreign key (community_id, member_id) references activity.member,
    constraint payout_line_member_once unique (community_id, payout_id, member_id),
    constraint payout_line_from_one check (line >= 1),
    constraint payout_line_amount_positive check (amount > 0),
    constraint payout_line_state_known check (
        state in ('pending', 'held', 'not_held', 'paying', 'paid', 'failing', 'failed', 'cancelling', 'cancelled')
    ),
    constraint payout_line_due check ((due_at is not null) = (state in ('pending', 'paying', 'failing', 'cancelling'))),
    constraint payout_line_entry check ((entry is not null) = (state = 'paid')),
    constraint payout_line_failure check (note <> '' or state not in ('failing', 'failed'))
) with (fillfactor = 80);
create index payout_line_due on activity.payout_line (community_id, due_at) where due_at is not null;
create index payout_line_member on activity.payout_line (community_id, member_id);

-- What everybody may see of rewards.
create index reward_grant_public on activity.reward_grant (community_id, programme_id, local_date, grant_id)
    where state in ('pending', 'posted') and amount > 0;

grant select, insert on activity.payout, activity.payout_line to linli_activity;
grant update (state, frozen_at, hash, exported_by, exported_at, decided_by, decided_at, reason) on activity.payout to linli_activity;
grant update (state, entry, note, due_at, attempts) on activity.payout_line to linli_activity;
