//! Takes the lines of payouts to the ledger, and ends payouts whose time is over.
//!
//! It claims due lines by a lease, asks the ledger outside any transaction and writes what it said under the payout's lock. Every question goes by an id
//! that is made of the line's, so a lost answer, a dead process or a second replica at work changes nothing. When the ledger does not answer, the lines are due
//! again at once and the loop itself waits longer and longer; what it refuses as it never should is logged and tried ever more rarely.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use chrono::TimeDelta;
use runtime::Progress;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity, Error,
    domain::{
        Community,
        payout::{Line, Payout, PayoutState, Said},
    },
    ledger::{LineTold, pause_after},
    payout::lock,
    store::{
        self,
        payout_line::{Claimed, Lease},
    },
};

/// How often there is a look for lines, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// How long a claim keeps others away; the ledger answers all of it well within.
const LEASE: TimeDelta = TimeDelta::seconds(30);
/// How many lines are told at once.
const LINES: i64 = 100;

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), activity.payer.clone());
    let work = move || {
        let activity = activity.clone();
        async move { activity.pay().await }
    };
    runtime::spawn_worker(tasks, stop, clock, EVERY, nudge, "activity-payer", work);
}

impl Activity {
    /// Ends one payout whose time is over, and takes due lines of one community to the ledger.
    pub(crate) async fn pay(&self) -> anyhow::Result<Progress> {
        let expired = self.expire_payout().await?;
        let now = self.clock.now();
        let Some(community) = store::payout_line::community_due(&self.pool, now).await? else {
            return Ok(if expired {
                Progress::More
            } else {
                Progress::Idle
            });
        };
        let lease = Lease {
            now,
            until: now + LEASE,
            limit: LINES,
        };
        let claimed = store::payout_line::claim_due(&self.pool, community, lease).await?;
        if claimed.is_empty() {
            // Another replica has them.
            return Ok(Progress::Idle);
        }
        let mut unanswered = None;
        for (payout, lines) in by_payout(claimed) {
            let found = store::payout::find(&self.pool, community, payout).await?;
            let payout = found.with_context(|| format!("no payout {payout}"))?;
            let told = self.tell_lines(&payout, lines).await?;
            let why = self.write_told(&payout, told).await?;
            unanswered = unanswered.or(why);
        }
        match unanswered {
            Some(why) => anyhow::bail!("the ledger does not answer, payouts wait: {why}"),
            None => Ok(Progress::More),
        }
    }

    /// Asks the ledger about all lines at once; it answers them in one batch.
    async fn tell_lines(
        &self,
        payout: &Payout,
        lines: Vec<Claimed>,
    ) -> anyhow::Result<Vec<(Claimed, LineTold)>> {
        let mut asked = JoinSet::new();
        for claimed in lines {
            let (activity, payout) = (self.clone(), payout.clone());
            asked.spawn(async move {
                let told = activity.tell_line(&payout, &claimed.line).await;
                (claimed, told)
            });
        }
        let mut told = Vec::new();
        while let Some(one) = asked.join_next().await {
            told.push(one?);
        }
        Ok(told)
    }

    /// Writes what the ledger said, and returns why it did not, if it did not.
    async fn write_told(
        &self,
        payout: &Payout,
        told: Vec<(Claimed, LineTold)>,
    ) -> anyhow::Result<Option<String>> {
        let now = self.clock.now();
        let of = (payout.community, payout.id);
        let mut said = BTreeMap::new();
        let mut unanswered = None;
        for (claimed, told) in told {
            let number = claimed.line.number;
            match told {
                LineTold::Said(what) => {
                    said.insert(number, what);
                }
                LineTold::Unanswered(why) => {
                    store::payout_line::postpone(&self.pool, of, number, now).await?;
                    unanswered = Some(why);
                }
                LineTold::Broken(why) => {
                    let payout = payout.id;
                    tracing::error!(payout.id = %payout, "The ledger refused line {number} of payout {payout} as it never should: {why}");
                    let due_at = now + pause_after(claimed.attempts);
                    store::payout_line::postpone(&self.pool, of, number, due_at).await?;
                }
            }
        }
        if !said.is_empty() {
            self.settle_lines(of, &said).await?;
        }
        Ok(unanswered)
    }

    /// Moves lines on by what the ledger said of each, and freezes their payout when none waits to be held any more.
    async fn settle_lines(
        &self,
        (community, id): (Community, Uuid),
        said: &BTreeMap<i32, Said>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let payout = lock(&mut tx, community, id).await?;
        let numbers: Vec<i32> = said.keys().copied().collect();
        let lines = store::payout_line::find(&mut *tx, (community, id), &numbers).await?;
        let settled = lines.into_iter().filter_map(|line| {
            let said = said.get(&line.number)?;
            line.settle(*said)
        });
        let settled: Vec<Line> = settled.collect();
        let now = self.clock.now();
        store::payout_line::set_states(&mut *tx, (community, id), &settled, now).await?;
        let may_freeze = payout.state == PayoutState::Draft && payout.frozen.is_none();
        if may_freeze && !store::payout_line::is_any_pending(&mut *tx, (community, id)).await? {
            let lines = store::payout_line::all(&mut *tx, (community, id)).await?;
            store::payout::set_state(&mut *tx, &payout.freeze(&lines, now)).await?;
        }
        self.commit(tx, community).await?;
        Ok(())
    }

    /// Cancels one payout that nobody has confirmed in time; says whether there was one.
    async fn expire_payout(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        let Some((community, id)) = store::payout::expired(&self.pool, now).await? else {
            return Ok(false);
        };
        let mut tx = self.pool.begin().await?;
        let payout = lock(&mut tx, community, id).await?;
        let lines = store::payout_line::all(&mut *tx, (community, id)).await?;
        if let Some(ended) = payout.expire(lines, now) {
            self.write_payout(&mut tx, ended).await?;
            tracing::info!(payout.id = %id, "Payout {id} is CANCELLED: its time was over");
        }
        self.commit(tx, community).await?;
        Ok(true)
    }
}

fn by_payout(claimed: Vec<Claimed>) -> BTreeMap<Uuid, Vec<Claimed>> {
    let mut payouts: BTreeMap<Uuid, Vec<Claimed>> = BTreeMap::new();
    for line in claimed {
        payouts.entry(line.payout).or_default().push(line);
    }
    payouts
}
