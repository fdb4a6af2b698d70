//! Offline codes.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, known};
use crate::domain::{KeptOfflineCode, Name, OfflineCode, OfflineState};

struct Row {
    community_id: Uuid,
    code_id: Uuid,
    member_id: Uuid,
    programme_id: Uuid,
    slot: i16,
    points: i64,
    state: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    returns_at: DateTime<Utc>,
    redemption_id: Option<Uuid>,
    sold_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for KeptOfflineCode {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            code: OfflineCode {
                community: row.community_id,
                programme: row.programme_id,
                id: row.code_id,
                points: row.points,
                created_at: row.created_at,
                expires_at: row.expires_at,
            },
            member: row.member_id,
            slot: row.slot,
            state: known(OfflineState::parse(&row.state), &row.state)?,
            returns_at: row.returns_at,
            sale: row.redemption_id.zip(row.sold_at),
        })
    }
}

/// Writes down that the points of a member's codes went back, of those whose time was over at an instant.
pub async fn offline_code_return(
    conn: &mut PgConnection,
    member: Name,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offline_code_return
        update redemption.offline_code set state = 'returned'
        where community_id = $1 and member_id = $2 and state = 'held' and returns_at <= $3
        "#,
        member.community,
        member.id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which places of a member and programme are taken.
pub async fn offline_code_slots(
    conn: &mut PgConnection,
    member: Name,
    programme: Uuid,
) -> sqlx::Result<Vec<i16>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.offline_code_slots
        select slot from redemption.offline_code
        where community_id = $1 and member_id = $2 and programme_id = $3 and state = 'held'
        "#,
        member.community,
        member.id,
        programme,
    )
    .fetch_all(conn)
    .await
}

/// Adds a code.
pub async fn offline_code_insert(
    conn: &mut PgConnection,
    kept: &KeptOfflineCode,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offline_code_insert
        insert into redemption.offline_code (
            community_id, code_id, member_id, programme_id, slot, points, state, created_at, expires_at, returns_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        kept.code.community,
        kept.code.id,
        kept.member,
        kept.code.programme,
        kept.slot,
        kept.code.points,
        kept.state.as_str(),
        kept.code.created_at,
        kept.code.expires_at,
        kept.returns_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down that nothing is held for a code.
pub async fn offline_code_drop(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offline_code_drop
        update redemption.offline_code set state = 'returned'
        where community_id = $1 and code_id = $2 and state = 'held'
        "#,
        name.community,
        name.id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads a code.
pub async fn offline_code_find(
    db: impl PgExecutor<'_>,
    name: Name,
) -> sqlx::Result<Option<KeptOfflineCode>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offline_code_find
        select community_id, code_id, member_id, programme_id, slot, points, state, created_at, expires_at, returns_at,
            redemption_id, sold_at
        from redemption.offline_code
        where community_id = $1 and code_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    row.map(KeptOfflineCode::try_from).transpose()
}

/// Reads a code and locks it: it pays one sale.
pub async fn offline_code_lock(
    conn: &mut PgConnection,
    name: Name,
) -> sqlx::Result<Option<KeptOfflineCode>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offline_code_lock
        select community_id, code_id, member_id, programme_id, slot, points, state, created_at, expires_at, returns_at,
            redemption_id, sold_at
        from redemption.offline_code
        where community_id = $1 and code_id = $2
        for no key update
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(KeptOfflineCode::try_from).transpose()
}

/// Writes which sale a locked code pays.
pub async fn offline_code_use(
    conn: &mut PgConnection,
    name: Name,
    sale: (Uuid, DateTime<Utc>),
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offline_code_use
        update redemption.offline_code set state = 'used', redemption_id = $3, sold_at = $4
        where community_id = $1 and code_id = $2
        "#,
        name.community,
        name.id,
        sale.0,
        sale.1,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Undoes that a code pays a sale: the ledger has refused it, and will refuse another.
pub async fn offline_code_unuse(
    db: impl PgExecutor<'_>,
    name: Name,
    sale: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offline_code_unuse
        update redemption.offline_code set state = 'returned', redemption_id = null, sold_at = null
        where community_id = $1 and code_id = $2 and redemption_id = $3
            and not exists (select from redemption.redemption where community_id = $1 and redemption_id = $3)
        "#,
        name.community,
        name.id,
        sale,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A member's codes by id.
pub async fn offline_code_list(
    db: impl PgExecutor<'_>,
    member: Name,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<KeptOfflineCode>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offline_code_list
        select community_id, code_id, member_id, programme_id, slot, points, state, created_at, expires_at, returns_at,
            redemption_id, sold_at
        from redemption.offline_code
        where community_id = $1 and member_id = $2 and code_id > $3
        order by code_id
        limit $4
        "#,
        member.community,
        member.id,
        page.after.unwrap_or(Uuid::nil()),
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(KeptOfflineCode::try_from).collect()
}

/// The price of an offer at an instant: its revision and the points; nothing before its first.
pub async fn offer_price_at(
    db: impl PgExecutor<'_>,
    offer: Name,
    at: DateTime<Utc>,
) -> sqlx::Result<Option<(i32, i64)>> {
    let row = sqlx::query!(
        r#"
        -- redemption.offer_price_at
        select revision, points from redemption.offer_revision
        where community_id = $1 and offer_id = $2 and created_at <= $3
        order by revision desc
        limit 1
        "#,
        offer.community,
        offer.id,
        at,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.revision, row.points)))
}
