//! Member codes, cards, and the handles they become. Of secrets there are only hashes.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, known};
use crate::domain::{Card, CardState, Handle, Name, PinHash, SecretHash};

/// What is kept of a code.
pub struct KeptMemberCode {
    /// The call that made it.
    pub request_id: Uuid,
    /// Whose it is.
    pub member: Uuid,
    /// From here on it counts no more.
    pub expires_at: DateTime<Utc>,
    /// What it was used for.
    pub handle: Option<Uuid>,
}

/// Writes a member's code, or the one that takes its place when its call is made again; false when that was used.
pub async fn member_code_put(
    conn: &mut PgConnection,
    member: Name,
    request_id: Uuid,
    (hash, expires_at): (SecretHash, DateTime<Utc>),
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- redemption.member_code_put
        insert into redemption.member_code as code (community_id, request_id, member_id, code_hash, expires_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint member_code_pk do update set code_hash = $4, expires_at = $5 where code.handle_id is null
        "#,
        member.community,
        request_id,
        member.id,
        &hash.0[..],
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a member's codes that ended before an instant.
pub async fn member_code_sweep(
    conn: &mut PgConnection,
    member: Name,
    before: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.member_code_sweep
        delete from redemption.member_code where community_id = $1 and member_id = $2 and expires_at < $3
        "#,
        member.community,
        member.id,
        before,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads the code that has a hash, and locks it: it is used once.
pub async fn member_code_lock(
    conn: &mut PgConnection,
    community: Uuid,
    hash: SecretHash,
) -> sqlx::Result<Option<KeptMemberCode>> {
    sqlx::query_as!(
        KeptMemberCode,
        r#"
        -- redemption.member_code_lock
        select request_id, member_id as member, expires_at, handle_id as handle
        from redemption.member_code
        where community_id = $1 and code_hash = $2
        for no key update
        "#,
        community,
        &hash.0[..],
    )
    .fetch_optional(conn)
    .await
}

/// Writes what a locked code was used for.
pub async fn member_code_use(
    conn: &mut PgConnection,
    code: Name,
    handle: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.member_code_use
        update redemption.member_code set handle_id = $3 where community_id = $1 and request_id = $2
        "#,
        code.community,
        code.id,
        handle,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a handle.
pub async fn handle_insert(conn: &mut PgConnection, handle: &Handle) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.handle_insert
        insert into redemption.member_handle (community_id, handle_id, member_id, merchant_id, expires_at)
        values ($1, $2, $3, $4, $5)
        "#,
        handle.community,
        handle.id,
        handle.member,
        handle.merchant,
        handle.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a handle.
pub async fn handle_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Handle>> {
    sqlx::query_as!(
        Handle,
        r#"
        -- redemption.handle_find
        select community_id as community, handle_id as id, member_id as member, merchant_id as merchant, expires_at
        from redemption.member_handle
        where community_id = $1 and handle_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await
}

struct Row {
    community_id: Uuid,
    card_id: Uuid,
    member_id: Uuid,
    state: String,
    wrong_pins: i32,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Card {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            community: row.community_id,
            id: row.card_id,
            member: row.member_id,
            state: known(CardState::parse(&row.state), &row.state)?,
            wrong_pins: row.wrong_pins,
            created_at: row.created_at,
        })
    }
}

/// What lets a card in.
#[derive(Clone, Copy)]
pub struct CardSecrets {
    /// Of its number.
    pub number: SecretHash,
    /// Of its PIN.
    pub pin: PinHash,
}

/// Adds a card.
pub async fn card_insert(
    conn: &mut PgConnection,
    card: &Card,
    secrets: CardSecrets,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.card_insert
        insert into redemption.member_card (community_id, card_id, member_id, number_hash, pin_salt, pin_hash, state, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        card.community,
        card.id,
        card.member,
        &secrets.number.0[..],
        &secrets.pin.salt[..],
        &secrets.pin.hash[..],
        card.state.as_str(),
        card.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes another number and PIN of a card.
pub async fn card_set_secrets(
    conn: &mut PgConnection,
    name: Name,
    secrets: CardSecrets,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.card_set_secrets
        update redemption.member_card set number_hash = $3, pin_salt = $4, pin_hash = $5
        where community_id = $1 and card_id = $2
        "#,
        name.community,
        name.id,
        &secrets.number.0[..],
        &secrets.pin.salt[..],
        &secrets.pin.hash[..],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes another PIN of a card.
pub async fn card_set_pin(conn: &mut PgConnection, name: Name, pin: PinHash) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.card_set_pin
        update redemption.member_card set pin_salt = $3, pin_hash = $4 where community_id = $1 and card_id = $2
        "#,
        name.community,
        name.id,
        &pin.salt[..],
        &pin.hash[..],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes where a card stands.
pub async fn card_update(conn: &mut PgConnection, card: &Card) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.card_update
        update redemption.member_card set state = $3, wrong_pins = $4 where community_id = $1 and card_id = $2
        "#,
        card.community,
        card.id,
        card.state.as_str(),
        card.wrong_pins,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Revokes what cards a member has, and returns them.
pub async fn card_revoke_all(conn: &mut PgConnection, member: Name) -> sqlx::Result<Vec<Card>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.card_revoke_all
        update redemption.member_card set state = 'revoked'
        where community_id = $1 and member_id = $2 and state <> 'revoked'
        returning community_id, card_id, member_id, state, wrong_pins, created_at
        "#,
        member.community,
        member.id,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Card::try_from).collect()
}

/// Reads a card and locks it.
pub async fn card_lock(conn: &mut PgConnection, name: Name) -> sqlx::Result<Option<Card>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.card_lock
        select community_id, card_id, member_id, state, wrong_pins, created_at
        from redemption.member_card
        where community_id = $1 and card_id = $2
        for no key update
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Card::try_from).transpose()
}

/// Reads a card.
pub async fn card_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Card>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.card_find
        select community_id, card_id, member_id, state, wrong_pins, created_at
        from redemption.member_card
        where community_id = $1 and card_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    row.map(Card::try_from).transpose()
}

/// Reads which card has a number, and what is kept of its PIN.
pub async fn card_find_by_number(
    db: impl PgExecutor<'_>,
    community: Uuid,
    number: SecretHash,
) -> sqlx::Result<Option<(Uuid, PinHash)>> {
    let row = sqlx::query!(
        r#"
        -- redemption.card_find_by_number
        select card_id, pin_salt, pin_hash
        from redemption.member_card
        where community_id = $1 and number_hash = $2
        "#,
        community,
        &number.0[..],
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let (salt, hash) = (row.pin_salt.try_into(), row.pin_hash.try_into());
        match (salt, hash) {
            (Ok(salt), Ok(hash)) => Ok((row.card_id, PinHash { salt, hash })),
            _ => Err(sqlx::Error::Decode("a PIN of another length".into())),
        }
    })
    .transpose()
}

/// A member's cards by id.
pub async fn card_list(
    db: impl PgExecutor<'_>,
    member: Name,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<Card>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.card_list
        select community_id, card_id, member_id, state, wrong_pins, created_at
        from redemption.member_card
        where community_id = $1 and member_id = $2 and card_id > $3
        order by card_id
        limit $4
        "#,
        member.community,
        member.id,
        page.after.unwrap_or(Uuid::nil()),
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Card::try_from).collect()
}
