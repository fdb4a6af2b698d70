//! The loop that seals: who an older release wrote in plain, and who is sealed under a key that is no longer the current one.
//!
//! It works through one community at a time in small transactions, and skips what another replica has. What can't be read stays as it is, is
//! named in the log once, and counts as left. How many are left is logged when there is work, on the way, and at its end.

use std::{collections::BTreeSet, time::Duration};

use runtime::{Problem, Progress};
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity, Error,
    domain::{
        Community,
        person::{KeptPerson, Place, Sealed},
    },
    seal::Unreadable,
    store::{self, person::Due},
};

/// How often there is a look for work: it comes from older releases and new configurations only.
const EVERY: Duration = Duration::from_secs(30);
const ROWS: i64 = 100;
/// After so many persons it says how many are left.
const REPORT_AFTER: usize = 10_000;
/// How many persons are tried to see that a key is the right one.
const SAMPLE: i64 = 10;

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), runtime::Nudge::default());
    let sealer = std::sync::Arc::new(Sealer::new(activity));
    let work = move || {
        let sealer = sealer.clone();
        async move { sealer.run().await }
    };
    runtime::spawn_worker(tasks, stop, clock, EVERY, nudge, "activity-sealer", work);
}

/// Fails when persons are sealed under a key that is missing, or under another than the one of that id.
pub(crate) async fn check(activity: &Activity) -> Result<(), Problem> {
    let failed = |error| Problem::new(format!("can't see which keys are in use: {error}"));
    let shares = store::person::count(&activity.pool).await.map_err(failed)?;
    for share in shares {
        let Some(key_id) = share.key_id else { continue };
        if !activity.keys.has(&key_id) {
            return Err(Problem::new(format!(
                "there is no person key {key_id:?}, under which {} are sealed: add it below the current one, in LINLI_PERSON_KEYS or the person.keys of `linli up`",
                share.persons
            )));
        }
        let sample = store::person::sample(&activity.pool, &key_id, SAMPLE);
        let sample = sample.await.map_err(failed)?;
        let opens = |(place, sealed): &(Place, Sealed)| activity.keys.open(*place, sealed).is_ok();
        if !sample.is_empty() && !sample.iter().any(opens) {
            return Err(Problem::new(format!(
                "person key {key_id:?} is another than the one of that id that persons are sealed under"
            )));
        }
    }
    Ok(())
}

/// What the loop knows from one run to the next.
pub(crate) struct Sealer {
    activity: Activity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Members whose persons can't be read.
    unreadable: BTreeSet<Uuid>,
    /// How many were sealed since it was last said how many are left; nothing, when there was no work.
    since_report: Option<usize>,
}

impl Sealer {
    pub(crate) fn new(activity: Activity) -> Self {
        Self {
            activity,
            state: Mutex::default(),
        }
    }

    /// Seals some persons of one community, or takes some out of its answers.
    pub(crate) async fn run(&self) -> anyhow::Result<Progress> {
        let pool = &self.activity.pool;
        if let Some(community) = store::answer::community_personal(pool).await? {
            store::answer::forget_persons(pool, community, None, ROWS).await?;
            return Ok(Progress::More);
        }
        let mut state = self.state.lock().await;
        let unreadable: Vec<Uuid> = state.unreadable.iter().copied().collect();
        let former = self.activity.keys.former();
        let Some(due) = store::person::find_due(pool, &former, &unreadable).await? else {
            if state.since_report.take().is_some() {
                self.report().await?;
            }
            return Ok(Progress::Idle);
        };
        if state
            .since_report
            .is_none_or(|sealed| sealed >= REPORT_AFTER)
        {
            self.report().await?;
            state.since_report = Some(0);
        }
        let sealed = self.seal_some(&due, &mut state.unreadable).await?;
        if let Some(since) = &mut state.since_report {
            *since += sealed.unwrap_or_default();
        }
        // Without any to lock, another replica has them all.
        Ok(sealed.map_or(Progress::Idle, |_| Progress::More))
    }

    /// Says how many it sealed; nothing, when there were none to lock.
    async fn seal_some(
        &self,
        due: &Due,
        unreadable: &mut BTreeSet<Uuid>,
    ) -> Result<Option<usize>, Error> {
        let known: Vec<Uuid> = unreadable.iter().copied().collect();
        let mut tx = self.activity.pool.begin().await?;
        let rows = store::person::lock_due(&mut *tx, due, &known, ROWS).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(None);
        }
        let mut sealed: Vec<(Uuid, Sealed)> = Vec::new();
        for (member, kept) in rows {
            match self.seal(due.community, member, kept) {
                Ok(Some(anew)) => sealed.push((member, anew)),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = %error, "A person can't be sealed anew: {error}");
                    unreadable.insert(member);
                }
            }
        }
        store::person::set_sealed(&mut *tx, due.community, &sealed).await?;
        tx.commit().await?;
        Ok(Some(sealed.len()))
    }

    fn seal(
        &self,
        community: Community,
        member: Uuid,
        kept: KeptPerson,
    ) -> Result<Option<Sealed>, Unreadable> {
        let (keys, place) = (&self.activity.keys, Place { community, member });
        match kept {
            KeptPerson::Plain(person) => Ok(Some(keys.seal(place, &person))),
            KeptPerson::Sealed(sealed) => keys.rewrap(place, sealed).map(Some),
            KeptPerson::Erased => Ok(None),
        }
    }

    async fn report(&self) -> Result<(), Error> {
        let current = self.activity.keys.current();
        let mut left = 0;
        for share in store::person::count(&self.activity.pool).await? {
            if share.key_id.as_deref() != Some(current) {
                left += share.persons;
            }
        }
        match left {
            0 => tracing::info!("All persons are sealed under key {current:?}"),
            left => tracing::info!(
                left,
                "{left} persons are not yet sealed under key {current:?}"
            ),
        }
        Ok(())
    }
}
