//! Events, numbered in commit order.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    event::{Event, EventFilter, NewEvent},
};

/// Writes down what this transaction makes happen. [`number`] gives the numbers and the time, at its end.
pub async fn insert(
    conn: &mut PgConnection,
    community: Community,
    events: &[NewEvent],
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let kinds: Vec<&str> = events.iter().map(|new| &new.kind[..]).collect();
    let subjects: Vec<&str> = events.iter().map(|new| &new.subject[..]).collect();
    let members: Vec<Option<Uuid>> = events.iter().map(|new| new.member).collect();
    sqlx::query!(
        r#"
        -- wish.event_insert
        insert into wish.event (community_id, kind, subject, member_id)
        select $1, made.kind, made.subject, made.member_id
        from unnest($2::text[], $3::text[], $4::uuid[]) with ordinality as made (kind, subject, member_id, place)
        order by made.place
        "#,
        community.0,
        &kinds as &[&str],
        &subjects as &[&str],
        &members as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the events of this transaction their numbers and their time; says whether there are any. The last statement before the commit: it locks the community's
/// head, so that whoever has the next numbers commits later, and nothing is waited for behind that lock.
pub async fn number(
    conn: &mut PgConnection,
    community: Community,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let head = sqlx::query_scalar!(
        r#"
        -- wish.event_head_move
        insert into wish.event_head as head (community_id, sequence)
        select community_id, count(*) from wish.event where community_id = $1 and sequence is null
        group by community_id
        on conflict (community_id) do update set sequence = head.sequence + excluded.sequence
        returning sequence
        "#,
        community.0,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(head) = head else {
        return Ok(false);
    };
    sqlx::query!(
        r#"
        -- wish.event_number
        update wish.event as event set sequence = $2 - fresh.behind, recorded_at = $3
        from (
            select event_id, row_number() over (order by event_id desc) - 1 as behind from wish.event
            where community_id = $1 and sequence is null
        ) as fresh
        where event.community_id = $1 and event.event_id = fresh.event_id
        "#,
        community.0,
        head,
        now,
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Events by sequence.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: EventFilter,
    window: Window<i64>,
) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as!(
        Event,
        r#"
        -- wish.event_list
        select sequence as "sequence!", kind, subject, member_id as member, recorded_at as "at!"
        from wish.event
        where community_id = $1 and sequence > $2 and ($3::uuid is null or member_id = $3)
        order by sequence
        limit $4
        "#,
        filter.community.0,
        window.after,
        filter.member,
        window.limit,
    )
    .fetch_all(db)
    .await
}
