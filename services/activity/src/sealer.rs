//! The loop that seals: who an older release wrote in plain, and who is sealed under a key that is no longer the current one. It also takes the
//! person out of an older release's answers.

use runtime::{
    Due, KeyRing, Problem, Progress, SEALER_EVERY, Sealed, SealedFor, SealedRows, Share, Unreadable,
};
use sqlx::{PgConnection, PgPool};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity,
    domain::{
        Community,
        person::{KeptPerson, Place},
    },
    seal, store,
};

const ROWS: i64 = 100;

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), runtime::Nudge::default());
    let sealer = std::sync::Arc::new(Sealer::new(activity));
    let work = move || {
        let sealer = sealer.clone();
        async move { sealer.run().await }
    };
    let name = "activity-sealer";
    runtime::spawn_worker(tasks, stop, clock, SEALER_EVERY, nudge, name, work);
}

/// Fails when persons are sealed under a key that is missing, or under another than the one of that id.
pub(crate) async fn check(activity: &Activity) -> Result<(), Problem> {
    runtime::check_sealed(&Persons(activity.clone())).await
}

/// What the loop does each time.
pub(crate) struct Sealer {
    pool: PgPool,
    persons: runtime::Sealer<Persons>,
}

impl Sealer {
    pub(crate) fn new(activity: Activity) -> Self {
        Self {
            pool: activity.pool.clone(),
            persons: runtime::Sealer::new(Persons(activity)),
        }
    }

    /// Seals some persons of one community, or takes some out of its answers.
    pub(crate) async fn run(&self) -> anyhow::Result<Progress> {
        if let Some(community) = store::answer::community_personal(&self.pool).await? {
            store::answer::forget_persons(&self.pool, community, None, ROWS).await?;
            return Ok(Progress::More);
        }
        self.persons.run().await
    }
}

/// The persons behind the members, as the loop sees them.
struct Persons(Activity);

impl SealedRows for Persons {
    type Kept = KeptPerson;

    fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    async fn count(&self) -> sqlx::Result<Vec<Share>> {
        store::person::count(self.pool()).await
    }

    async fn sample(&self, key_id: &str, limit: i64) -> sqlx::Result<Vec<(SealedFor, Sealed)>> {
        let sample = store::person::sample(self.pool(), key_id, limit).await?;
        let sample = sample.into_iter();
        Ok(sample
            .map(|(place, sealed)| (seal::sealed_for(place), sealed))
            .collect())
    }

    async fn find_due(&self, former: &[String], unreadable: &[Uuid]) -> sqlx::Result<Option<Due>> {
        store::person::find_due(self.pool(), former, unreadable).await
    }

    async fn lock_due(
        &self,
        tx: &mut PgConnection,
        due: &Due,
        unreadable: &[Uuid],
        limit: i64,
    ) -> sqlx::Result<Vec<(Uuid, KeptPerson)>> {
        store::person::lock_due(tx, due, unreadable, limit).await
    }

    fn seal(
        &self,
        community: Uuid,
        member: Uuid,
        kept: KeptPerson,
    ) -> Result<Option<Sealed>, Unreadable> {
        let community = Community(community);
        let place = Place { community, member };
        match kept {
            KeptPerson::Plain(person) => Ok(Some(seal::seal(self.keys(), place, &person))),
            KeptPerson::Sealed(sealed) => self
                .keys()
                .rewrap(seal::sealed_for(place), sealed)
                .map(Some),
            KeptPerson::Erased => Ok(None),
        }
    }

    async fn set_sealed(
        &self,
        tx: &mut PgConnection,
        community: Uuid,
        sealed: &[(Uuid, Sealed)],
    ) -> sqlx::Result<()> {
        store::person::set_sealed(tx, Community(community), sealed).await
    }
}
