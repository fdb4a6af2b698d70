//! The tree's tiles and checkpoints, and the records that are chained.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{AccountDefinition, AccountId, AccountLimits, Asset, CommunityId},
    proof::{
        leaf::{Definition, StoredRefusal},
        tree::{Hash, TileId},
    },
};

/// How far a journal has come.
#[derive(Clone, Copy, Debug)]
pub struct JournalEnds {
    /// Sequence of the last entry.
    pub sequence: i64,
    /// Number of the last definition.
    pub definition: i64,
    /// Number of the last refusal.
    pub refusal: i64,
    /// Limits that were changed.
    pub limit_changes: i64,
    /// When the last entry was recorded, or the journal opened.
    pub recorded_at: DateTime<Utc>,
}

/// How far a journal has come; `None` when there is none.
pub async fn journal_ends(
    conn: &mut PgConnection,
    community: CommunityId,
) -> sqlx::Result<Option<JournalEnds>> {
    sqlx::query_as!(
        JournalEnds,
        r#"
        -- ledger.journal_ends
        select next_sequence - 1 as "sequence!", last_definition as definition, last_refusal as refusal,
            definitions as limit_changes, last_recorded_at as recorded_at
        from ledger.journal where community_id = $1
        "#,
        community.0,
    )
    .fetch_optional(conn)
    .await
}

/// Logs that an asset was defined.
pub async fn asset_log(
    conn: &mut PgConnection,
    community: CommunityId,
    asset: &Asset,
) -> sqlx::Result<()> {
    let definition = Definition {
        kind: Definition::ASSET,
        asset: Some(asset.code.clone()),
        exponent: Some(asset.exponent),
        recorded_at: asset.created_at,
        ..Definition::default()
    };
    definition_insert(conn, community, definition).await
}

/// Logs that an account was opened.
pub async fn account_log(
    conn: &mut PgConnection,
    community: CommunityId,
    account: &AccountDefinition,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let definition = Definition {
        kind: Definition::ACCOUNT,
        asset: Some(account.asset.clone()),
        account_id: Some(account.id.0),
        programme_id: Some(account.programme),
        account_kind: Some(account.kind as i16),
        owner_id: account.owner,
        expiry_account_id: account.expiry_account.map(|id| id.0),
        min_balance: account.limits.min_balance,
        max_balance: account.limits.max_balance,
        recorded_at: now,
        ..Definition::default()
    };
    definition_insert(conn, community, definition).await
}

/// Logs that an account's limits were set.
pub async fn limits_log(
    conn: &mut PgConnection,
    community: CommunityId,
    id: AccountId,
    limits: AccountLimits,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let definition = Definition {
        kind: Definition::LIMITS,
        account_id: Some(id.0),
        min_balance: limits.min_balance,
        max_balance: limits.max_balance,
        recorded_at: now,
        ..Definition::default()
    };
    definition_insert(conn, community, definition).await
}

/// Adds a definition under the next number, which the journal's row gives out.
async fn definition_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    new: Definition,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.definition_insert
        with head as (
            update ledger.journal set last_definition = last_definition + 1 where community_id = $1
            returning last_definition, next_sequence
        )
        insert into ledger.definition (community_id, number, kind, sequence, asset, exponent, account_id, programme_id,
            account_kind, owner_id, expiry_account_id, min_balance, max_balance, recorded_at)
        select $1, last_definition, $2, next_sequence - 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 from head
        "#,
        community.0,
        new.kind,
        new.asset,
        new.exponent,
        new.account_id,
        new.programme_id,
        new.account_kind,
        new.owner_id,
        new.expiry_account_id,
        new.min_balance,
        new.max_balance,
        new.recorded_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Definitions by number, after one.
