//! How far merchants are settled, and whose day may be closed.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Lease, hash};
use crate::domain::{KnownStep, MerchantAccount, Settlement, Zone};

struct Row {
    community_id: Uuid,
    programme_id: Uuid,
    merchant_id: Uuid,
    asset: String,
    time_zone: String,
    next_date: NaiveDate,
    last_sequence: i64,
    balance: i64,
    hash: Vec<u8>,
}

impl TryFrom<Row> for Settlement {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            of: MerchantAccount {
                community: row.community_id,
                programme: row.programme_id,
                merchant: row.merchant_id,
            },
            asset: row.asset,
            time_zone: Zone::try_from(row.time_zone)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            next_date: row.next_date,
            last_sequence: row.last_sequence,
            balance: row.balance,
            hash: hash(row.hash)?,
        })
    }
}

/// Begins to settle a merchant in a programme, unless it is settled there already.
pub async fn settlement_insert(
    conn: &mut PgConnection,
    settlement: &Settlement,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.settlement_insert
        insert into redemption.settlement (
            community_id, programme_id, merchant_id, asset, time_zone, next_date, last_sequence, balance, hash, due_at, attempts
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)
        on conflict on constraint settlement_pk do nothing
        "#,
        settlement.of.community,
        settlement.of.programme,
        settlement.of.merchant,
        settlement.asset,
        String::from(settlement.time_zone),
        settlement.next_date,
        settlement.last_sequence,
        settlement.balance,
        &settlement.hash.0[..],
        due_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Picks an offer whose merchant is not settled in its programme: the version before this one did not begin to.
pub async fn settlement_missing(db: impl PgExecutor<'_>) -> sqlx::Result<Option<(Uuid, Uuid)>> {
    let row = sqlx::query!(
        r#"
        -- redemption.settlement_missing
        select o.community_id, o.offer_id
        from redemption.offer o
        left join redemption.settlement s
            on s.community_id = o.community_id and s.programme_id = o.programme_id and s.merchant_id = o.merchant_id
        where s.community_id is null
        order by o.created_at
        limit 1
        "#,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.community_id, row.offer_id)))
}

/// Reads how far a merchant is settled.
pub async fn settlement_find(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
) -> sqlx::Result<Option<Settlement>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.settlement_find
        select community_id, programme_id, merchant_id, asset, time_zone, next_date, last_sequence, balance, hash
        from redemption.settlement
        where community_id = $1 and programme_id = $2 and merchant_id = $3
        "#,
        of.community,
        of.programme,
        of.merchant,
    )
    .fetch_optional(db)
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// Reads and locks it: whoever holds the lock writes its next lines.
pub async fn settlement_lock(
    conn: &mut PgConnection,
    of: MerchantAccount,
) -> sqlx::Result<Option<Settlement>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.settlement_lock
        select community_id, programme_id, merchant_id, asset, time_zone, next_date, last_sequence, balance, hash
        from redemption.settlement
        where community_id = $1 and programme_id = $2 and merchant_id = $3
        for no key update
        "#,
        of.community,
        of.programme,
        of.merchant,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// Writes how far a merchant is settled now.
pub async fn settlement_update(
    conn: &mut PgConnection,
    settlement: &Settlement,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.settlement_update
        update redemption.settlement
        set next_date = $4, last_sequence = $5, balance = $6, hash = $7, due_at = $8, attempts = 0
        where community_id = $1 and programme_id = $2 and merchant_id = $3
        "#,
        settlement.of.community,
        settlement.of.programme,
        settlement.of.merchant,
        settlement.next_date,
        settlement.last_sequence,
        settlement.balance,
        &settlement.hash.0[..],
        due_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes that nothing happened before a day, unless it is not as it was read.
pub async fn settlement_skip(
    db: impl PgExecutor<'_>,
    read: &Settlement,
    next_date: NaiveDate,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.settlement_skip
        update redemption.settlement
        set next_date = $6, due_at = $7, attempts = 0
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and next_date = $4 and last_sequence = $5
        "#,
        read.of.community,
        read.of.programme,
        read.of.merchant,
        read.next_date,
        read.last_sequence,
        next_date,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Says when there may be a look at it again.
pub async fn settlement_set_due(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.settlement_set_due
        update redemption.settlement
        set due_at = $4
        where community_id = $1 and programme_id = $2 and merchant_id = $3
        "#,
        of.community,
        of.programme,
        of.merchant,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Picks the community with the merchant that has waited longest.
pub async fn settlement_due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.settlement_due_community
        select community_id
        from redemption.settlement
        where due_at <= $1
        order by due_at
        limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Claims merchants of a community whose day may be closed, under a lease; returns how often there was a try.
pub async fn settlement_claim_due(
    db: impl PgExecutor<'_>,
    community: Uuid,
    lease: Lease,
) -> sqlx::Result<Vec<(MerchantAccount, i32)>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.settlement_claim_due
        update redemption.settlement
        set due_at = $3, attempts = attempts + 1
        where community_id = $1 and (programme_id, merchant_id) in (
            select programme_id, merchant_id
            from redemption.settlement
            where community_id = $1 and due_at <= $2
            order by due_at
            limit 8
            for no key update skip locked
        )
        returning programme_id, merchant_id, attempts
        "#,
        community,
        lease.now,
        lease.until,
    )
    .fetch_all(db)
    .await?;
    let claimed = rows.into_iter().map(|row| {
        let of = MerchantAccount {
            community,
            programme: row.programme_id,
            merchant: row.merchant_id,
        };
        (of, row.attempts)
    });
    Ok(claimed.collect())
}

/// What is known of entries of the ledger.
pub async fn operation_list_by_entry(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
    entries: &[i64],
) -> sqlx::Result<Vec<KnownStep>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.operation_list_by_entry
        select o.ledger_entry as "ledger_entry!", o.kind, o.quantity, r.redemption_id, r.offer_id, r.title
        from redemption.operation o
        join redemption.redemption r on r.community_id = o.community_id and r.redemption_id = o.redemption_id
        where o.community_id = $1 and o.ledger_entry = any($2) and o.kind in ('redeem', 'capture', 'forward', 'reverse')
            and r.programme_id = $3 and r.merchant_id = $4
        "#,
        of.community,
        entries,
        of.programme,
        of.merchant,
    )
    .fetch_all(db)
    .await?;
    let steps = rows.into_iter().map(|row| KnownStep {
        sequence: row.ledger_entry,
        is_reversal: row.kind == "reverse",
        redemption: row.redemption_id,
        offer: row.offer_id,
        title: row.title,
        quantity: row.quantity,
    });
    Ok(steps.collect())
}

/// The steps of a merchant's redemptions that the ledger has not answered yet, as far as is known.
pub async fn operation_list_pending_at(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.operation_list_pending_at
        select o.operation_id
        from redemption.operation o
        join redemption.redemption r on r.community_id = o.community_id and r.redemption_id = o.redemption_id
        where o.community_id = $1 and o.state = 'pending' and r.programme_id = $2 and r.merchant_id = $3
        "#,
        of.community,
        of.programme,
        of.merchant,
    )
    .fetch_all(db)
    .await
}
