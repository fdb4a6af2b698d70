//! What is sealed of the people on the roster, as it is kept: nothing is sealed or opened here.

use runtime::{Due, Sealed, Share};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::Community;

/// What a sealed row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Who a beneficiary is.
    Beneficiary,
    /// What a visit found.
    Visit,
}

const HOLDS: [(&str, Holds); 2] = [("beneficiary", Holds::Beneficiary), ("visit", Holds::Visit)];

/// Whose row it is: the beneficiary's or the visit's, and whom it is about.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub community: Community,
    pub id: Uuid,
    pub holds: Holds,
    pub beneficiary: Uuid,
}

struct Row {
    sealed_id: Uuid,
    kind: String,
    key_id: String,
    wrapped_key: Vec<u8>,
    content: Vec<u8>,
}

impl Row {
    fn kept(self) -> sqlx::Result<(Uuid, Holds, Sealed)> {
        let sealed = Sealed {
            key_id: self.key_id,
            wrapped_key: self.wrapped_key,
            content: self.content,
        };
        Ok((self.sealed_id, super::find(&HOLDS, &self.kind)?, sealed))
    }
}

/// Writes what is sealed, in place of what was. False when the id is another's: nothing is written.
pub async fn set(db: impl PgExecutor<'_>, owner: Owner, sealed: &Sealed) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- wish.sealed_set
        insert into wish.sealed (community_id, sealed_id, kind, beneficiary_id, key_id, wrapped_key, content)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict on constraint sealed_pk do update
        set key_id = excluded.key_id, wrapped_key = excluded.wrapped_key, content = excluded.content
        where sealed.kind = excluded.kind and sealed.beneficiary_id = excluded.beneficiary_id
        "#,
        owner.community.0,
        owner.id,
        super::word(&HOLDS, &owner.holds),
        owner.beneficiary,
        sealed.key_id,
        sealed.wrapped_key,
        sealed.content,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What is sealed of some of a community's beneficiaries.
pub async fn find_many(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, Sealed)>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.sealed_find_many
        select sealed_id, kind, key_id, wrapped_key, content
        from wish.sealed
        where community_id = $1 and sealed_id = any($2) and kind = 'beneficiary'
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(Row::kept);
    rows.map(|row| row.map(|(id, _, sealed)| (id, sealed)))
        .collect()
}

/// What is sealed of a visit to somebody.
pub async fn find_visit(
    db: impl PgExecutor<'_>,
    community: Community,
    visit: Uuid,
) -> sqlx::Result<Option<Sealed>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.sealed_find_visit
        select sealed_id, kind, key_id, wrapped_key, content
        from wish.sealed
        where community_id = $1 and sealed_id = $2 and kind = 'visit'
        "#,
        community.0,
        visit,
    )
    .fetch_optional(db)
    .await?;
    let kept = row.map(Row::kept).transpose()?;
    Ok(kept.map(|(_, _, sealed)| sealed))
}

/// What the last visits to somebody found, newest first.
pub async fn last_visits(
    db: impl PgExecutor<'_>,
    community: Community,
    beneficiary: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, Sealed)>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.sealed_last_visits
        select sealed.sealed_id, sealed.kind, sealed.key_id, sealed.wrapped_key, sealed.content
        from wish.visit
        join wish.sealed on sealed.community_id = visit.community_id and sealed.sealed_id = visit.visit_id
            and sealed.kind = 'visit'
        where visit.community_id = $1 and visit.beneficiary_id = $2
        order by visit.visited_at desc, visit.visit_id desc
        limit $3
        "#,
        community.0,
        beneficiary,
        limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(Row::kept);
    rows.map(|row| row.map(|(id, _, sealed)| (id, sealed)))
        .collect()
}

/// Removes all that is sealed about somebody, with the keys.
pub async fn erase(
    db: impl PgExecutor<'_>,
    community: Community,
    beneficiary: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.sealed_erase
        delete from wish.sealed where community_id = $1 and beneficiary_id = $2
        "#,
        community.0,
        beneficiary,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many rows are sealed under which key, over all communities.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Share>> {
    let rows = sqlx::query!(
        r#"
        -- wish.sealed_count
        select key_id, count(*) as "rows!" from wish.sealed group by key_id
        "#,
    )
    .fetch_all(db)
    .await?;
    let shares = rows.into_iter().map(|row| Share {
        key_id: Some(row.key_id),
        rows: row.rows,
    });
    Ok(shares.collect())
}

/// A few of those that are sealed under a key, and what they hold.
pub async fn sample(
    db: impl PgExecutor<'_>,
    key_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<(Community, Uuid, Holds, Sealed)>> {
    let rows = sqlx::query!(
        r#"
        -- wish.sealed_sample
        select community_id, sealed_id, kind, wrapped_key, content
        from wish.sealed
        where key_id = $1
        limit $2
        "#,
        key_id,
        limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let sealed = Sealed {
            key_id: key_id.to_owned(),
            wrapped_key: row.wrapped_key,
            content: row.content,
        };
        let holds = super::find(&HOLDS, &row.kind)?;
        Ok((Community(row.community_id), row.sealed_id, holds, sealed))
    });
    rows.collect()
}

/// Finds rows that are sealed under one of these keys, other than those that can't be read.
pub async fn find_due(
    db: impl PgExecutor<'_>,
    former: &[String],
    unreadable: &[Uuid],
) -> sqlx::Result<Option<Due>> {
    let row = sqlx::query!(
        r#"
        -- wish.sealed_find_due
        select community_id, key_id from wish.sealed
        where key_id = any($1) and sealed_id <> all($2)
        limit 1
        "#,
        former,
        unreadable,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Due {
        community: row.community_id,
        key_id: Some(row.key_id),
    }))
}

/// Locks some that are due, but not those that another replica has.
pub async fn lock_due(
    db: impl PgExecutor<'_>,
    due: &Due,
    unreadable: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, (Holds, Sealed))>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.sealed_lock_due
        select sealed_id, kind, key_id, wrapped_key, content
        from wish.sealed
        where community_id = $1 and key_id = $2 and sealed_id <> all($3)
        limit $4
        for no key update skip locked
        "#,
        due.community,
        due.key_id.as_deref(),
        unreadable,
        limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(Row::kept);
    rows.map(|row| row.map(|(id, holds, sealed)| (id, (holds, sealed))))
        .collect()
}

/// Writes how locked ones are sealed from now on.
pub async fn set_sealed(
    db: impl PgExecutor<'_>,
    community: Community,
    rows: &[(Uuid, Sealed)],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let key_ids: Vec<String> = rows
        .iter()
        .map(|(_, sealed)| sealed.key_id.clone())
        .collect();
    let column = |of: fn(&Sealed) -> &[u8]| -> Vec<Vec<u8>> {
        rows.iter().map(|(_, sealed)| of(sealed).to_vec()).collect()
    };
    sqlx::query!(
        r#"
        -- wish.sealed_set_sealed
        update wish.sealed
        set key_id = new.key_id, wrapped_key = new.wrapped_key, content = new.content
        from unnest($2::uuid[], $3::text[], $4::bytea[], $5::bytea[]) as new (sealed_id, key_id, wrapped_key, content)
        where sealed.community_id = $1 and sealed.sealed_id = new.sealed_id
        "#,
        community.0,
        &ids,
        &key_ids,
        &column(|sealed| &sealed.wrapped_key),
        &column(|sealed| &sealed.content),
    )
    .execute(db)
    .await?;
    Ok(())
}
