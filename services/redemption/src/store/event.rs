//! Events, numbered in commit order.

use chrono::{DateTime, Utc};
use runtime::Window;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Event, EventFilter, NewEvent};

/// Writes down what this transaction makes happen, with the next numbers. The last statement before the commit: it locks the community's head, so that
/// whoever has the numbers behind commits later, and nothing is waited for behind that lock.
pub async fn event_insert(
    conn: &mut PgConnection,
    community: Uuid,
    events: &[NewEvent],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let kinds: Vec<&str> = events.iter().map(|new| new.happened.word()).collect();
    let subjects: Vec<&str> = events.iter().map(|new| &new.subject[..]).collect();
    let members: Vec<Option<Uuid>> = events.iter().map(|new| new.member).collect();
    let merchants: Vec<Option<Uuid>> = events.iter().map(|new| new.merchant).collect();
    sqlx::query!(
        r#"
        -- redemption.event_insert
        with moved as (
            insert into redemption.event_head as head (community_id, sequence) values ($1, cardinality($3::text[]))
            on conflict on constraint event_head_pk do update set sequence = head.sequence + excluded.sequence
            returning sequence
        )
        insert into redemption.event (community_id, sequence, kind, subject, member_id, merchant_id, recorded_at)
        select $1, moved.sequence - cardinality($3) + place, kind, subject, member_id, merchant_id, $2
        from moved
        cross join unnest($3::text[], $4::text[], $5::uuid[], $6::uuid[]) with ordinality
            as made (kind, subject, member_id, merchant_id, place)
        "#,
        community,
        at,
        &kinds as &[&str],
        &subjects as &[&str],
        &members as &[Option<Uuid>],
        &merchants as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Events by sequence.
pub async fn event_list(
    db: impl PgExecutor<'_>,
    filter: EventFilter,
    window: Window<i64>,
) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as!(
        Event,
        r#"
        -- redemption.event_list
        select sequence, kind, subject, member_id as member, merchant_id as merchant, recorded_at as at
        from redemption.event
        where community_id = $1 and sequence > $2
            and ($3::uuid is null or member_id = $3)
            and ($4::uuid is null or merchant_id = $4)
        order by sequence
        limit $5
        "#,
        filter.community,
        window.after,
        filter.member,
        filter.merchant,
        window.limit,
    )
    .fetch_all(db)
    .await
}
