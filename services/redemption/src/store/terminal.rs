//! Stores, terminals, their keys and what pairs them. Of secrets there are only hashes.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Page;
use crate::domain::{Name, Revoked, SecretHash, Store, Terminal, Thumbprint};

/// Adds a store.
pub async fn store_insert(conn: &mut PgConnection, store: &Store) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.store_insert
        insert into redemption.store (community_id, store_id, merchant_id, number, display_name, require_certificate, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        store.community,
        store.id,
        store.merchant,
        store.number,
        store.display_name,
        store.require_certificate,
        store.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a store.
pub async fn store_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Store>> {
    sqlx::query_as!(
        Store,
        r#"
        -- redemption.store_find
        select community_id as community, store_id as id, merchant_id as merchant, number, display_name, require_certificate, created_at
        from redemption.store
        where community_id = $1 and store_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await
}

/// A merchant's stores by id.
pub async fn store_list(
    db: impl PgExecutor<'_>,
    merchant: Name,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<Store>> {
    sqlx::query_as!(
        Store,
        r#"
        -- redemption.store_list
        select community_id as community, store_id as id, merchant_id as merchant, number, display_name, require_certificate, created_at
        from redemption.store
        where community_id = $1 and merchant_id = $2 and store_id > $3
        order by store_id
        limit $4
        "#,
        merchant.community,
        merchant.id,
        page.after.unwrap_or(Uuid::nil()),
        page.limit,
    )
    .fetch_all(db)
    .await
}

struct Row {
    community_id: Uuid,
    terminal_id: Uuid,
    store_id: Uuid,
    merchant_id: Uuid,
    display_name: String,
    paired_at: DateTime<Utc>,
    certificate_hash: Option<Vec<u8>>,
    revoked_at: Option<DateTime<Utc>>,
    revoke_reason: Option<String>,
}

impl From<Row> for Terminal {
    fn from(row: Row) -> Self {
        let reason = row.revoke_reason.unwrap_or_default();
        Self {
            community: row.community_id,
            id: row.terminal_id,
            store: row.store_id,
            merchant: row.merchant_id,
            display_name: row.display_name,
            paired_at: row.paired_at,
            certificate: row.certificate_hash.and_then(thumbprint),
            revoked: row.revoked_at.map(|at| Revoked { at, reason }),
        }
    }
}

/// Adds a terminal that may call.
pub async fn terminal_insert(conn: &mut PgConnection, terminal: &Terminal) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.terminal_insert
        insert into redemption.terminal (community_id, terminal_id, store_id, merchant_id, display_name, state, paired_at)
        values ($1, $2, $3, $4, $5, 'active', $6)
        "#,
        terminal.community,
        terminal.id,
        terminal.store,
        terminal.merchant,
        terminal.display_name,
        terminal.paired_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a terminal.
pub async fn terminal_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Terminal>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.terminal_find
        select community_id, terminal_id, store_id, merchant_id, display_name, paired_at, revoked_at, revoke_reason,
            (
                select certificate_hash from redemption.terminal_key as held
                where held.community_id = $1 and held.terminal_id = terminal.terminal_id and held.retires_at is null
                order by held.created_at desc
                limit 1
            ) as certificate_hash
        from redemption.terminal
        where community_id = $1 and terminal_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Terminal::from))
}

/// Reads a terminal and locks it.
pub async fn terminal_lock(conn: &mut PgConnection, name: Name) -> sqlx::Result<Option<Terminal>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.terminal_lock
        select community_id, terminal_id, store_id, merchant_id, display_name, paired_at, revoked_at, revoke_reason,
            (
                select certificate_hash from redemption.terminal_key as held
                where held.community_id = $1 and held.terminal_id = terminal.terminal_id and held.retires_at is null
                order by held.created_at desc
                limit 1
            ) as certificate_hash
        from redemption.terminal
        where community_id = $1 and terminal_id = $2
        for no key update
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Terminal::from))
}

/// A merchant's terminals by id.
pub async fn terminal_list(
    db: impl PgExecutor<'_>,
    merchant: Name,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<Terminal>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.terminal_list
        select community_id, terminal_id, store_id, merchant_id, display_name, paired_at, revoked_at, revoke_reason,
            (
                select certificate_hash from redemption.terminal_key as held
                where held.community_id = $1 and held.terminal_id = terminal.terminal_id and held.retires_at is null
                order by held.created_at desc
                limit 1
            ) as certificate_hash
        from redemption.terminal
        where community_id = $1 and merchant_id = $2 and terminal_id > $3
        order by terminal_id
        limit $4
        "#,
        merchant.community,
        merchant.id,
        page.after.unwrap_or(Uuid::nil()),
        page.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Terminal::from).collect())
}

