//! Visits: write one down, list them.

use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    beneficiary::locked,
    domain::{
        Community,
        call::Call,
        refusal::{Refusal, Resource},
        visit::Visit,
    },
    seal,
    store::{
        self,
        sealed::{Holds, Owner},
    },
};

impl Wishes {
    /// Writes down that somebody was visited; what was found is sealed.
    pub(crate) async fn record_visit(
        &self,
        call: &Call,
        visit: Visit,
        note: &str,
        deadline: Deadline,
    ) -> Result<Visit, Error> {
        if let Some(answer) = self.kept(call).await? {
            return self.recorded(call, answer, note).await;
        }
        let visitor = self
            .activity
            .require_member(call.community, visit.visitor, deadline);
        match visitor.await {
            Ok(()) => {}
            Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
            Err(error) => return Err(error),
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return self.recorded(call, answer, note).await,
        };
        let outcome = self.visit(&mut tx, visit, note).await;
        self.conclude(tx, call, outcome).await
    }

    /// The answer to a repeated call. What was found is no part of its fingerprint; it is compared until an erasure takes it away.
    async fn recorded(&self, call: &Call, visit: Visit, note: &str) -> Result<Visit, Error> {
        let (community, id) = (visit.community, visit.id);
        let sealed = store::sealed::find_visit(&self.pool, community, id).await?;
        let found = store::beneficiary::find_one(&self.pool, community, visit.beneficiary).await?;
        if found.is_some_and(|of| of.erased_at.is_some()) {
            return Ok(visit);
        }
        let open = |sealed| seal::open_note(&self.keys, community, id, &sealed);
        let known = sealed.map(open).transpose()?.unwrap_or_default();
        if known != note {
            return Err(Error::RequestIdReused(call.request_id));
        }
        Ok(visit)
    }

    pub(crate) async fn visit(
        &self,
        tx: &mut PgConnection,
        visit: Visit,
        note: &str,
    ) -> Result<Visit, Error> {
        let (community, id) = (visit.community, visit.id);
        let beneficiary = locked(tx, community, visit.beneficiary).await?;
        store::beneficiary::set(&mut *tx, &beneficiary.visit(&visit)?).await?;
        match store::visit::insert(&mut *tx, &visit).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("visit_pk") => {
                let resource = Resource::Visit;
                return Err(Refusal::Exists { resource, id }.into());
            }
            Err(error) => return Err(error.into()),
        }
        if !note.is_empty() {
            let owner = Owner {
                community,
                id,
                holds: Holds::Visit,
                beneficiary: visit.beneficiary,
            };
            let sealed = seal::note(&self.keys, community, id, note);
            if !store::sealed::set(&mut *tx, owner, &sealed).await? {
                // Somebody on the roster has it.
                let resource = Resource::Visit;
                return Err(Refusal::Exists { resource, id }.into());
            }
        }
        Ok(visit)
    }

    /// Lists a community's visits by id, or those to somebody.
    pub(crate) async fn list_visits(
        &self,
        community: Community,
        beneficiary: Option<Uuid>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Visit, Uuid>, Error> {
        let window = Page::<Visit, _>::window(after, size);
        let rows = store::visit::list(&self.pool, community, beneficiary, window).await?;
        Ok(Page::cut(rows, size, |visit| visit.id))
    }
}
