//! Problem reports, their events, how members stand as reporters, and the rules of programmes. What was reported is inserted once; where it stands is
//! updated; events are only added.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    place::{Place, Point},
    report::{
        Assignee, Emergency, EventKind, Report, ReportEvent, ReportFilter, ReportState, Urgency,
        Visibility,
    },
    report_rules::Terms,
};

struct Row {
    report_id: Uuid,
    programme_id: Uuid,
    member_id: Uuid,
    category: String,
    photos: Vec<String>,
    place_text: String,
    latitude_e6: Option<i32>,
    longitude_e6: Option<i32>,
    accuracy_metres: i32,
    description: String,
    emergency: Option<Emergency>,
    urgency: Urgency,
    visibility: Visibility,
    state: ReportState,
    terms: Json<Terms>,
    submitted_at: DateTime<Utc>,
    triage_due_at: DateTime<Utc>,
    resolve_due_at: DateTime<Utc>,
    assignee_member: Option<Uuid>,
    assignee_team: Option<Uuid>,
    assignee_staff: Option<String>,
    changed_by: Option<String>,
    changed_at: DateTime<Utc>,
    reason: String,
    duplicate_of: Option<Uuid>,
    referred_to: Option<String>,
    close_at: Option<DateTime<Utc>>,
    rating: Option<i16>,
    rating_comment: String,
    recorded_by: String,
    events: i64,
    details: i32,
    grant_id: Option<Uuid>,
}

impl Row {
    fn report(self, community: Community) -> Report {
        let point = self.latitude_e6.zip(self.longitude_e6);
        let assignee = match (self.assignee_member, self.assignee_team) {
            (Some(member), _) => Some(Assignee::Member(member)),
            (None, Some(team)) => Some(Assignee::Team(team)),
            (None, None) => self.assignee_staff.map(Assignee::Staff),
        };
        Report {
            community,
            id: self.report_id,
            programme: self.programme_id,
            member: self.member_id,
            category: self.category,
            photos: self.photos,
            place: Place {
                text: self.place_text,
                point: point.map(|(latitude_e6, longitude_e6)| Point {
                    latitude_e6,
                    longitude_e6,
                    accuracy_metres: self.accuracy_metres,
                }),
            },
            description: self.description,
            emergency: self.emergency,
            urgency: self.urgency,
            visibility: self.visibility,
            state: self.state,
            terms: self.terms.0,
            submitted_at: self.submitted_at,
            triage_due_at: self.triage_due_at,
            resolve_due_at: self.resolve_due_at,
            assignee,
            changed_by: self.changed_by,
            changed_at: self.changed_at,
            reason: self.reason,
            duplicate_of: self.duplicate_of,
            referred_to: self.referred_to,
            close_at: self.close_at,
            rating: self.rating,
            rating_comment: self.rating_comment,
            recorded_by: self.recorded_by,
            grant: self.grant_id,
            events: self.events,
            details: self.details,
        }
    }
}

