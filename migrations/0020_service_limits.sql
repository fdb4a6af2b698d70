-- How much may be recorded, what has to be shown for it, and what everyone may see of what was recorded late.

-- The settings by which programmes take services; no row: the defaults.
create table activity.service_settings (
    community_id uuid        not null,
    programme_id uuid        not null,
    settings     jsonb       not null, -- all of them, defaults filled in
    changed_by   text        not null, -- `sub` of who set them
    changed_at   timestamptz not null,
    constraint service_settings_pk primary key (community_id, programme_id),
    constraint service_settings_programme_fk foreign key (community_id, programme_id) references activity.programme
);

-- Who records in a programme under a quota. Whoever records locks their row, so that nobody passes their quota by calling twice at once; what is used up
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
create index service_record_recorder on activity.service_record (community_id, programme_id, recorded_by, created_at);
-- What was recorded in a month, the last first.
create index service_record_recorded on activity.service_record (community_id, programme_id, created_at, record_id);

grant select, insert on activity.service_settings, activity.recorder to linli_activity;
grant update (settings, changed_by, changed_at) on activity.service_settings to linli_activity;
grant update (subject) on activity.recorder to linli_activity;
grant update (evidence) on activity.service_record to linli_activity;