pub async fn definitions_after(
    conn: &mut PgConnection,
    community: CommunityId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<Definition>> {
    sqlx::query_as!(
        Definition,
        r#"
        -- ledger.definitions_after
        select number, kind, sequence, asset, exponent, account_id, programme_id, account_kind, owner_id, expiry_account_id,
            min_balance, max_balance, recorded_at
        from ledger.definition where community_id = $1 and number > $2 order by number limit $3
        "#,
        community.0,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Stored refusals by number, after one.
pub async fn refusals_after(
    conn: &mut PgConnection,
    community: CommunityId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredRefusal>> {
    sqlx::query_as!(
        StoredRefusal,
        r#"
        -- ledger.refusals_after
        select number, request_id, fingerprint, refusal::text as "refusal!", recorded_at
        from ledger.refusal where community_id = $1 and number > $2 order by number limit $3
        "#,
        community.0,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Communities whose journal has grown since its last checkpoint.
pub async fn communities_unsealed(conn: &mut PgConnection) -> sqlx::Result<Vec<CommunityId>> {
    let ids = sqlx::query_scalar!(
        r#"
        -- ledger.communities_unsealed
        select journal.community_id from ledger.journal
        left join lateral (
            select size, definitions, refusals from ledger.checkpoint
            where checkpoint.community_id = journal.community_id order by number desc limit 1
        ) as sealed on true
        where sealed.size is null or (sealed.size, sealed.definitions, sealed.refusals)
            <> (journal.next_sequence - 1, journal.last_definition, journal.last_refusal)
        "#,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(CommunityId).collect())
}

/// Locks a community's sealing until the transaction ends; false when someone else is at it.
pub async fn sealer_lock(conn: &mut PgConnection, community: CommunityId) -> sqlx::Result<bool> {
    sqlx::query!(
        r#"
        -- ledger.sealer_open
        insert into ledger.sealer (community_id) values ($1) on conflict on constraint sealer_pk do nothing
        "#,
        community.0,
    )
    .execute(&mut *conn)
    .await?;
    let locked = sqlx::query_scalar!(
        r#"
        -- ledger.sealer_lock
        select community_id from ledger.sealer where community_id = $1 for update skip locked
        "#,
        community.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// A checkpoint as it is stored.
#[derive(Clone, Debug)]
pub struct CheckpointRow {
    /// 1, 2, 3 … within the community.
    pub number: i64,
    /// How many entries.
    pub size: i64,
    /// Of their tree.
    pub root: Vec<u8>,
    /// How many definitions.
    pub definitions: i64,
    /// Of their chain.
    pub definitions_hash: Vec<u8>,
    /// How many refusals.
    pub refusals: i64,
    /// Of their chain.
    pub refusals_hash: Vec<u8>,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub signed_at: DateTime<Utc>,
}

/// The newest checkpoint, or the newest of a size.
pub async fn checkpoint_find(
    conn: &mut PgConnection,
    community: CommunityId,
    size: Option<i64>,
) -> sqlx::Result<Option<CheckpointRow>> {
    match size {
        None => {
            sqlx::query_as!(
                CheckpointRow,
                r#"
                -- ledger.checkpoint_find
                select number, size, root, definitions, definitions_hash, refusals, refusals_hash, note, signed_at
                from ledger.checkpoint where community_id = $1 order by number desc limit 1
                "#,
                community.0,
            )
            .fetch_optional(conn)
            .await
        }
        Some(size) => {
            sqlx::query_as!(
                CheckpointRow,
                r#"
                -- ledger.checkpoint_find_size
                select number, size, root, definitions, definitions_hash, refusals, refusals_hash, note, signed_at
                from ledger.checkpoint where community_id = $1 and size = $2 order by number desc limit 1
                "#,
                community.0,
                size,
            )
            .fetch_optional(conn)
            .await
        }
    }
}

/// Checkpoints by number, after one.
pub async fn checkpoints_after(
    conn: &mut PgConnection,
    community: CommunityId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<CheckpointRow>> {
    sqlx::query_as!(
        CheckpointRow,
        r#"
        -- ledger.checkpoints_after
        select number, size, root, definitions, definitions_hash, refusals, refusals_hash, note, signed_at
        from ledger.checkpoint where community_id = $1 and number > $2 order by number limit $3
        "#,
        community.0,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Adds a checkpoint.
pub async fn checkpoint_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    new: &CheckpointRow,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.checkpoint_insert
        insert into ledger.checkpoint (community_id, number, size, root, definitions, definitions_hash, refusals, refusals_hash,
            note, signed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        community.0,
        new.number,
        new.size,
        new.root,
        new.definitions,
        new.definitions_hash,
        new.refusals,
        new.refusals_hash,
        new.note,
        new.signed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tiles by where they are; those that are not there are left out.
pub async fn tiles_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: impl IntoIterator<Item = TileId>,
) -> sqlx::Result<HashMap<TileId, Vec<Hash>>> {
    let (levels, indexes): (Vec<i16>, Vec<i64>) = ids.into_iter().map(place).unzip();
    let rows = sqlx::query!(
        r#"
        -- ledger.tiles_find
        select tile.level, tile.index, tile.hashes
        from unnest($2::smallint[], $3::bigint[]) as wanted (level, index)
        join ledger.tile on tile.community_id = $1 and tile.level = wanted.level and tile.index = wanted.index
        "#,
        community.0,
        &levels,
        &indexes,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let id = TileId {
                level: u32::try_from(row.level).unwrap_or_default(),
                index: u64::try_from(row.index).unwrap_or_default(),
            };
            (id, row.hashes.as_chunks::<32>().0.to_vec())
        })
        .collect())
}

/// Adds tiles, or lets those that are there grow.
pub async fn tiles_upsert(
    conn: &mut PgConnection,
    community: CommunityId,
    tiles: &HashMap<TileId, Vec<Hash>>,
) -> sqlx::Result<()> {
    let (levels, indexes): (Vec<i16>, Vec<i64>) = tiles.keys().copied().map(place).unzip();
    let hashes: Vec<Vec<u8>> = tiles.values().map(|hashes| hashes.concat()).collect();
    sqlx::query!(
        r#"
        -- ledger.tiles_upsert
        insert into ledger.tile (community_id, level, index, hashes)
        select $1, level, index, hashes from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as grown (level, index, hashes)
        on conflict on constraint tile_pk do update set hashes = excluded.hashes
        "#,
        community.0,
        &levels,
        &indexes,
        &hashes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The first tile of a level at or after an index, if any.
pub async fn tile_from(
    conn: &mut PgConnection,
    community: CommunityId,
    first: TileId,
) -> sqlx::Result<Option<i64>> {
    let (level, index) = place(first);
    sqlx::query_scalar!(
        r#"
        -- ledger.tile_from
        select index from ledger.tile where community_id = $1 and level = $2 and index >= $3 order by index limit 1
        "#,
        community.0,
        level,
        index,
    )
    .fetch_optional(conn)
    .await
}

fn place(id: TileId) -> (i16, i64) {
    (
        i16::try_from(id.level).expect("a tree has few levels"),
        i64::try_from(id.index).expect("a sequence fits 63 bits"),
    )
}

/// The next community, in order of ids, of which any table of the ledger knows.
pub async fn community_after(
    conn: &mut PgConnection,
    after: Option<Uuid>,
) -> sqlx::Result<Option<CommunityId>> {
    let next = sqlx::query_scalar!(
        r#"
        -- ledger.community_after
        select community_id as "community_id!" from (
            (select community_id from ledger.journal where $1::uuid is null or community_id > $1 order by 1 limit 1)
            union all (select community_id from ledger.entry where $1::uuid is null or community_id > $1 order by 1 limit 1)
            union all (select community_id from ledger.account where $1::uuid is null or community_id > $1 order by 1 limit 1)
            union all (select community_id from ledger.definition where $1::uuid is null or community_id > $1 order by 1 limit 1)
            union all (select community_id from ledger.checkpoint where $1::uuid is null or community_id > $1 order by 1 limit 1)
            union all (select community_id from ledger.refusal where $1::uuid is null or community_id > $1 order by 1 limit 1)
        ) as known order by 1 limit 1
        "#,
        after,
    )
    .fetch_optional(conn)
    .await?;
    Ok(next.map(CommunityId))
}
