//! Assets, accounts and lots.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::unknown;
use crate::domain::{
    Account, AccountDefinition, AccountId, AccountKind, AccountLimits, Asset, CommunityId, Lot,
    Lots,
};

/// Adds an asset; false when its code is taken.
pub async fn asset_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    asset: &Asset,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- ledger.asset_insert
        insert into ledger.asset (community_id, code, exponent, created_at) values ($1, $2, $3, $4)
        on conflict on constraint asset_pk do nothing
        "#,
        community.0,
        asset.code,
        asset.exponent,
        asset.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An asset by its code.
pub async fn asset_find(
    conn: &mut PgConnection,
    community: CommunityId,
    code: &str,
) -> sqlx::Result<Option<Asset>> {
    sqlx::query_as!(
        Asset,
        r#"
        -- ledger.asset_find
        select code, exponent, created_at from ledger.asset where community_id = $1 and code = $2
        "#,
        community.0,
        code,
    )
    .fetch_optional(conn)
    .await
}

/// Adds an account; false when its id is taken.
pub async fn account_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    account: &AccountDefinition,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- ledger.account_insert
        insert into ledger.account (community_id, account_id, programme_id, asset, kind, owner_id, expiry_account_id,
            min_balance, max_balance, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict on constraint account_pk do nothing
        "#,
        community.0,
        account.id.0,
        account.programme,
        account.asset,
        account.kind as i16,
        account.owner,
        account.expiry_account.map(|id| id.0),
        account.limits.min_balance,
        account.limits.max_balance,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

struct AccountRow {
    account_id: Uuid,
    programme_id: Uuid,
    asset: String,
    kind: i16,
    owner_id: Option<Uuid>,
    expiry_account_id: Option<Uuid>,
    min_balance: Option<i64>,
    max_balance: Option<i64>,
    balance: i64,
    held: i64,
    last_sequence: i64,
    entries: i64,
    revision: i64,
    created_at: DateTime<Utc>,
}

impl AccountRow {
    fn with_lots(self, lots: Lots) -> sqlx::Result<Account> {
        Ok(Account {
            definition: AccountDefinition {
                id: AccountId(self.account_id),
                programme: self.programme_id,
                asset: self.asset,
                kind: self.kind.try_into().map_err(unknown("account kind"))?,
                owner: self.owner_id,
                expiry_account: self.expiry_account_id.map(AccountId),
                limits: AccountLimits {
                    min_balance: self.min_balance,
                    max_balance: self.max_balance,
                },
            },
            balance: self.balance,
            held: self.held,
            last_sequence: self.last_sequence,
            entries: self.entries,
            revision: self.revision,
            created_at: self.created_at,
            lots,
        })
    }
}

/// An account with its lots.
pub async fn account_find(
    conn: &mut PgConnection,
    community: CommunityId,
    id: AccountId,
) -> sqlx::Result<Option<Account>> {
    Ok(accounts_find(conn, community, &[id.0]).await?.pop())
}

/// Accounts with their lots, in no order. One descent of the primary key for each, whatever the statistics say.
pub(super) async fn accounts_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Account>> {
    let rows = sqlx::query_as!(
        AccountRow,
        r#"
        -- ledger.accounts_find
        select account.* from unnest((select $2::uuid[])) as wanted (account_id)
        cross join lateral (
            select account_id, programme_id, asset, kind, owner_id, expiry_account_id, min_balance, max_balance, balance, held,
                last_sequence, entries, revision, created_at
            from ledger.account where community_id = $1 and account.account_id = wanted.account_id offset 0
        ) as account
        "#,
        community.0,
        ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_lots(conn, community, rows).await
}

async fn with_lots(
    conn: &mut PgConnection,
    community: CommunityId,
    rows: Vec<AccountRow>,
) -> sqlx::Result<Vec<Account>> {
    let keeping = rows.iter().filter(|row| row.expiry_account_id.is_some());
    let ids: Vec<Uuid> = keeping.map(|row| row.account_id).collect();
    let mut lots = HashMap::new();
    if !ids.is_empty() {
        lots = lots_find(conn, community, &ids).await?;
    }
    rows.into_iter()
        .map(|row| {
            let lots = lots.remove(&row.account_id).unwrap_or_default();
            row.with_lots(lots)
        })
        .collect()
}

// One descent of the primary key for each account as well.
async fn lots_find(
    conn: &mut PgConnection,
    community: CommunityId,
    accounts: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Lots>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.lots_find
        select lot.account_id, lot.expires_at, lot.remaining, lot.held from unnest((select $2::uuid[])) as wanted (account_id)
        cross join lateral (
            select account_id, expires_at, remaining, held from ledger.lot
            where community_id = $1 and lot.account_id = wanted.account_id and (remaining > 0 or held > 0) offset 0
        ) as lot
        "#,
        community.0,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    let mut by_account: HashMap<Uuid, Lots> = HashMap::new();
    for row in rows {
        let lot = Lot {
            remaining: row.remaining,
            held: row.held,
        };
        by_account
            .entry(row.account_id)
            .or_default()
            .insert(row.expires_at, lot);
    }
    Ok(by_account)
}

/// Which accounts to list.
#[derive(Clone, Copy, Debug)]
pub struct AccountQuery {
    /// Only this programme's.
    pub programme: Option<Uuid>,
    /// Only of this kind.
    pub kind: Option<AccountKind>,
    /// Only those with a greater id.
    pub after: Uuid,
    /// At most so many.
    pub limit: i64,
}

/// Accounts by id.
pub async fn account_list(
    conn: &mut PgConnection,
    community: CommunityId,
    query: AccountQuery,
) -> sqlx::Result<Vec<Account>> {
    let rows = sqlx::query_as!(
        AccountRow,
        r#"
        -- ledger.account_list
        select account_id, programme_id, asset, kind, owner_id, expiry_account_id, min_balance, max_balance, balance, held,
            last_sequence, entries, revision, created_at
        from ledger.account
        where community_id = $1 and account_id > $2
            and ($3::uuid is null or programme_id = $3) and ($4::smallint is null or kind = $4)
        order by account_id limit $5
        "#,
        community.0,
        query.after,
        query.programme,
        query.kind.map(|kind| kind as i16),
        query.limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_lots(conn, community, rows).await
}

/// Sets an account's limits, which moves the journal's fence. The journal must be locked.
pub async fn account_set_limits(
    conn: &mut PgConnection,
    community: CommunityId,
    id: AccountId,
    limits: AccountLimits,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.account_set_limits
        with fence as (update ledger.journal set definitions = definitions + 1 where community_id = $1)
        update ledger.account set min_balance = $3, max_balance = $4, revision = revision + 1
        where community_id = $1 and account_id = $2
        "#,
        community.0,
        id.0,
        limits.min_balance,
        limits.max_balance,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One row of a trial balance.
pub struct TrialBalanceRow {
    /// Code of the asset.
    pub asset: String,
    /// Kind of the accounts.
    pub kind: AccountKind,
    /// How many.
    pub accounts: i64,
    /// Sum of balances.
    pub balance: i64,
    /// Sum of what is held.
    pub held: i64,
}

/// The sums of accounts by asset and kind.
pub async fn trial_balance(
    conn: &mut PgConnection,
    community: CommunityId,
    programme: Option<Uuid>,
) -> sqlx::Result<Vec<TrialBalanceRow>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.trial_balance
        select asset, kind, count(*) as "accounts!", sum(balance)::bigint as "balance!", sum(held)::bigint as "held!"
        from ledger.account where community_id = $1 and ($2::uuid is null or programme_id = $2)
        group by asset, kind order by asset, kind
        "#,
        community.0,
        programme,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(TrialBalanceRow {
                asset: row.asset,
                kind: row.kind.try_into().map_err(unknown("account kind"))?,
                accounts: row.accounts,
                balance: row.balance,
                held: row.held,
            })
        })
        .collect()
}
