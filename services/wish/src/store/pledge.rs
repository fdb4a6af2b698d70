//! Pledges. Whoever writes one has locked its wish.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, unknown, word};
use crate::domain::{
    Community,
    event::NewEvent,
    pledge::{Pledge, PledgeState, Pledger},
};

struct Row {
    pledge_id: Uuid,
    wish_id: Uuid,
    programme_id: Uuid,
    kind: String,
    member_id: Option<Uuid>,
    organisation: Option<String>,
    quantity: i64,
    in_points: bool,
    state: String,
    evidence: Vec<String>,
    note: String,
    created_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    closes_at: DateTime<Utc>,
    confirms_until: DateTime<Utc>,
    reversed_at: Option<DateTime<Utc>>,
    reversal_reason: Option<String>,
    is_settling: bool,
}

/// A reversed one is confirmed with the moment of its reversal.
pub(super) const STATES: [(&str, PledgeState); 8] = [
    ("pending", PledgeState::Pending),
    ("active", PledgeState::Active),
    ("delivered", PledgeState::Delivered),
    ("confirmed", PledgeState::Confirmed),
    ("withdrawn", PledgeState::Withdrawn),
    ("revoked", PledgeState::Revoked),
    ("lapsed", PledgeState::Lapsed),
    ("confirmed", PledgeState::Reversed),
];

impl Row {
    fn pledge(self, community: Community) -> sqlx::Result<Pledge> {
        let pledger = match (&self.kind[..], self.member_id, self.organisation) {
            ("member", Some(member), None) => Pledger::Member(member),
            ("organisation", None, Some(name)) => Pledger::Organisation(name),
            ("company", None, Some(name)) => Pledger::Company(name),
            (other, ..) => return Err(unknown(other)),
        };
        Ok(Pledge {
            community,
            id: self.pledge_id,
            wish: self.wish_id,
            programme: self.programme_id,
            pledger,
            quantity: self.quantity,
            in_points: self.in_points,
            state: match self.reversed_at {
                Some(_) => PledgeState::Reversed,
                None => find(&STATES, &self.state)?,
            },
            evidence: self.evidence,
            note: self.note,
            created_at: self.created_at,
            delivered_at: self.delivered_at,
            ended_at: self.ended_at,
            closes_at: self.closes_at,
            confirms_until: self.confirms_until,
            reversed_at: self.reversed_at,
            reversal_reason: self.reversal_reason.unwrap_or_default(),
            is_settling: self.is_settling,
        })
    }
}

/// Adds a pledge.
pub async fn insert(conn: &mut PgConnection, pledge: &Pledge) -> sqlx::Result<()> {
    let (kind, member, organisation) = match &pledge.pledger {
        Pledger::Member(member) => ("member", Some(*member), None),
        Pledger::Organisation(name) => ("organisation", None, Some(name)),
        Pledger::Company(name) => ("company", None, Some(name)),
    };
    sqlx::query!(
        r#"
        -- wish.pledge_insert
        insert into wish.pledge
            (community_id, pledge_id, wish_id, programme_id, kind, member_id, organisation, quantity, in_points, state, evidence, note,
            created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        pledge.community.0,
        pledge.id,
        pledge.wish,
        pledge.programme,
        kind,
        member,
        organisation,
        pledge.quantity,
        pledge.in_points,
        word(&STATES, &pledge.state),
        &pledge.evidence,
        pledge.note,
        pledge.created_at,
    )
    .execute(&mut *conn)
    .await?;
    match pledge.state {
        // It may never come to be.
        PledgeState::Pending => Ok(()),
        PledgeState::Active
        | PledgeState::Delivered
        | PledgeState::Confirmed
        | PledgeState::Withdrawn
        | PledgeState::Revoked
        | PledgeState::Lapsed
        | PledgeState::Reversed => event::insert(conn, pledge.community, &[moved(pledge)]).await,
    }
}

/// Returns a pledge as it was last written.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Pledge>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.pledge_find
        select p.pledge_id, p.wish_id, p.programme_id, p.kind, p.member_id, p.organisation, p.quantity, p.in_points, p.state,
            p.evidence, p.note, p.created_at, p.delivered_at, p.ended_at, p.reversed_at, p.reversal_reason, w.closes_at,
            w.confirms_until,
            exists (
                select from wish.operation o
                where o.community_id = $1 and o.pledge_id = p.pledge_id and o.state = 'pending'
            ) as "is_settling!"
        from wish.pledge p
        join wish.wish w on w.community_id = $1 and w.wish_id = p.wish_id
        where p.community_id = $1 and p.pledge_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.pledge(community)).transpose()
}