/// Writes that a locked terminal is shut out.
pub async fn terminal_revoke(
    conn: &mut PgConnection,
    name: Name,
    revoked: &Revoked,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.terminal_revoke
        update redemption.terminal set state = 'revoked', revoked_at = $3, revoke_reason = $4
        where community_id = $1 and terminal_id = $2
        "#,
        name.community,
        name.id,
        revoked.at,
        revoked.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is kept of a new key.
#[derive(Clone, Copy)]
pub struct NewKey {
    /// The hash of its secret.
    pub hash: SecretHash,
    /// The certificate that it is bound to.
    pub certificate: Option<Thumbprint>,
    /// When it was made.
    pub at: DateTime<Utc>,
}

fn thumbprint(hash: Vec<u8>) -> Option<Thumbprint> {
    hash.try_into().ok().map(Thumbprint)
}

/// Keeps the key that a call has made for a terminal, in place of the one that it made before.
pub async fn terminal_key_put(
    conn: &mut PgConnection,
    terminal: Name,
    request_id: Uuid,
    key: NewKey,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.terminal_key_put
        insert into redemption.terminal_key (community_id, terminal_id, request_id, key_hash, certificate_hash, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint terminal_key_pk
            do update set key_hash = excluded.key_hash, certificate_hash = excluded.certificate_hash, created_at = excluded.created_at
        "#,
        terminal.community,
        terminal.id,
        request_id,
        &key.hash.0[..],
        key.certificate.as_ref().map(|certificate| &certificate.0[..]),
        key.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets a terminal's other keys end at an instant, unless they end sooner.
pub async fn terminal_keys_retire(
    conn: &mut PgConnection,
    terminal: Name,
    request_id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.terminal_keys_retire
        update redemption.terminal_key set retires_at = $4
        where community_id = $1 and terminal_id = $2 and request_id <> $3 and (retires_at is null or retires_at > $4)
        "#,
        terminal.community,
        terminal.id,
        request_id,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose a key is, and whether it counts.
#[derive(Debug, Clone, Copy)]
pub struct KeyHolder {
    /// The terminal's merchant.
    pub merchant: Uuid,
    /// Where it stands.
    pub store: Uuid,
    /// Whether the terminal is shut out.
    pub is_revoked: bool,
    /// Until when the key counts.
    pub retires_at: Option<DateTime<Utc>>,
    /// The certificate that the key is bound to.
    pub certificate: Option<Thumbprint>,
}

/// Finds whose key has a hash.
pub async fn terminal_key_find(
    db: impl PgExecutor<'_>,
    terminal: Name,
    hash: SecretHash,
) -> sqlx::Result<Option<KeyHolder>> {
    let row = sqlx::query!(
        r#"
        -- redemption.terminal_key_find
        select terminal.merchant_id, terminal.store_id, terminal.state = 'revoked' as "is_revoked!", held.retires_at, held.certificate_hash
        from redemption.terminal_key as held
        join redemption.terminal using (community_id, terminal_id)
        where community_id = $1 and terminal_id = $2 and held.key_hash = $3
        "#,
        terminal.community,
        terminal.id,
        &hash.0[..],
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| KeyHolder {
        merchant: row.merchant_id,
        store: row.store_id,
        is_revoked: row.is_revoked,
        retires_at: row.retires_at,
        certificate: row.certificate_hash.and_then(thumbprint),
    }))
}

/// Keeps the code that a call has made, in place of the one that it made before; false when that one was used.
pub async fn pairing_code_put(
    conn: &mut PgConnection,
    store: Name,
    request_id: Uuid,
    (hash, expires_at): (SecretHash, DateTime<Utc>),
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- redemption.pairing_code_put
        insert into redemption.pairing_code as code (community_id, request_id, store_id, code_hash, expires_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint pairing_code_pk
            do update set code_hash = excluded.code_hash, expires_at = excluded.expires_at
            where code.used_by is null
        "#,
        store.community,
        request_id,
        store.id,
        &hash.0[..],
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A code that was made, and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct KeptCode {
    /// The call that made it.
    pub request_id: Uuid,
    /// For which store.
    pub store: Uuid,
    /// Until when it can be used.
    pub expires_at: DateTime<Utc>,
    /// The call that used it.
    pub used_by: Option<Uuid>,
    /// The terminal that was paired.
    pub terminal: Option<Uuid>,
}

/// Reads the code that has a hash, and locks it: it is used once.
pub async fn pairing_code_lock(
    conn: &mut PgConnection,
    community: Uuid,
    hash: SecretHash,
) -> sqlx::Result<Option<KeptCode>> {
    sqlx::query_as!(
        KeptCode,
        r#"
        -- redemption.pairing_code_lock
        select request_id, store_id as store, expires_at, used_by, terminal_id as terminal
        from redemption.pairing_code
        where community_id = $1 and code_hash = $2
        for no key update
        "#,
        community,
        &hash.0[..],
    )
    .fetch_optional(conn)
    .await
}

/// Writes that a locked code was used.
pub async fn pairing_code_use(
    conn: &mut PgConnection,
    code: Name,
    used_by: Uuid,
    terminal: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.pairing_code_use
        update redemption.pairing_code set used_by = $3, terminal_id = $4
        where community_id = $1 and request_id = $2
        "#,
        code.community,
        code.id,
        used_by,
        terminal,
    )
    .execute(conn)
    .await?;
    Ok(())
}
