//! Tells members that points will expire, and that they have. A programme's turn comes each hour, and when a step begins or something expires; a claim
//! by a lease lets one replica at a time read its lots and expiries from the ledger. What was told once is not told again, so a turn that
//! breaks off is simply taken again.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use proto::{account_id, ledger::v1::AccountKind};
use runtime::{Nudge, Progress};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity,
    domain::{
        notice::{Content, NewNotice, Unit, next_step, step},
        programme::Programme,
    },
    ledger::{Expired, ExpiringLot},
    store,
};

/// How often there is a look for programmes whose turn it is.
const EVERY: Duration = Duration::from_secs(10);
/// How long a claim keeps others away. Should a turn ever take longer, another replica tells the same, which is told once.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// How long it is at most until a programme's next turn.
const TURN: TimeDelta = TimeDelta::hours(1);
/// How long the ledger has to post what expires.
const SWEPT: TimeDelta = TimeDelta::seconds(15);

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let clock = activity.clock.clone();
    let work = move || {
        let activity = activity.clone();
        async move { activity.tell_expiries().await }
    };
    let nudge = Nudge::default();
    runtime::spawn_worker(tasks, stop, clock, EVERY, nudge, "activity-expiry", work);
}

impl Activity {
    /// Takes one programme's turn.
    pub(crate) async fn tell_expiries(&self) -> anyhow::Result<Progress> {
        let now = self.clock.now();
        store::notice::watch_new(&self.pool, now).await?;
        let Some(community) = store::notice::community_due(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let claimed = store::notice::claim(&self.pool, community, now, now + LEASE).await?;
        let Some(watch) = claimed else {
            // Another replica has it.
            return Ok(Progress::Idle);
        };
        let id = watch.programme_id;
        let found = store::programme::find(&self.pool, community, id).await?;
        let programme = found.with_context(|| format!("no programme {id}"))?;
        let members = self.accounts_of(&programme).await?;
        let next = self.tell_ahead(&programme, &members, now).await?;
        self.tell_done(&programme, &members, watch.entry_sequence)
            .await?;
        let due_at = next.map_or(now + TURN, |next| (next + SWEPT).min(now + TURN));
        store::notice::set_due(&self.pool, community, id, due_at).await?;
        Ok(Progress::More)
    }

    /// Tells of what will expire, and returns when the next step begins.
    async fn tell_ahead(
        &self,
        programme: &Programme,
        members: &HashMap<Uuid, Uuid>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<DateTime<Utc>>> {
        let days = &programme.expiry_notice_days;
        let most = days.iter().max().copied().unwrap_or_default();
        let end = now + TimeDelta::days(i64::from(most)) + TURN;
        let (mut token, mut next) = (String::new(), None);
        loop {
            let (lots, following) = self.expiring_lots(programme, end, token).await?;
            let step_of = |lot: &ExpiringLot| next_step(days, lot.expires_at, now);
            next = lots.iter().filter_map(step_of).chain(next).min();
            let notices: Vec<NewNotice> = lots
                .iter()
                .filter_map(|lot| self.ahead(programme, members, lot, now))
                .collect();
            let mut tx = self.pool.begin().await?;
            store::notice::insert(&mut tx, programme.community, &notices, now).await?;
            self.commit(tx, programme.community).await?;
            if following.is_empty() {
                return Ok(next);
            }
            token = following;
        }
    }

    fn ahead(
        &self,
        programme: &Programme,
        members: &HashMap<Uuid, Uuid>,
        lot: &ExpiringLot,
        now: DateTime<Utc>,
    ) -> Option<NewNotice> {
        let days = step(&programme.expiry_notice_days, lot.expires_at, now)?;
        Some(NewNotice {
            id: self.ids.next(),
            member: *members.get(&lot.account)?,
            content: Content::ExpiryAhead {
                programme: programme.id,
                account: lot.account,
                unit: Unit::of(programme),
                amount: lot.remaining.saturating_add(lot.held),
                held: lot.held,
                expires_at: lot.expires_at,
                days,
            },
        })
    }

    /// Gives receipts for what has expired, behind an entry. Each page is written with how far it goes.
    async fn tell_done(
        &self,
        programme: &Programme,
        members: &HashMap<Uuid, Uuid>,
        after: i64,
    ) -> anyhow::Result<()> {
        let community = programme.community;
        let mut token = String::new();
        loop {
            let (expired, following) = self.expired_points(programme, after, token).await?;
            if let Some(last) = expired.last() {
                let notices: Vec<NewNotice> = expired
                    .iter()
                    .filter_map(|one| self.done(programme, members, one))
                    .collect();
                let mut tx = self.pool.begin().await?;
                store::notice::insert(&mut tx, community, &notices, self.clock.now()).await?;
                store::notice::set_sequence(&mut *tx, community, programme.id, last.entry).await?;
                self.commit(tx, community).await?;
            }
            if following.is_empty() {
                return Ok(());
            }
            token = following;
        }
    }

    fn done(
        &self,
        programme: &Programme,
        members: &HashMap<Uuid, Uuid>,
        expired: &Expired,
    ) -> Option<NewNotice> {
        Some(NewNotice {
            id: self.ids.next(),
            member: *members.get(&expired.account)?,
            content: Content::ExpiryDone {
                programme: programme.id,
                unit: Unit::of(programme),
                amount: expired.amount,
                expires_at: expired.expires_at,
                entry: expired.entry,
            },
        })
    }

    /// The members of a programme's community by their accounts, whose ids follow from theirs.
    async fn accounts_of(&self, programme: &Programme) -> anyhow::Result<HashMap<Uuid, Uuid>> {
        let members = store::member::ids(&self.pool, programme.community).await?;
        let account = |member| account_id(programme.id, AccountKind::Member, Some(member));
        Ok(members
            .into_iter()
            .map(|member| (account(member), member))
            .collect())
    }
}