/// A wish's pledges that may still come to something.
pub async fn open(
    db: impl PgExecutor<'_>,
    community: Community,
    wish: Uuid,
) -> sqlx::Result<Vec<Pledge>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.pledge_open
        select p.pledge_id, p.wish_id, p.programme_id, p.kind, p.member_id, p.organisation, p.quantity, p.in_points, p.state,
            p.evidence, p.note, p.created_at, p.delivered_at, p.ended_at, p.reversed_at, p.reversal_reason, w.closes_at,
            w.confirms_until,
            exists (
                select from wish.operation o
                where o.community_id = $1 and o.pledge_id = p.pledge_id and o.state = 'pending'
            ) as "is_settling!"
        from wish.pledge p
        join wish.wish w on w.community_id = $1 and w.wish_id = p.wish_id
        where p.community_id = $1 and p.wish_id = $2 and p.state in ('active', 'delivered')
        order by p.pledge_id
        "#,
        community.0,
        wish,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.pledge(community)).collect()
}

/// How many of a wish's pledges have not ended.
pub async fn count_open(
    db: impl PgExecutor<'_>,
    community: Community,
    wish: Uuid,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- wish.pledge_count_open
        select count(*) as "count!" from wish.pledge where community_id = $1 and wish_id = $2 and ended_at is null
        "#,
        community.0,
        wish,
    )
    .fetch_one(db)
    .await
}

/// Which pledges a list is of.
#[derive(Debug)]
pub struct PledgeFilter {
    pub community: Community,
    pub wish: Option<Uuid>,
    pub member: Option<Uuid>,
}

/// Pledges by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &PledgeFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Pledge>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.pledge_list
        select p.pledge_id, p.wish_id, p.programme_id, p.kind, p.member_id, p.organisation, p.quantity, p.in_points, p.state,
            p.evidence, p.note, p.created_at, p.delivered_at, p.ended_at, p.reversed_at, p.reversal_reason, w.closes_at,
            w.confirms_until,
            exists (
                select from wish.operation o
                where o.community_id = $1 and o.pledge_id = p.pledge_id and o.state = 'pending'
            ) as "is_settling!"
        from wish.pledge p
        join wish.wish w on w.community_id = $1 and w.wish_id = p.wish_id
        where p.community_id = $1 and p.pledge_id > $2
            and ($3::uuid is null or p.wish_id = $3) and ($4::uuid is null or p.member_id = $4)
        order by p.pledge_id
        limit $5
        "#,
        filter.community.0,
        window.after,
        filter.wish,
        filter.member,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let community = filter.community;
    rows.into_iter().map(|row| row.pledge(community)).collect()
}

/// Writes what moves of a pledge.
pub async fn update(conn: &mut PgConnection, pledge: &Pledge) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.pledge_update
        update wish.pledge
        set state = $3, evidence = $4, note = $5, delivered_at = $6, ended_at = $7, reversed_at = $8, reversal_reason = $9
        where community_id = $1 and pledge_id = $2
        "#,
        pledge.community.0,
        pledge.id,
        word(&STATES, &pledge.state),
        &pledge.evidence,
        pledge.note,
        pledge.delivered_at,
        pledge.ended_at,
        pledge.reversed_at,
        pledge.reversed_at.map(|_| &pledge.reversal_reason),
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, pledge.community, &[moved(pledge)]).await
}

/// Writes how pledges of a community have ended.
pub async fn end_all(
    conn: &mut PgConnection,
    community: Community,
    pledges: &[Pledge],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = pledges.iter().map(|pledge| pledge.id).collect();
    let states = pledges.iter().map(|pledge| word(&STATES, &pledge.state));
    let states: Vec<String> = states.map(str::to_owned).collect();
    let notes: Vec<String> = pledges.iter().map(|pledge| pledge.note.clone()).collect();
    let ended: Vec<Option<DateTime<Utc>>> = pledges.iter().map(|pledge| pledge.ended_at).collect();
    sqlx::query!(
        r#"
        -- wish.pledge_end_all
        update wish.pledge
        set state = new.state, note = new.note, ended_at = new.ended_at
        from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) as new (pledge_id, state, note, ended_at)
        where pledge.community_id = $1 and pledge.pledge_id = new.pledge_id
        "#,
        community.0,
        &ids,
        &states,
        &notes,
        &ended as &[Option<DateTime<Utc>>],
    )
    .execute(&mut *conn)
    .await?;
    let events: Vec<NewEvent> = pledges.iter().map(moved).collect();
    event::insert(conn, community, &events).await
}

/// Removes a pledge that the ledger refused to hold points for, with its step.
pub async fn delete(db: &mut PgConnection, community: Community, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.pledge_operation_delete
        delete from wish.operation where community_id = $1 and pledge_id = $2
        "#,
        community.0,
        id,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        r#"
        -- wish.pledge_delete
        delete from wish.pledge where community_id = $1 and pledge_id = $2
        "#,
        community.0,
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// That a pledge came to its state.
fn moved(pledge: &Pledge) -> NewEvent {
    NewEvent {
        kind: match pledge.state {
            PledgeState::Reversed => "pledge_reversed".to_owned(),
            PledgeState::Pending
            | PledgeState::Active
            | PledgeState::Delivered
            | PledgeState::Confirmed
            | PledgeState::Withdrawn
            | PledgeState::Revoked
            | PledgeState::Lapsed => format!("pledge_{}", word(&STATES, &pledge.state)),
        },
        subject: format!("pledges/{}", pledge.id),
        member: pledge.pledger.member(),
    }
}
