-- The rules by which a programme takes problem reports; no row: the defaults.
create table activity.report_settings (
    community_id uuid        not null,
    programme_id uuid        not null,
    settings     jsonb       not null, -- all of them, defaults filled in
    changed_by   text        not null, -- `sub` of who set them
    changed_at   timestamptz not null,
    constraint report_settings_pk primary key (community_id, programme_id),
    constraint report_settings_programme_fk foreign key (community_id, programme_id) references activity.programme
);

-- What somebody saw that needs mending, and where that stands. What was reported never changes; what is added to it is an event.
create table activity.report (
    community_id    uuid        not null,
    report_id       uuid        not null,
    programme_id    uuid        not null,
    member_id       uuid        not null,            -- the reporter
    category        text        not null,
    photos          text[]      not null,            -- references to where they are kept
    place_text      text        not null,            -- '' = only on the map
    latitude_e6     integer,                         -- millionths of a degree; both or none
    longitude_e6    integer,
    accuracy_metres integer     not null,            -- 0 = not known
    description     text        not null,            -- '' = none
    emergency       text,                            -- null = none
    urgency         text        not null,
    visibility      text        not null,
    state           text        not null,            -- a resolved one is closed from close_at on, whoever looks
    terms           jsonb       not null,            -- the target times and the days to reopen, as they were when it was made
    submitted_at    timestamptz not null,
    triage_due_at   timestamptz not null,
    resolve_due_at  timestamptz not null,
    assignee_member uuid,                            -- who has it to do: at most one of the three
    assignee_team   uuid,
    assignee_staff  text,
    changed_by      text,                            -- who brought it into its state; null = the clock
    changed_at      timestamptz not null,
    reason          text        not null,            -- why, or what was said with it; '' = nothing
    duplicate_of    uuid,
    referred_to     text,
    close_at        timestamptz,                     -- from when on it can't be reopened
    rating          smallint,
    rating_comment  text        not null,
    recorded_by     text        not null,
    events          bigint      not null,            -- rows of report_event
    details         integer     not null,            -- of them, additions to what was reported
    constraint report_pk primary key (community_id, report_id),
    constraint report_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint report_member_fk foreign key (community_id, member_id) references activity.member,
    constraint report_assignee_member_fk foreign key (community_id, assignee_member) references activity.member,
    constraint report_assignee_team_fk foreign key (community_id, assignee_team) references activity.team,
    constraint report_duplicate_fk foreign key (community_id, duplicate_of) references activity.report,
    constraint report_photos_few check (cardinality(photos) <= 9),
    constraint report_place_somewhere check (place_text <> '' or latitude_e6 is not null),
    constraint report_point_whole check ((latitude_e6 is null) = (longitude_e6 is null)),
    constraint report_latitude_range check (latitude_e6 between -90000000 and 90000000),
    constraint report_longitude_range check (longitude_e6 between -180000000 and 180000000),
    constraint report_accuracy_range check (accuracy_metres between 0 and 100000),
    constraint report_emergency_known check (emergency in ('crime', 'fire', 'medical', 'traffic')),
    constraint report_urgency_known check (urgency in ('red', 'yellow', 'blue')),
    constraint report_visibility_known check (visibility in ('public', 'redacted', 'private')),
    constraint report_state_known check (
        state in ('submitted', 'accepted', 'assigned', 'in_progress', 'resolved', 'closed', 'rejected', 'duplicate', 'referred')
    ),
    constraint report_due_order check (submitted_at <= triage_due_at and triage_due_at <= resolve_due_at),
    constraint report_one_assignee check (num_nonnulls(assignee_member, assignee_team, assignee_staff) <= 1),
    constraint report_reason_given check (reason <> '' or state not in ('rejected', 'referred')),
    constraint report_duplicate_of_another check (
        (duplicate_of is not null) = (state = 'duplicate') and duplicate_of <> report_id
    ),
    constraint report_referred_to_someone check ((referred_to is not null) = (state = 'referred')),
    constraint report_close_known check ((close_at is not null) = (state in ('resolved', 'closed'))),
    constraint report_rating_range check (rating between 1 and 5),
    constraint report_rated_closed check (rating is null or state = 'closed')
) with (fillfactor = 80);
create index report_newest on activity.report (community_id, submitted_at desc, report_id desc);
create index report_member on activity.report (community_id, member_id, submitted_at desc, report_id desc);
create index report_open on activity.report (community_id, programme_id, category, submitted_at desc)
    where state in ('submitted', 'accepted', 'assigned', 'in_progress');
-- What everybody may see.
create index report_public on activity.report (community_id, programme_id, submitted_at desc, report_id desc)
    where visibility in ('public', 'redacted') and state in ('accepted', 'assigned', 'in_progress', 'resolved', 'closed', 'referred');

-- Everything that happened to a report. Rows are only added.
create table activity.report_event (
    community_id uuid        not null,
    report_id    uuid        not null,
    number       bigint      not null, -- 1, 2, 3 … within the report
    kind         text        not null,
    state        text        not null, -- of the report after it
    actor        text,                 -- null = the clock
    at           timestamptz not null,
    text         text        not null, -- reason, note, detail, comment; '' = nothing was said
    photos       text[]      not null,
    request_id   uuid,                 -- the call that did it; null = the clock
    constraint report_event_pk primary key (community_id, report_id, number),
    constraint report_event_report_fk foreign key (community_id, report_id) references activity.report,
    constraint report_event_number_positive check (number > 0),
    constraint report_event_clock check ((actor is null) = (request_id is null))
);

-- How a member stands as a reporter; no row: well.
create table activity.reporter (
    community_id    uuid    not null,
    programme_id    uuid    not null,
    member_id       uuid    not null,
    strikes         integer not null, -- abusive reports since the last suspension
    suspended_until timestamptz,      -- null = never was
    constraint reporter_pk primary key (community_id, programme_id, member_id),
    constraint reporter_programme_fk foreign key (community_id, programme_id) references activity.programme,
    constraint reporter_member_fk foreign key (community_id, member_id) references activity.member,
    constraint reporter_strikes_range check (strikes >= 0)
);

-- A grant is of a service or of a report: `record_id` is the deed, and `source` says of which kind. Code of before sees a deed in any of them.
alter table activity.reward_grant
    drop constraint reward_grant_record_fk,
    drop constraint reward_grant_record_unique,
    add column service_record_id uuid generated always as (case when source = 'service' then record_id end) stored,
    add column report_id uuid generated always as (case when source = 'report' then record_id end) stored,
    add constraint reward_grant_deed_unique unique (community_id, record_id, source),
    add constraint reward_grant_service_record_fk foreign key (community_id, service_record_id) references activity.service_record,
    add constraint reward_grant_report_fk foreign key (community_id, report_id) references activity.report;

grant select, insert on activity.report_settings, activity.report, activity.report_event, activity.reporter to linli_activity;
grant update (settings, changed_by, changed_at) on activity.report_settings to linli_activity;
grant update (strikes, suspended_until) on activity.reporter to linli_activity;
grant update (
    urgency, visibility, state, triage_due_at, resolve_due_at, assignee_member, assignee_team, assignee_staff, changed_by, changed_at, reason,
    duplicate_of, referred_to, close_at, rating, rating_comment, events, details
) on activity.report to linli_activity;
