//! Up to what value wishes are published.

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{Community, value::ValueCeilings};

/// Sets the ceilings of a programme.
pub async fn put(db: impl PgExecutor<'_>, ceilings: &ValueCeilings) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.value_ceilings_put
        insert into wish.value_ceilings (community_id, programme_id, individual, common, updated_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint value_ceilings_pk do update
        set individual = excluded.individual, common = excluded.common, updated_at = excluded.updated_at
        "#,
        ceilings.community.0,
        ceilings.programme,
        ceilings.individual,
        ceilings.common,
        ceilings.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The ceilings of those programmes that have any.
pub async fn find_all(
    db: impl PgExecutor<'_>,
    community: Community,
    programmes: &[Uuid],
) -> sqlx::Result<Vec<ValueCeilings>> {
    let rows = sqlx::query!(
        r#"
        -- wish.value_ceilings_find_all
        select programme_id, individual, common, updated_at
        from wish.value_ceilings
        where community_id = $1 and programme_id = any($2)
        "#,
        community.0,
        programmes,
    )
    .fetch_all(db)
    .await?;
    let ceilings = rows.into_iter().map(|row| ValueCeilings {
        community,
        programme: row.programme_id,
        individual: row.individual,
        common: row.common,
        updated_at: Some(row.updated_at),
    });
    Ok(ceilings.collect())
}
