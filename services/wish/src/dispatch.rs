//! Dispatches: ask somebody to see to a wish, and hear what they say.

use chrono::{DateTime, Utc};
use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    beneficiary::refused,
    domain::{
        Community,
        call::Call,
        dispatch::{Assignee, Dispatch, DispatchState},
        pledge::Pledger,
        refusal::{Refusal, Resource, RosterRefusal},
        telling::NewTelling,
        wish::Unit,
    },
    pledge::NewPledge,
    store::{self, dispatch::DispatchFilter},
};

/// Whom to ask for what.
#[derive(Debug, Clone)]
pub(crate) struct NewDispatch {
    pub(crate) id: Option<Uuid>,
    pub(crate) wish: Uuid,
    pub(crate) assignee: Assignee,
    /// `None`: all that is not pledged.
    pub(crate) quantity: Option<i64>,
    pub(crate) note: String,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Wishes {
    /// Asks somebody to see to a wish.
    pub(crate) async fn dispatch_wish(
        &self,
        call: &Call,
        new: NewDispatch,
        deadline: Deadline,
    ) -> Result<Dispatch, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        let expires_at = new.expires_at;
        if expires_at <= self.clock.now() {
            let refusal = RosterRefusal::ExpireTimeOver { expires_at };
            return self.refuse(call, refusal.into()).await;
        }
        if let Assignee::Member(member) = new.assignee {
            let asked = self
                .activity
                .require_member(call.community, member, deadline);
            match asked.await {
                Ok(()) => {}
                Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
                Err(error) => return Err(error),
            }
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.issue(&mut tx, call.community, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn issue(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: NewDispatch,
    ) -> Result<Dispatch, Error> {
        let (wish, now) = self.locked(tx, community, new.wish).await?;
        let mut wish = wish.at(now);
        let uncovered = wish.target - wish.pledged;
        // What can't be pledged can't be asked for. One that is covered is told as such.
        let quantity = new.quantity.unwrap_or(uncovered.max(1));
        wish.pledge(quantity)?;
        if matches!(wish.unit, Unit::Points { .. }) {
            return Err(refused(RosterRefusal::WishInPoints { wish: wish.id }));
        }
        if let Some(open) = store::dispatch::find_open(&mut *tx, community, wish.id).await? {
            let open = open.at(now);
            if open.state == DispatchState::Issued {
                return Err(refused(RosterRefusal::DispatchOpen {
                    wish: wish.id,
                    dispatch: open.id,
                }));
            }
            store::dispatch::set_ended(&mut *tx, &open).await?;
            // Who is asked once more need not hear that they were asked before.
            if open.assignee != new.assignee {
                let told = NewTelling::of_dispatch(&open, &wish.title);
                self.tell(tx, community, told).await?;
            }
        }
        let dispatch = Dispatch {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            wish: wish.id,
            assignee: new.assignee,
            quantity,
            note: new.note,
            state: DispatchState::Issued,
            reason: String::new(),
            pledge: None,
            expires_at: new.expires_at,
            created_at: now,
            ended_at: None,
        };
        match store::dispatch::insert(&mut *tx, &dispatch).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("dispatch_pk") => {
                return Err(Refusal::Exists {
                    resource: Resource::Dispatch,
                    id: dispatch.id,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        let told = NewTelling::of_dispatch(&dispatch, &wish.title);
        self.tell(tx, community, told).await?;
        Ok(dispatch)
    }

    /// They see to it: makes the pledge.
    pub(crate) async fn accept_dispatch(
        &self,
        call: &Call,
        id: Uuid,
        deadline: Deadline,
    ) -> Result<Dispatch, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        // Whom it is to never changes.
        if let Some(Assignee::Member(member)) = self
            .find_dispatch(call.community, id)
            .await?
            .map(|dispatch| dispatch.assignee)
        {
            let asked = self
                .activity
                .require_member(call.community, member, deadline);
            match asked.await {
                Ok(()) => {}
                Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
                Err(error) => return Err(error),
            }
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.accept(&mut tx, call, id).await;
        self.conclude(tx, call, outcome).await
    }

    async fn accept(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        id: Uuid,
    ) -> Result<Dispatch, Error> {
        let dispatch = locked(tx, call.community, id).await?;
        let accepted = dispatch.accept(call.request_id, self.clock.now())?;
        let new = NewPledge {
            wish: accepted.wish,
            pledger: match &accepted.assignee {
                Assignee::Member(member) => Pledger::Member(*member),
                Assignee::Team { organisation, .. } => Pledger::Organisation(organisation.clone()),
            },
            quantity: accepted.quantity,
            sees_all: true,
        };
        self.promise(tx, call, &new).await?;
        store::dispatch::set_ended(&mut *tx, &accepted).await?;
        Ok(accepted)
    }

    /// They do not.
    pub(crate) async fn decline_dispatch(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Dispatch, Error> {
        let now = self.clock.now();
        self.end_dispatch(call, id, |dispatch| dispatch.decline(reason, now))
            .await
    }

    /// Takes a dispatch back.
    pub(crate) async fn withdraw_dispatch(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Dispatch, Error> {
        let now = self.clock.now();
        self.end_dispatch(call, id, |dispatch| dispatch.withdraw(reason, now))
            .await
    }

    async fn end_dispatch(
        &self,
        call: &Call,
        id: Uuid,
        decide: impl FnOnce(Dispatch) -> Result<Dispatch, Refusal>,
    ) -> Result<Dispatch, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = async {
            let ended = decide(locked(&mut tx, call.community, id).await?)?;
            store::dispatch::set_ended(&mut tx, &ended).await?;
            let wish = store::wish::find_one(&mut *tx, call.community, ended.wish).await?;
            let title = wish.map(|wish| wish.title).unwrap_or_default();
            let told = NewTelling::of_dispatch(&ended, &title);
            self.tell(&mut tx, call.community, told).await?;
            Ok(ended)
        };
        let outcome = outcome.await;
        self.conclude(tx, call, outcome).await
    }

    /// Returns a dispatch by the clock.
    pub(crate) async fn get_dispatch(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Dispatch, Error> {
        let found = self.find_dispatch(community, id).await?;
        Ok(found.ok_or(not_found(id))?.at(self.clock.now()))
    }

    /// The same as it was last written, if it is there.
    pub(crate) async fn find_dispatch(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Dispatch>, Error> {
        Ok(store::dispatch::find_one(&self.pool, community, id).await?)
    }

    /// Lists dispatches by id.
    pub(crate) async fn list_dispatches(
        &self,
        filter: &DispatchFilter,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Dispatch, Uuid>, Error> {
        let window = Page::<Dispatch, _>::window(after, size);
        let rows = store::dispatch::list(&self.pool, filter, window).await?;
        let rows = rows.into_iter().map(|dispatch| dispatch.at(filter.now));
        Ok(Page::cut(rows.collect(), size, |dispatch: &Dispatch| {
            dispatch.id
        }))
    }
}

/// A dispatch under its wish's lock.
async fn locked(tx: &mut PgConnection, community: Community, id: Uuid) -> Result<Dispatch, Error> {
    // Of which wish it is never changes; the rest is read under the lock.
    let found = store::dispatch::find_one(&mut *tx, community, id).await?;
    store::wish::lock(&mut *tx, community, found.ok_or(not_found(id))?.wish).await?;
    let found = store::dispatch::find_one(&mut *tx, community, id).await?;
    Ok(found.ok_or(not_found(id))?)
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Dispatch,
        id,
    }
}
