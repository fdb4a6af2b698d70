-- How much may be recorded, what has to be shown for it, and what everyone may see of what was recorded late.

-- The settings by which programmes take services, the latest revision; no row: the defaults. Rows are only added: what was set before stays.
create table activity.service_settings (
    community_id uuid        not null,
    programme_id uuid        not null,
    revision     integer     not null, -- 1, 2, 3 … within the programme
    settings     jsonb       not null, -- all of them, defaults filled in
    changed_by   text        not null, -- `sub` of who set them
    changed_at   timestamptz not null,
    constraint service_settings_pk primary key (community_id, programme_id, revision),
    constraint service_settings_revision_positive check (revision > 0),
    constraint service_settings_programme_fk foreign key (community_id, programme_id) references activity.programme
);

-- Who records in a programme. Whoever records locks their row, before the settings are read, so that nobody passes their quota by calling twice at once; what is used up
-- of it is the sum of the records.
create table activity.recorder (
    community_id uuid not null,
    programme_id uuid not null,
    subject      text not null, -- `sub` of their token
    constraint recorder_pk primary key (community_id, programme_id, subject),
    constraint recorder_programme_fk foreign key (community_id, programme_id) references activity.programme
);

alter table activity.service_record
    add column evidence    text[] not null default '{}', -- references to what shows that it took place; without names
    add column recorded_as text,                         -- in what capacity; null = from before that was kept
    add constraint service_record_evidence_range check (cardinality(evidence) <= 10),
    add constraint service_record_recorded_as_known check (recorded_as in ('member', 'leader', 'staff'));
-- What one caller has recorded in a day or a month.
create index service_record_recorder on activity.service_record (community_id, programme_id, recorded_by, created_at)
    include (minutes, state, recorded_as);
-- What was recorded in a programme in a month.
create index service_record_recorded on activity.service_record (community_id, programme_id, created_at, record_id);
-- What was recorded since then in every programme: nothing that was recorded before a day can be a service of that day.
create index service_record_created on activity.service_record (community_id, created_at);
-- The answers that repeat a member's evidence, to be emptied when the member is erased.
create index answer_evidence on activity.answer (community_id, (answer ->> 'member')) where answer -> 'evidence' <> '[]';

grant select, insert on activity.service_settings, activity.recorder to linli_activity;
grant update (subject) on activity.recorder to linli_activity;
grant update (evidence) on activity.service_record to linli_activity;
