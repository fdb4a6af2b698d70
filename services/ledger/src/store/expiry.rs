//! What expires when.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{AccountId, CommunityId, Lot, NEVER};

/// Which of the lots that will expire to list.
#[derive(Clone, Debug)]
pub struct LotQuery {
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Only this programme's.
    pub programme: Option<Uuid>,
    /// Only those that expire earlier.
    pub end: Option<DateTime<Utc>>,
    /// Only those behind this one, by expiry and account.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    /// At most so many.
    pub limit: i64,
}

/// A lot that expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringLot {
    /// Whose.
    pub account: AccountId,
    /// In which asset.
    pub asset: String,
    /// When.
    pub expires_at: DateTime<Utc>,
    /// What is in it.
    pub lot: Lot,
}

struct LotRow {
    account_id: Uuid,
    asset: String,
    expires_at: DateTime<Utc>,
    remaining: i64,
    held: i64,
}

/// Lots that have something in them and expire after `now`, by expiry and account.
pub async fn lot_list(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
    query: &LotQuery,
) -> sqlx::Result<Vec<ExpiringLot>> {
    let rows = match query.account {
        // A statement of its own, for one plan can't be good for both.
        Some(account) => account_lot_rows(conn, community, account, now, query).await?,
        None => lot_rows(conn, community, now, query).await?,
    };
    let lots = rows.into_iter().map(|row| ExpiringLot {
        account: AccountId(row.account_id),
        asset: row.asset,
        expires_at: row.expires_at,
        lot: Lot {
            remaining: row.remaining,
            held: row.held,
        },
    });
    Ok(lots.collect())
}

async fn account_lot_rows(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    now: DateTime<Utc>,
    query: &LotQuery,
) -> sqlx::Result<Vec<LotRow>> {
    let after = query.after.map_or(now, |(at, _)| at.max(now));
    sqlx::query_as!(
        LotRow,
        r#"
        -- ledger.account_lot_rows
        select lot.account_id, account.asset, lot.expires_at, lot.remaining, lot.held
        from ledger.lot
        join ledger.account on account.community_id = $1 and account.account_id = $2
        where lot.community_id = $1 and lot.account_id = $2 and (lot.remaining > 0 or lot.held > 0)
            and lot.expires_at > $3 and lot.expires_at < $4 and ($5::uuid is null or account.programme_id = $5)
        order by lot.expires_at limit $6
        "#,
        community.0,
        account.0,
        after,
        expiring(query.end),
        query.programme,
        query.limit,
    )
    .fetch_all(conn)
    .await
}

async fn lot_rows(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
    query: &LotQuery,
) -> sqlx::Result<Vec<LotRow>> {
    let (after_time, after_account) = query.after.unwrap_or((now, Uuid::max()));
    sqlx::query_as!(
        LotRow,
        r#"
        -- ledger.lot_rows
        select due.account_id, account.asset, due.expires_at, due.remaining, due.held
        from (
            select account_id, expires_at, remaining, held from ledger.lot
            where community_id = $1 and (remaining > 0 or held > 0)
                and expires_at > $2 and expires_at >= $4 and expires_at < $3 and (expires_at, account_id) > ($4, $5)
                and ($6::uuid is null or exists (
                    select from ledger.account
                    where account.community_id = $1 and account.account_id = lot.account_id and account.programme_id = $6))
            order by expires_at, account_id limit $7
        ) as due
        join ledger.account on account.community_id = $1 and account.account_id = due.account_id
        order by due.expires_at, due.account_id
        "#,
        community.0,
        now,
        expiring(query.end),
        after_time,
        after_account,
        query.programme,
        query.limit,
    )
    .fetch_all(conn)
    .await
}

/// Which sums of the lots that will expire to list.
#[derive(Clone, Debug)]
pub struct ScheduleQuery {
    /// Only this programme's.
    pub programme: Option<Uuid>,
    /// Only what expires earlier.
    pub end: Option<DateTime<Utc>>,
    /// Only sums behind this one, by expiry and asset.
    pub after: Option<(DateTime<Utc>, String)>,
    /// At most so many.
    pub limit: i64,
}

/// What expires at one instant in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledExpiry {
    /// When.
    pub expires_at: DateTime<Utc>,
    /// In which asset.
    pub asset: String,
    /// On how many accounts.
    pub accounts: i64,
    /// The sums over their lots.
    pub sum: Lot,
}

/// Sums of the lots that expire after `now`, by expiry and asset.
pub async fn expiry_schedule(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
    query: &ScheduleQuery,
) -> sqlx::Result<Vec<ScheduledExpiry>> {
    // No asset has an empty code: the first page takes in all assets of the first instant after now. The accounts are read once and
    // not looked up lot by lot, of which an instant may have as many as there are members.
    let after = query.after.as_ref();
    let (after_time, after_asset) = after.map_or((now, ""), |(at, asset)| (*at, asset));
    let rows = sqlx::query!(
        r#"
        -- ledger.expiry_schedule
        with owner as materialized (
            select account_id, asset from ledger.account
            where community_id = $1 and expiry_account_id is not null and ($6::uuid is null or programme_id = $6)
        )
        select lot.expires_at, owner.asset, count(*) as "accounts!", sum(lot.remaining)::bigint as "remaining!",
            sum(lot.held)::bigint as "held!"
        from ledger.lot join owner on owner.account_id = lot.account_id
        where lot.community_id = $1 and (lot.remaining > 0 or lot.held > 0)
            and lot.expires_at > $2 and lot.expires_at >= $4 and lot.expires_at < $3
            and (lot.expires_at, owner.asset) > ($4, $5::text)
        group by lot.expires_at, owner.asset
        order by lot.expires_at, owner.asset limit $7
        "#,
        community.0,
        now,
        expiring(query.end),
        after_time,
        after_asset,
        query.programme,
        query.limit,
    )
    .fetch_all(conn)
    .await?;
    let sums = rows.into_iter().map(|row| ScheduledExpiry {
        expires_at: row.expires_at,
        asset: row.asset,
        accounts: row.accounts,
        sum: Lot {
            remaining: row.remaining,
            held: row.held,
        },
    });
    Ok(sums.collect())
}

/// The end of the time in which lots expire: what never expires is not in it.
fn expiring(end: Option<DateTime<Utc>>) -> DateTime<Utc> {
    end.map_or(NEVER, |end| end.min(NEVER))
}