/// Adds a report.
pub async fn insert(db: impl PgExecutor<'_>, report: &Report) -> sqlx::Result<()> {
    let point = report.place.point;
    sqlx::query!(
        r#"
        -- activity.report_insert
        insert into activity.report
            (community_id, report_id, programme_id, member_id, category, photos, place_text, latitude_e6, longitude_e6,
            accuracy_metres, description, emergency, urgency, visibility, state, terms, submitted_at, triage_due_at,
            resolve_due_at, changed_by, changed_at, reason, rating_comment, recorded_by, events, details)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, '', '', $22,
            $23, 0)
        "#,
        report.community.0,
        report.id,
        report.programme,
        report.member,
        report.category,
        &report.photos,
        report.place.text,
        point.map(|point| point.latitude_e6),
        point.map(|point| point.longitude_e6),
        point.map_or(0, |point| point.accuracy_metres),
        report.description,
        report.emergency as Option<Emergency>,
        report.urgency as Urgency,
        report.visibility as Visibility,
        report.state as ReportState,
        Json(report.terms) as _,
        report.submitted_at,
        report.triage_due_at,
        report.resolve_due_at,
        report.changed_by,
        report.changed_at,
        report.recorded_by,
        report.events,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks a report; false when it is not there.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"
        -- activity.report_lock
        select report_id from activity.report where community_id = $1 and report_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// Finds reports by their ids, newest first, with the grants they earned.
pub async fn find_many(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Report>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.report_find_many
        select report.report_id, report.programme_id, report.member_id, report.category, report.photos, report.place_text,
            report.latitude_e6, report.longitude_e6, report.accuracy_metres, report.description,
            report.emergency as "emergency: Emergency", report.urgency as "urgency: Urgency",
            report.visibility as "visibility: Visibility", report.state as "state: ReportState",
            report.terms as "terms: Json<Terms>", report.submitted_at, report.triage_due_at, report.resolve_due_at,
            report.assignee_member, report.assignee_team, report.assignee_staff, report.changed_by, report.changed_at,
            report.reason, report.duplicate_of, report.referred_to, report.close_at, report.rating, report.rating_comment,
            report.recorded_by, report.events, report.details, earned.grant_id as "grant_id?"
        from activity.report
        left join activity.reward_grant as earned
            on earned.community_id = report.community_id and earned.record_id = report.report_id and earned.source = 'report'
        where report.community_id = $1 and report.report_id = any($2)
        order by report.submitted_at desc, report.report_id desc
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.report(community)).collect())
}

/// Finds a report.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Report>> {
    Ok(find_many(db, community, &[id]).await?.pop())
}

/// Where a list of reports goes on: behind the one that was submitted then, under this id.
pub type Cursor = (DateTime<Utc>, Uuid);

/// The ids of a community's reports, newest first, by what they are at an instant.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &ReportFilter,
    now: DateTime<Utc>,
    window: Window<Option<Cursor>>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.report_list
        select report_id from activity.report
        where community_id = $1
            and ($2::timestamptz is null or (submitted_at, report_id) < ($2, $3))
            and ($4::uuid is null or programme_id = $4)
            and ($5::uuid is null or member_id = $5)
            and ($6::text is null or $6 = case when state = 'resolved' and close_at <= $7 then 'closed' else state end)
            and ($8::text is null or category = $8)
            and ($9::text is null or urgency = $9)
            and (not $10 or case state
                when 'submitted' then triage_due_at < $7
                when 'accepted' then resolve_due_at < $7
                when 'assigned' then resolve_due_at < $7
                when 'in_progress' then resolve_due_at < $7
                else false
            end)
        order by submitted_at desc, report_id desc
        limit $11
        "#,
        filter.community.0,
        window.after.map(|(at, _)| at),
        window.after.map(|(_, id)| id),
        filter.programme,
        filter.member,
        filter.state as Option<ReportState>,
        now,
        filter.category,
        filter.urgency as Option<Urgency>,
        filter.overdue,
        window.limit,
    )
    .fetch_all(db)
    .await
}

/// The ids of a programme's reports that everybody in the community may see, newest first: somebody has looked, and they are not private.
pub async fn list_public(
    db: impl PgExecutor<'_>,
    place: (Community, Uuid),
    category: Option<&str>,
    window: Window<Option<Cursor>>,
) -> sqlx::Result<Vec<Uuid>> {
    let (community, programme) = place;
    sqlx::query_scalar!(
        r#"
        -- activity.report_list_public
        select report_id from activity.report
        where community_id = $1 and programme_id = $2
            and (submitted_at, report_id) < (coalesce($3::timestamptz, 'infinity'), $4)
            and ($5::text is null or category = $5)
            and visibility in ('public', 'redacted')
            and state in ('accepted', 'assigned', 'in_progress', 'resolved', 'closed', 'referred')
        order by submitted_at desc, report_id desc
        limit $6
        "#,
        community.0,
        programme,
        window.after.map(|(at, _)| at),
        window.after.map(|(_, id)| id),
        category,
        window.limit,
    )
    .fetch_all(db)
    .await
}

