//! The loop that puts the people on the roster under the current key.

use std::sync::Arc;

use runtime::{
    Due, KeyRing, Nudge, Problem, SEALER_EVERY, Sealed, SealedFor, SealedRows, Sealer, Share,
    Unreadable,
};
use sqlx::{PgConnection, PgPool};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Wishes,
    domain::Community,
    seal,
    store::{self, sealed::Holds},
};

/// Starts the loop.
pub(crate) fn spawn(wishes: Wishes, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (wishes.clock.clone(), Nudge::default());
    let sealer = Arc::new(Sealer::new(Roster(wishes)));
    let work = move || {
        let sealer = sealer.clone();
        async move { sealer.run().await }
    };
    runtime::spawn_worker(tasks, stop, clock, SEALER_EVERY, nudge, "wish-sealer", work);
}

/// Fails when persons are sealed under a key that is missing, or under another than the one of that id.
pub(crate) async fn check(wishes: &Wishes) -> Result<(), Problem> {
    runtime::check_sealed(&Roster(wishes.clone())).await
}

/// The people on the roster, as the loop sees them.
pub(crate) struct Roster(pub(crate) Wishes);

impl SealedRows for Roster {
    type Kept = (Holds, Sealed);

    fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    async fn count(&self) -> sqlx::Result<Vec<Share>> {
        store::sealed::count(self.pool()).await
    }

    async fn sample(&self, key_id: &str, limit: i64) -> sqlx::Result<Vec<(SealedFor, Sealed)>> {
        let sample = store::sealed::sample(self.pool(), key_id, limit).await?;
        let sample = sample.into_iter();
        Ok(sample
            .map(|(community, id, holds, sealed)| (seal::sealed_for(community, id, holds), sealed))
            .collect())
    }

    async fn find_due(&self, former: &[String], unreadable: &[Uuid]) -> sqlx::Result<Option<Due>> {
        store::sealed::find_due(self.pool(), former, unreadable).await
    }

    async fn lock_due(
        &self,
        tx: &mut PgConnection,
        due: &Due,
        unreadable: &[Uuid],
        limit: i64,
    ) -> sqlx::Result<Vec<(Uuid, (Holds, Sealed))>> {
        store::sealed::lock_due(tx, due, unreadable, limit).await
    }

    fn seal(
        &self,
        community: Uuid,
        id: Uuid,
        (holds, sealed): (Holds, Sealed),
    ) -> Result<Option<Sealed>, Unreadable> {
        let place = seal::sealed_for(Community(community), id, holds);
        self.keys().rewrap(place, sealed).map(Some)
    }

    async fn set_sealed(
        &self,
        tx: &mut PgConnection,
        community: Uuid,
        sealed: &[(Uuid, Sealed)],
    ) -> sqlx::Result<()> {
        store::sealed::set_sealed(tx, Community(community), sealed).await
    }
}
