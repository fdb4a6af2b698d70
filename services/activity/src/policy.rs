//! Policy revisions: draft, put into force, discard, look at.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        policy::Policy,
        refusal::{Refusal, Resource},
        revision::{PolicyRevision, RevisionKey, RevisionState},
    },
    store,
};

impl Activity {
    /// Drafts a revision of a programme's earning policy.
    pub(crate) async fn create_policy_revision(
        &self,
        call: &Call,
        programme: Uuid,
        policy: Policy,
    ) -> Result<PolicyRevision, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.draft(&mut tx, call.community, programme, policy).await;
        self.conclude(tx, call, outcome).await
    }

    async fn draft(
        &self,
        tx: &mut PgConnection,
        community: Community,
        programme: Uuid,
        policy: Policy,
    ) -> Result<PolicyRevision, Error> {
        // The lock makes the numbers dense.
        lock_programme(tx, community, programme).await?;
        let last = store::policy::last_number(&mut *tx, community, programme).await?;
        let revision = PolicyRevision {
            community,
            id: self.ids.next(),
            programme,
            number: last + 1,
            state: RevisionState::Draft,
            policy,
            created_at: self.clock.now(),
            effective_at: None,
            retired_at: None,
        };
        store::policy::insert(&mut *tx, &revision).await?;
        tell(tx, &revision).await?;
        Ok(revision)
    }

    /// Puts a draft into force from now on and retires the revision before it.
    pub(crate) async fn activate_policy_revision(
        &self,
        call: &Call,
        key: RevisionKey,
    ) -> Result<PolicyRevision, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.activate(&mut tx, key).await;
        self.conclude(tx, call, outcome).await
    }

    async fn activate(
        &self,
        tx: &mut PgConnection,
        key: RevisionKey,
    ) -> Result<PolicyRevision, Error> {
        // Grants are decided under the same lock: each belongs to one revision or the other.
        let draft = lock_revision(tx, key).await?;
        let active = store::policy::find_active(&mut *tx, key.community, key.programme).await?;
        let (activated, retired) = draft.activate(active, self.clock.now())?;
        if let Some(retired) = retired {
            write_state(tx, &retired).await?;
        }
        write_state(tx, &activated).await?;
        Ok(activated)
    }

    /// Discards a draft.
    pub(crate) async fn discard_policy_revision(
        &self,
        call: &Call,
        key: RevisionKey,
    ) -> Result<PolicyRevision, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = discard(&mut tx, key).await;
        self.conclude(tx, call, outcome).await
    }

    /// Returns a revision.
    pub(crate) async fn get_policy_revision(
        &self,
        key: RevisionKey,
    ) -> Result<PolicyRevision, Error> {
        let revision = store::policy::find(&self.pool, &key).await?;
        Ok(revision.ok_or_else(|| no_revision(key))?)
    }

    /// Lists a programme's revisions, newest first.
    pub(crate) async fn list_policy_revisions(
        &self,
        community: Community,
        programme: Uuid,
        before: i32,
        size: i64,
    ) -> Result<Page<PolicyRevision, i32>, Error> {
        self.get_programme(community, programme).await?;
        let window = Page::<PolicyRevision, _>::window(before, size);
        let rows = store::policy::list(&self.pool, community, programme, window).await?;
        Ok(Page::cut(rows, size, |revision| revision.number))
    }
}

async fn discard(tx: &mut PgConnection, key: RevisionKey) -> Result<PolicyRevision, Error> {
    let discarded = lock_revision(tx, key).await?.discard()?;
    write_state(tx, &discarded).await?;
    Ok(discarded)
}

/// Writes the state that a revision has come to.
async fn write_state(tx: &mut PgConnection, revision: &PolicyRevision) -> Result<(), Error> {
    store::policy::set_state(&mut *tx, revision).await?;
    tell(tx, revision).await
}

async fn tell(tx: &mut PgConnection, revision: &PolicyRevision) -> Result<(), Error> {
    let event = NewEvent::of_revision(revision);
    Ok(store::event::insert(tx, revision.community, &[event]).await?)
}

async fn lock_revision(tx: &mut PgConnection, key: RevisionKey) -> Result<PolicyRevision, Error> {
    lock_programme(tx, key.community, key.programme).await?;
    let revision = store::policy::find(&mut *tx, &key).await?;
    Ok(revision.ok_or_else(|| no_revision(key))?)
}

async fn lock_programme(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<(), Error> {
    let locked = store::programme::lock(&mut *tx, community, id).await?;
    locked.ok_or(Refusal::NotFound {
        resource: Resource::Programme,
        id,
    })?;
    Ok(())
}

fn no_revision(key: RevisionKey) -> Refusal {
    Refusal::NotFound {
        resource: Resource::PolicyRevision,
        id: key.revision,
    }
}
