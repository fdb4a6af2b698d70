//! Notices, what members mute of them, and how far each programme's members were told of what expires.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Window, event};
use crate::domain::{
    Community,
    event::NewEvent,
    notice::{Content, NewNotice, Notice, NoticeClass},
};

/// Which of a member's notices to list.
#[derive(Debug, Clone, Copy)]
pub struct NoticeFilter {
    pub community: Community,
    pub member: Uuid,
    pub class: Option<NoticeClass>,
    pub unread_only: bool,
}

/// A programme whose turn it is.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub programme_id: Uuid,
    /// Up to here each expiry has its receipt.
    pub entry_sequence: i64,
}

/// Adds notices that were not given before, each with its event; those of a class that the member mutes as read, and without.
pub async fn insert(
    conn: &mut PgConnection,
    community: Community,
    notices: &[NewNotice],
    at: DateTime<Utc>,
) -> sqlx::Result<u64> {
    if notices.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = notices.iter().map(|new| new.id).collect();
    let members: Vec<Uuid> = notices.iter().map(|new| new.member).collect();
    let contents = || notices.iter().map(|new| &new.content);
    let classes: Vec<NoticeClass> = contents().map(Content::class).collect();
    let kinds: Vec<String> = contents()
        .map(|content| content.kind().to_owned())
        .collect();
    let subjects: Vec<String> = contents().map(Content::subject).collect();
    let keys: Vec<String> = notices.iter().map(NewNotice::dedupe_key).collect();
    let parameters: Vec<Json<&Content>> = contents().map(Json).collect();
    let added = sqlx::query!(
        r#"
        -- activity.notice_insert
        insert into activity.notice
            (community_id, notice_id, member_id, class, kind, subject, parameters, dedupe_key, created_at, read_at)
        select $1, told.notice_id, told.member_id, told.class, told.kind, told.subject, told.parameters, told.dedupe_key, $9,
            case when told.class = any(preference.muted) then $9::timestamptz end
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[])
            as told (notice_id, member_id, class, kind, subject, parameters, dedupe_key)
        left join activity.notice_preference as preference
            on preference.community_id = $1 and preference.member_id = told.member_id
        on conflict (community_id, member_id, dedupe_key) do nothing
        returning notice_id, read_at is not null as "is_muted!"
        "#,
        community.0,
        &ids,
        &members,
        &classes as &[NoticeClass],
        &kinds,
        &subjects,
        &parameters as _,
        &keys,
        at,
    )
    .fetch_all(&mut *conn)
    .await?;
    let is_news = |new: &&NewNotice| {
        added
            .iter()
            .any(|row| row.notice_id == new.id && !row.is_muted)
    };
    let fresh = notices.iter().filter(is_news);
    let events: Vec<NewEvent> = fresh.map(NewEvent::of_notice).collect();
    event::insert(conn, community, &events).await?;
    Ok(added.len() as u64)
}

/// A member's notices, newest first, before one.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: NoticeFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Notice>> {
    let rows = sqlx::query!(
        r#"
        -- activity.notice_list
        select notice_id, member_id, class as "class: NoticeClass", subject, parameters as "parameters: Json<Content>", created_at,
            read_at
        from activity.notice
        where community_id = $1 and member_id = $2 and notice_id < $3
            and ($4::text is null or class = $4) and (not $5 or read_at is null)
        order by notice_id desc
        limit $6
        "#,
        filter.community.0,
        filter.member,
        window.after,
        filter.class as Option<NoticeClass>,
        filter.unread_only,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let notices = rows.into_iter().map(|row| Notice {
        id: row.notice_id,
        member: row.member_id,
        class: row.class,
        subject: row.subject,
        content: row.parameters.0,
        created_at: row.created_at,
        read_at: row.read_at,
    });
    Ok(notices.collect())
}

/// Which of some notices are a member's.
pub async fn ids_of(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.notice_ids_of
        select notice_id from activity.notice
        where community_id = $1 and member_id = $2 and notice_id = any($3)
        "#,
        community.0,
        member,
        ids,
    )
    .fetch_all(db)
    .await
}

/// Marks notices as read, those that are not yet.
pub async fn set_read(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.notice_set_read
        update activity.notice set read_at = greatest($3, created_at)
        where community_id = $1 and notice_id = any($2) and read_at is null
        "#,
        community.0,
        ids,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many notices a member has not read.
pub async fn count_unread(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- activity.notice_count_unread
        select count(*) as "count!" from activity.notice
        where community_id = $1 and member_id = $2 and read_at is null
        "#,
        community.0,
        member,
    )
    .fetch_one(db)
    .await
}

/// What a member mutes.
pub async fn muted(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
) -> sqlx::Result<Vec<NoticeClass>> {
    let muted = sqlx::query_scalar!(
        r#"
        -- activity.notice_muted
        select muted as "muted: Vec<NoticeClass>" from activity.notice_preference
        where community_id = $1 and member_id = $2
        "#,
        community.0,
        member,
    )
    .fetch_optional(db)
    .await?;
    Ok(muted.unwrap_or_default())
}

/// Writes what a member mutes.
pub async fn set_muted(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
    muted: &[NoticeClass],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.notice_set_muted
        insert into activity.notice_preference as preference (community_id, member_id, muted, changed_at)
        values ($1, $2, $3, $4)
        on conflict (community_id, member_id) do update set muted = excluded.muted, changed_at = excluded.changed_at
        "#,
        community.0,
        member,
        muted as &[NoticeClass],
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Watches programmes that nobody watches yet. Of all communities.
pub async fn watch_new(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.notice_watch_new
        insert into activity.notice_watch (community_id, programme_id, due_at)
        select community_id, programme_id, $1 from activity.programme
        where not exists (
            select from activity.notice_watch as watch
            where watch.community_id = programme.community_id and watch.programme_id = programme.programme_id
        )
        on conflict do nothing
        "#,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A community with a programme whose turn it is.
pub async fn community_due(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let id = sqlx::query_scalar!(
        r#"
        -- activity.notice_community_due
        select community_id from activity.notice_watch where due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(id.map(Community))
}

/// Claims a programme of a community whose turn it is, until an instant.
pub async fn claim(
    db: impl PgExecutor<'_>,
    community: Community,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Option<Watch>> {
    sqlx::query_as!(
        Watch,
        r#"
        -- activity.notice_claim
        with due as (
            select programme_id from activity.notice_watch
            where community_id = $1 and due_at <= $2
            order by due_at
            limit 1
            for update skip locked
        )
        update activity.notice_watch as watch set due_at = $3
        from due
        where watch.community_id = $1 and watch.programme_id = due.programme_id
        returning watch.programme_id, watch.entry_sequence
        "#,
        community.0,
        now,
        until,
    )
    .fetch_optional(db)
    .await
}

/// Writes up to which entry each expiry has its receipt; it never goes back.
pub async fn set_sequence(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
    sequence: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.notice_set_sequence
        update activity.notice_watch set entry_sequence = greatest(entry_sequence, $3)
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        programme,
        sequence,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes when it is a programme's turn again.
pub async fn set_due(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.notice_set_due
        update activity.notice_watch set due_at = $3 where community_id = $1 and programme_id = $2
        "#,
        community.0,
        programme,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
