//! Payouts.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    payout::{Deed, Frozen, ListHash, Payout, PayoutState, Sums},
};

struct Row {
    payout_id: Uuid,
    programme_id: Uuid,
    asset: String,
    exponent: i16,
    state: PayoutState,
    cutoff_at: DateTime<Utc>,
    minimum: i64,
    more_owed: bool,
    created_by: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    frozen_at: Option<DateTime<Utc>>,
    hash: Option<Vec<u8>>,
    exported_by: Option<String>,
    exported_at: Option<DateTime<Utc>>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    reason: Option<String>,
}

impl Row {
    fn payout(self, community: Community) -> sqlx::Result<Payout> {
        let frozen = match (self.frozen_at, self.hash) {
            (Some(at), Some(hash)) => {
                let hash = hash.try_into().map_err(|_| {
                    sqlx::Error::Decode("a payout's hash is not of 32 bytes".into())
                })?;
                let hash = ListHash(hash);
                Some(Frozen { at, hash })
            }
            _ => None,
        };
        let deed = |by: Option<String>, at: Option<DateTime<Utc>>| {
            let by = by.unwrap_or_default();
            at.map(|at| Deed { by, at })
        };
        Ok(Payout {
            community,
            id: self.payout_id,
            programme: self.programme_id,
            asset: self.asset,
            exponent: self.exponent,
            state: self.state,
            cutoff_at: self.cutoff_at,
            minimum: self.minimum,
            more_owed: self.more_owed,
            created: Deed {
                by: self.created_by,
                at: self.created_at,
            },
            expires_at: self.expires_at,
            frozen,
            exported: deed(self.exported_by, self.exported_at),
            decided: deed(self.decided_by, self.decided_at),
            reason: self.reason,
        })
    }
}

/// Adds a new one.
pub async fn insert(db: impl PgExecutor<'_>, payout: &Payout) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.payout_insert
        insert into activity.payout
            (community_id, payout_id, programme_id, state, cutoff_at, minimum, more_owed, created_by, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        payout.community.0,
        payout.id,
        payout.programme,
        payout.state as PayoutState,
        payout.cutoff_at,
        payout.minimum,
        payout.more_owed,
        payout.created.by,
        payout.created.at,
        payout.expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks one; false when it is not there.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"
        -- activity.payout_lock
        select payout_id from activity.payout where community_id = $1 and payout_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// Finds one.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Payout>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.payout_find
        select payout_id, payout.programme_id, asset, exponent, state as "state: PayoutState", cutoff_at, minimum, more_owed,
            created_by, payout.created_at, expires_at, frozen_at, hash, exported_by, exported_at, decided_by, decided_at, reason
        from activity.payout
        join activity.programme on programme.community_id = $1 and programme.programme_id = payout.programme_id
        where payout.community_id = $1 and payout_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.payout(community)).transpose()
}

/// A programme's by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    state: Option<PayoutState>,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Payout>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.payout_list
        select payout_id, payout.programme_id, asset, exponent, state as "state: PayoutState", cutoff_at, minimum, more_owed,
            created_by, payout.created_at, expires_at, frozen_at, hash, exported_by, exported_at, decided_by, decided_at, reason
        from activity.payout
        join activity.programme on programme.community_id = $1 and programme.programme_id = payout.programme_id
        where payout.community_id = $1 and payout.programme_id = $2 and payout_id > $3 and ($4::text is null or state = $4)
        order by payout_id
        limit $5
        "#,
        community.0,
        programme,
        window.after,
        state as Option<PayoutState>,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter();
    rows.map(|row| row.payout(community)).collect()
}

/// What the lines of some payouts add up to.
pub async fn sums(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, Sums)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.payout_sums
        select payout_id, count(*) filter (where state <> 'not_held') as "lines!",
            coalesce(sum(amount) filter (where state <> 'not_held'), 0)::bigint as "amount!",
            count(*) filter (where due_at is not null) as "moving!",
            coalesce(sum(amount) filter (where state in ('paying', 'paid')), 0)::bigint as "paid!",
            coalesce(sum(amount) filter (where state in ('failing', 'failed')), 0)::bigint as "failed!"
        from activity.payout_line
        where community_id = $1 and payout_id = any($2)
        group by payout_id
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    let sums = rows.into_iter().map(|row| {
        let sums = Sums {
            lines: row.lines,
            amount: row.amount,
            moving: row.moving,
            paid: row.paid,
            failed: row.failed,
        };
        (row.payout_id, sums)
    });
    Ok(sums.collect())
}

/// Writes where a locked one stands.
pub async fn set_state(db: impl PgExecutor<'_>, payout: &Payout) -> sqlx::Result<()> {
    let frozen = payout.frozen.as_ref();
    let exported = payout.exported.as_ref();
    let decided = payout.decided.as_ref();
    let decided_by = decided.map(|deed| &deed.by).filter(|by| !by.is_empty());
    sqlx::query!(
        r#"
        -- activity.payout_set_state
        update activity.payout
        set state = $3, frozen_at = $4, hash = $5, exported_by = $6, exported_at = $7, decided_by = $8, decided_at = $9, reason = $10
        where community_id = $1 and payout_id = $2
        "#,
        payout.community.0,
        payout.id,
        payout.state as PayoutState,
        frozen.map(|frozen| frozen.at),
        frozen.map(|frozen| frozen.hash.0.to_vec()),
        exported.map(|deed| &deed.by),
        exported.map(|deed| deed.at),
        decided_by,
        decided.map(|deed| deed.at),
        payout.reason,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// One whose time is over, and that nobody has confirmed or cancelled.
pub async fn expired(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<(Community, Uuid)>> {
    let row = sqlx::query!(
        r#"
        -- activity.payout_expired
        select community_id, payout_id from activity.payout
        where state in ('draft', 'exported') and expires_at <= $1
        order by expires_at
        limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (Community(row.community_id), row.payout_id)))
}

/// What members were granted or given in a programme from an instant on. What is on its way to the ledger counts too: it may be there already.
pub async fn granted_since(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.payout_granted_since
        select member_id as "member_id!", sum(amount)::bigint as "amount!"
        from (
            select member_id, counted as amount from activity.reward_grant
            where community_id = $1 and programme_id = $2 and coalesce(granted_at, created_at) >= $3 and counted > 0
            union all
            select member_id, amount from activity.adjustment
            where community_id = $1 and programme_id = $2 and decided_at >= $3
                and state in ('approved', 'applied') and amount > 0
        ) as given
        group by member_id
        "#,
        community.0,
        programme,
        since,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.member_id, row.amount)).collect())
}