/// The ids of so many open reports in the category of another one that were submitted no later, newest first.
pub async fn list_open_like(
    db: impl PgExecutor<'_>,
    report: &Report,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.report_list_open_like
        select report_id from activity.report
        where community_id = $1 and programme_id = $2 and category = $3 and submitted_at <= $4 and report_id <> $5
            and state in ('submitted', 'accepted', 'assigned', 'in_progress')
        order by submitted_at desc
        limit $6
        "#,
        report.community.0,
        report.programme,
        report.category,
        report.submitted_at,
        report.id,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Writes where a locked report stands.
pub async fn set(db: impl PgExecutor<'_>, report: &Report) -> sqlx::Result<()> {
    let (member, team, staff) = match &report.assignee {
        None => (None, None, None),
        Some(Assignee::Member(id)) => (Some(*id), None, None),
        Some(Assignee::Team(id)) => (None, Some(*id), None),
        Some(Assignee::Staff(name)) => (None, None, Some(name)),
    };
    sqlx::query!(
        r#"
        -- activity.report_set
        update activity.report set urgency = $3, visibility = $4, state = $5, triage_due_at = $6, resolve_due_at = $7,
            assignee_member = $8, assignee_team = $9, assignee_staff = $10, changed_by = $11, changed_at = $12, reason = $13,
            duplicate_of = $14, referred_to = $15, close_at = $16, rating = $17, rating_comment = $18, events = $19,
            details = $20
        where community_id = $1 and report_id = $2
        "#,
        report.community.0,
        report.id,
        report.urgency as Urgency,
        report.visibility as Visibility,
        report.state as ReportState,
        report.triage_due_at,
        report.resolve_due_at,
        member,
        team,
        staff,
        report.changed_by,
        report.changed_at,
        report.reason,
        report.duplicate_of,
        report.referred_to,
        report.close_at,
        report.rating,
        report.rating_comment,
        report.events,
        report.details,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds an event of a locked report.
pub async fn insert_event(
    db: impl PgExecutor<'_>,
    place: (Community, Uuid),
    event: &ReportEvent,
) -> sqlx::Result<()> {
    let (community, report) = place;
    sqlx::query!(
        r#"
        -- activity.report_event_insert
        insert into activity.report_event
            (community_id, report_id, number, kind, state, actor, at, text, photos, request_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        community.0,
        report,
        event.number,
        event.kind as EventKind,
        event.state as ReportState,
        event.actor,
        event.at,
        event.text,
        &event.photos,
        event.request,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A report's events in order.
pub async fn list_events(
    db: impl PgExecutor<'_>,
    place: (Community, Uuid),
    window: Window<i64>,
) -> sqlx::Result<Vec<ReportEvent>> {
    let (community, report) = place;
    sqlx::query_as!(
        ReportEvent,
        r#"
        -- activity.report_event_list
        select number, kind as "kind: EventKind", state as "state: ReportState", actor, at, text, photos,
            request_id as request
        from activity.report_event
        where community_id = $1 and report_id = $2 and number > $3
        order by number
        limit $4
        "#,
        community.0,
        report,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await
}

/// The last so many events of some kinds of each of some reports, each with its report, in order.
pub async fn list_last_events(
    db: impl PgExecutor<'_>,
    place: (Community, &[Uuid]),
    kinds: &[EventKind],
    most: i64,
) -> sqlx::Result<Vec<(Uuid, ReportEvent)>> {
    let (community, reports) = place;
    let rows = sqlx::query!(
        r#"
        -- activity.report_event_list_last
        select asked.report_id as "report_id!", last.number as "number!", last.kind as "kind!: EventKind",
            last.state as "state!: ReportState", last.actor, last.at as "at!", last.text as "text!", last.photos as "photos!",
            last.request_id
        from unnest($2::uuid[]) as asked (report_id)
        cross join lateral (
            select * from activity.report_event
            where community_id = $1 and report_event.report_id = asked.report_id and kind = any($3)
            order by number desc
            limit $4
        ) as last
        order by 1, 2
        "#,
        community.0,
        reports,
        kinds as &[EventKind],
        most,
    )
    .fetch_all(db)
    .await?;
    let event = rows.into_iter().map(|row| {
        let event = ReportEvent {
            number: row.number,
            kind: row.kind,
            state: row.state,
            actor: row.actor,
            at: row.at,
            text: row.text,
            photos: row.photos,
            request: row.request_id,
        };
        (row.report_id, event)
    });
    Ok(event.collect())
}
