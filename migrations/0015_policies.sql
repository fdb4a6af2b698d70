-- A grant that waited for budget is granted later: then its expiry is counted, and its posting is asked for. What the ledger once refused stays
-- refused under that id, so each further posting has an id of its own.
alter table activity.reward_grant
    add column granted_at timestamptz,             -- of one that waited: when budget was there; null = at created_at, or not yet
    add column posting    integer not null default 0, -- how many times it was granted after it had waited
    add column retry_at   timestamptz,             -- of one that the ledger's own limit refused: when it may be tried again
    add constraint reward_grant_posting_range check (posting >= 0);
-- What waits, so that the smallest is found at once, and whether a programme has any.
create index reward_grant_awaiting on activity.reward_grant (community_id, programme_id, amount, grant_id)
    where state = 'awaiting_budget';
create index programme_awaiting on activity.programme (community_id, programme_id) where awaiting > 0;
grant update (expires_at, granted_at, posting, retry_at) on activity.reward_grant to linli_activity;

-- A grant may be posted again once its first posting is settled.
alter table activity.outbox drop constraint outbox_grant_kind_unique;
create unique index outbox_grant_kind_open on activity.outbox (community_id, grant_id, kind) where delivered_at is null;
create index outbox_grant on activity.outbox (community_id, grant_id, sequence);

-- What a simulation reads: verified records in the order of their verification.
create index service_record_verified on activity.service_record (community_id, programme_id, decided_at, record_id)
    where state = 'verified';

-- How many days before points expire their member is told.
alter table activity.programme
    add column expiry_notice_days integer[] not null default '{30,7,1}', -- largest first
    add constraint programme_expiry_notice_days_count check (cardinality(expiry_notice_days) between 1 and 10);

-- What members were told, once each. No names and no text: the text is made of the parameters when it is read.
create table activity.notice (
    community_id uuid        not null,
    notice_id    uuid        not null,
    member_id    uuid        not null,
    class        text        not null, -- what a member may mute
    kind         text        not null, -- what the text is
    subject      text        not null, -- name of the resource it is about
    parameters   jsonb       not null, -- of the text
    dedupe_key   text        not null, -- the same thing is told once
    created_at   timestamptz not null,
    read_at      timestamptz,          -- null = not read; of a muted class: created_at
    constraint notice_pk primary key (community_id, notice_id),
    constraint notice_once unique (community_id, member_id, dedupe_key),
    constraint notice_member_fk foreign key (community_id, member_id) references activity.member,
    constraint notice_class_known check (class in ('expiry', 'reversal', 'security', 'report', 'wish')),
    constraint notice_read_after check (read_at >= created_at)
) with (fillfactor = 80);
create index notice_member on activity.notice (community_id, member_id, notice_id);

-- Which classes a member does not want to be told of.
create table activity.notice_preference (
    community_id uuid        not null,
    member_id    uuid        not null,
    muted        text[]      not null,
    changed_at   timestamptz not null,
    constraint notice_preference_pk primary key (community_id, member_id),
    constraint notice_preference_member_fk foreign key (community_id, member_id) references activity.member,
    constraint notice_preference_mutable check (muted <@ array['report', 'wish'])
);

-- How far a programme's members were told of what expires. Claimed by moving due_at ahead.
create table activity.notice_watch (
    community_id   uuid        not null,
    programme_id   uuid        not null,
    due_at         timestamptz not null,
    entry_sequence bigint      not null default 0, -- of the ledger: up to here each expiry has its receipt
    constraint notice_watch_pk primary key (community_id, programme_id),
    constraint notice_watch_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint notice_watch_entry_range check (entry_sequence >= 0)
);
create index notice_watch_due on activity.notice_watch (due_at);
insert into activity.notice_watch (community_id, programme_id, due_at)
select community_id, programme_id, created_at from activity.programme;

grant select, insert on activity.notice, activity.notice_preference, activity.notice_watch to linli_activity;
grant update (read_at) on activity.notice to linli_activity;
grant update (muted, changed_at) on activity.notice_preference to linli_activity;
grant update (due_at, entry_sequence) on activity.notice_watch to linli_activity;
