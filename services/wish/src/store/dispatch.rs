//! Dispatches.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, word};
use crate::domain::{
    Community,
    dispatch::{Assignee, Dispatch, DispatchState},
    event::NewEvent,
};

pub(super) const STATES: [(&str, DispatchState); 5] = [
    ("issued", DispatchState::Issued),
    ("accepted", DispatchState::Accepted),
    ("declined", DispatchState::Declined),
    ("expired", DispatchState::Expired),
    ("withdrawn", DispatchState::Withdrawn),
];

struct Row {
    dispatch_id: Uuid,
    wish_id: Uuid,
    member_id: Option<Uuid>,
    team_id: Option<Uuid>,
    organisation: Option<String>,
    quantity: i64,
    note: String,
    state: String,
    reason: String,
    pledge_id: Option<Uuid>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn dispatch(self, community: Community) -> sqlx::Result<Dispatch> {
        let assignee = match (self.member_id, self.team_id, self.organisation) {
            (Some(member), _, _) => Assignee::Member(member),
            (None, Some(id), Some(organisation)) => Assignee::Team { id, organisation },
            _ => return Err(sqlx::Error::Decode("a dispatch to nobody".into())),
        };
        Ok(Dispatch {
            community,
            id: self.dispatch_id,
            wish: self.wish_id,
            assignee,
            quantity: self.quantity,
            note: self.note,
            state: find(&STATES, &self.state)?,
            reason: self.reason,
            pledge: self.pledge_id,
            expires_at: self.expires_at,
            created_at: self.created_at,
            ended_at: self.ended_at,
        })
    }
}

/// Adds a dispatch that waits for its answer.
pub async fn insert(conn: &mut PgConnection, dispatch: &Dispatch) -> sqlx::Result<()> {
    let (member, team, organisation) = match &dispatch.assignee {
        Assignee::Member(member) => (Some(*member), None, None),
        Assignee::Team { id, organisation } => (None, Some(*id), Some(&organisation[..])),
    };
    sqlx::query!(
        r#"
        -- wish.dispatch_insert
        insert into wish.dispatch
            (community_id, dispatch_id, wish_id, member_id, team_id, organisation, quantity, note, state, reason, expires_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        "#,
        dispatch.community.0,
        dispatch.id,
        dispatch.wish,
        member,
        team,
        organisation,
        dispatch.quantity,
        dispatch.note,
        word(&STATES, &dispatch.state),
        dispatch.reason,
        dispatch.expires_at,
        dispatch.created_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, dispatch.community, &[moved(dispatch)]).await
}

/// Returns a dispatch as it was last written. It is changed under its wish's lock.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Dispatch>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.dispatch_find
        select dispatch_id, wish_id, member_id, team_id, organisation, quantity, note, state, reason, pledge_id, expires_at,
            created_at, ended_at
        from wish.dispatch
        where community_id = $1 and dispatch_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.dispatch(community)).transpose()
}

/// The dispatch of a wish that waits for its answer, or did until its time was over.
pub async fn find_open(
    db: impl PgExecutor<'_>,
    community: Community,
    wish: Uuid,
) -> sqlx::Result<Option<Dispatch>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.dispatch_find_open
        select dispatch_id, wish_id, member_id, team_id, organisation, quantity, note, state, reason, pledge_id, expires_at,
            created_at, ended_at
        from wish.dispatch
        where community_id = $1 and wish_id = $2 and state = 'issued'
        "#,
        community.0,
        wish,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.dispatch(community)).transpose()
}

/// Writes how a dispatch has ended.
pub async fn set_ended(conn: &mut PgConnection, dispatch: &Dispatch) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.dispatch_set_ended
        update wish.dispatch set state = $3, reason = $4, pledge_id = $5, ended_at = $6
        where community_id = $1 and dispatch_id = $2
        "#,
        dispatch.community.0,
        dispatch.id,
        word(&STATES, &dispatch.state),
        dispatch.reason,
        dispatch.pledge,
        dispatch.ended_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, dispatch.community, &[moved(dispatch)]).await
}

/// Which dispatches a list is of.
#[derive(Debug)]
pub struct DispatchFilter {
    pub community: Community,
    pub member: Option<Uuid>,
    pub team: Option<Uuid>,
    pub wish: Option<Uuid>,
    /// By the clock.
    pub state: Option<DispatchState>,
    pub now: DateTime<Utc>,
}

/// A community's dispatches by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &DispatchFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Dispatch>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.dispatch_list
        select dispatch_id, wish_id, member_id, team_id, organisation, quantity, note, state, reason, pledge_id, expires_at,
            created_at, ended_at
        from wish.dispatch
        where community_id = $1 and dispatch_id > $2
            and ($3::uuid is null or member_id = $3)
            and ($4::uuid is null or team_id = $4)
            and ($5::uuid is null or wish_id = $5)
            and ($6::text is null or $6 = case when state = 'issued' and expires_at <= $7 then 'expired' else state end)
        order by dispatch_id
        limit $8
        "#,
        filter.community.0,
        window.after,
        filter.member,
        filter.team,
        filter.wish,
        filter.state.map(|state| word(&STATES, &state)),
        filter.now,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let community = filter.community;
    let rows = rows.into_iter();
    rows.map(|row| row.dispatch(community)).collect()
}

/// That a dispatch came to its state.
fn moved(dispatch: &Dispatch) -> NewEvent {
    NewEvent {
        kind: format!("dispatch_{}", word(&STATES, &dispatch.state)),
        subject: format!("dispatches/{}", dispatch.id),
        member: match &dispatch.assignee {
            Assignee::Member(member) => Some(*member),
            Assignee::Team { .. } => None,
        },
    }
}
