//! The loop that puts sealed rows under the current key of a configuration, and the look at the start whether all its keys are there.
//!
//! It works through one community at a time in small transactions, and skips what another replica has. What can't be read stays as it is, is
//! named in the log once, and counts as left. How many are left is logged when there is work, on the way, and at its end.

use std::{collections::BTreeSet, future::Future, time::Duration};

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{KeyRing, Problem, Progress, Sealed, SealedFor, Unreadable};

/// How often a loop should look for work: it comes from older releases and new configurations only.
pub const SEALER_EVERY: Duration = Duration::from_secs(30);
const ROWS: i64 = 100;
/// After so many rows it says how many are left.
const REPORT_AFTER: usize = 10_000;
/// How many rows are tried to see that a key is the right one.
const SAMPLE: i64 = 10;

/// How many rows are sealed under a key, or under none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// `None`: in plain.
    pub key_id: Option<String>,
    /// How many.
    pub rows: i64,
}

/// Which rows are to be sealed anew: those of one community that are sealed under one key, or under none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The community.
    pub community: Uuid,
    /// `None`: in plain.
    pub key_id: Option<String>,
}

/// A table of rows that are sealed.
pub trait SealedRows: Send + Sync + 'static {
    /// What a row holds.
    type Kept: Send;

    /// Where they are.
    fn pool(&self) -> &PgPool;

    /// What they are sealed under.
    fn keys(&self) -> &KeyRing;

    /// How many rows are kept in which way, over all communities.
    fn count(&self) -> impl Future<Output = sqlx::Result<Vec<Share>>> + Send;

    /// A few of those that are sealed under a key.
    fn sample(
        &self,
        key_id: &str,
        limit: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<(SealedFor, Sealed)>>> + Send;

    /// Finds rows that are in plain or under one of these keys, other than those that can't be read.
    fn find_due(
        &self,
        former: &[String],
        unreadable: &[Uuid],
    ) -> impl Future<Output = sqlx::Result<Option<Due>>> + Send;

    /// Locks some that are due, but not those that another replica has.
    fn lock_due(
        &self,
        tx: &mut PgConnection,
        due: &Due,
        unreadable: &[Uuid],
        limit: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<(Uuid, Self::Kept)>>> + Send;

    /// Seals a row under the current key; nothing, when there is no need.
    fn seal(
        &self,
        community: Uuid,
        id: Uuid,
        kept: Self::Kept,
    ) -> Result<Option<Sealed>, Unreadable>;

    /// Writes how locked ones are sealed from now on.
    fn set_sealed(
        &self,
        tx: &mut PgConnection,
        community: Uuid,
        sealed: &[(Uuid, Sealed)],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Fails when persons are sealed under a key that is missing, or under another than the one of that id. A few that can't be read under a former key are
/// logged, and stay as they are.
pub async fn check_sealed(rows: &impl SealedRows) -> Result<(), Problem> {
    let failed = |error| Problem::new(format!("can't see which keys are in use: {error}"));
    let keys = rows.keys();
    for share in rows.count().await.map_err(failed)? {
        let Some(key_id) = share.key_id else { continue };
        if !keys.has(&key_id) {
            return Err(Problem::new(format!(
                "there is no person key {key_id:?}, under which {} are sealed: add it below the current one, in LINLI_PERSON_KEYS or the person.keys of `linli up`",
                share.rows
            )));
        }
        let sample = rows.sample(&key_id, SAMPLE).await.map_err(failed)?;
        let opens = |(of, sealed): &(SealedFor, Sealed)| keys.rewrap(*of, sealed.clone()).is_ok();
        if sample.is_empty() || sample.iter().any(opens) {
            continue;
        }
        // A few left under a former key may be those that are damaged, which no other key would open either.
        let is_wrong = key_id == keys.current()
            || sample.len() >= usize::try_from(SAMPLE).unwrap_or(usize::MAX);
        if !is_wrong {
            tracing::error!(
                "What is left under the former person key {key_id:?} can't be read: {} rows",
                share.rows
            );
        } else {
            return Err(Problem::new(format!(
                "person key {key_id:?} is another than the one of that id that persons are sealed under"
            )));
        }
    }
    Ok(())
}

/// What the loop knows from one run to the next.
pub struct Sealer<R> {
    rows: R,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rows that can't be read.
    unreadable: BTreeSet<Uuid>,
    /// How many were sealed since it was last said how many are left; nothing, when there was no work.
    since_report: Option<usize>,
}

impl<R: SealedRows> Sealer<R> {
    /// Makes the loop's work over a table.
    pub fn new(rows: R) -> Self {
        Self {
            rows,
            state: Mutex::default(),
        }
    }

    /// Seals some rows of one community.
    pub async fn run(&self) -> anyhow::Result<Progress> {
        let mut state = self.state.lock().await;
        let unreadable: Vec<Uuid> = state.unreadable.iter().copied().collect();
        let former = self.rows.keys().former();
        let Some(due) = self.rows.find_due(&former, &unreadable).await? else {
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
    ) -> sqlx::Result<Option<usize>> {
        let known: Vec<Uuid> = unreadable.iter().copied().collect();
        let mut tx = self.rows.pool().begin().await?;
        let rows = self.rows.lock_due(&mut tx, due, &known, ROWS).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(None);
        }
        let mut sealed: Vec<(Uuid, Sealed)> = Vec::new();
        for (id, kept) in rows {
            match self.rows.seal(due.community, id, kept) {
                Ok(Some(anew)) => sealed.push((id, anew)),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = %error, "A person can't be sealed anew: {error}");
                    unreadable.insert(id);
                }
            }
        }
        self.rows
            .set_sealed(&mut tx, due.community, &sealed)
            .await?;
        tx.commit().await?;
        Ok(Some(sealed.len()))
    }

    async fn report(&self) -> sqlx::Result<()> {
        let current = self.rows.keys().current();
        let mut left = 0;
        for share in self.rows.count().await? {
            if share.key_id.as_deref() != Some(current) {
                left += share.rows;
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
