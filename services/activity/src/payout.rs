//! Payouts: make a list of what is owed, give it to whoever pays, take what became of it. The ledger is told by `payout_relay`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use runtime::Access;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        payout::{
            self, Available, Confirmation, Deed, LIFE, Line, ListHash, Payout, PayoutState, Sums,
            held,
        },
        programme::Programme,
        refusal::{Refusal, Resource},
    },
    person::{ONE_LOOK, Opened},
    store,
};

/// What to pay out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPayout {
    pub(crate) id: Option<Uuid>,
    pub(crate) programme: Uuid,
    pub(crate) cutoff_at: DateTime<Utc>,
    pub(crate) minimum: i64,
}

/// A payout with what its lines add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) payout: Payout,
    pub(crate) sums: Sums,
}

/// That somebody was given the file.
#[derive(Debug, Serialize, Deserialize)]
struct Exported {
    at: DateTime<Utc>,
    shown: Shown,
}

/// A line of the file: who, and the hash after it.
#[derive(Debug)]
pub(crate) struct FileLine {
    pub(crate) line: Line,
    pub(crate) hash: ListHash,
    pub(crate) number: String,
    /// Nothing, once erased or damaged.
    pub(crate) name: Option<String>,
    pub(crate) is_damaged: bool,
}

/// What a member is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CashBalance {
    pub(crate) programme: Programme,
    pub(crate) owed: i64,
    pub(crate) listed: i64,
    pub(crate) paid: i64,
}

impl Activity {
    /// Makes a list. The ledger is asked before anything is written: what has changed by the time a line is held is not held.
    pub(crate) async fn create_payout(&self, call: &Call, new: NewPayout) -> Result<Shown, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        let programme = match self.cash_programme(call.community, new.programme).await {
            Ok(programme) => programme,
            Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
            Err(error) => return Err(error),
        };
        let unavailable = |status| Error::Ledger(Box::new(status));
        self.open_paid_out(&programme).await.map_err(unavailable)?;
        let available = self.available(&programme).await.map_err(unavailable)?;
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self
            .draft_payout(&mut tx, call, new, (&programme, available))
            .await;
        let shown = self.conclude(tx, call, outcome).await?;
        self.payer.nudge();
        Ok(shown)
    }

    async fn draft_payout(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        new: NewPayout,
        (programme, mut available): (&Programme, Vec<Available>),
    ) -> Result<Shown, Error> {
        let (community, now) = (call.community, self.clock.now());
        let of = (community, programme.id);
        let members: Vec<Uuid> = available.iter().map(|owed| owed.member).collect();
        let payable = store::payout_line::payable(&mut *tx, community, &members).await?;
        let payable: HashSet<Uuid> = payable.into_iter().collect();
        available.retain(|owed| payable.contains(&owed.member));
        let since = store::payout::granted_since(&mut *tx, of, new.cutoff_at).await?;
        let (mut lines, more_owed) =
            payout::lines(available, &since.into_iter().collect(), new.minimum, || {
                self.ids.next()
            });
        // Who is being erased meanwhile is waited for, and left out after all.
        let members: Vec<Uuid> = lines.iter().map(|line| line.member).collect();
        let kept = store::member::lock_there(&mut *tx, community, &members).await?;
        let kept: HashSet<Uuid> = kept.into_iter().collect();
        lines.retain(|line| kept.contains(&line.member));
        for (number, line) in (1..).zip(&mut lines) {
            line.number = number;
        }
        if lines.is_empty() {
            return Err(Refusal::NothingOwed {
                programme: programme.id,
                minimum: new.minimum,
            }
            .into());
        }
        let payout = Payout {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            programme: programme.id,
            asset: programme.asset.clone(),
            exponent: programme.exponent,
            state: PayoutState::Draft,
            cutoff_at: new.cutoff_at,
            minimum: new.minimum,
            more_owed,
            created: Deed {
                by: call.by.subject.clone(),
                at: now,
            },
            expires_at: now + LIFE,
            frozen: None,
            exported: None,
            decided: None,
            reason: None,
        };
        if let Err(error) = store::payout::insert(&mut *tx, &payout).await {
            let exists = Refusal::Exists {
                resource: Resource::Payout,
                id: payout.id,
            };
            return Err(match runtime::constraint(&error) {
                Some("payout_pk") => exists.into(),
                _ => error.into(),
            });
        }
        store::payout_line::insert(&mut *tx, (community, payout.id), &lines, now).await?;
        let event = NewEvent::of_payout(&payout);
        store::event::insert(&mut *tx, community, &[event]).await?;
        show(tx, payout).await
    }

    /// Returns a payout.
    pub(crate) async fn get_payout(&self, community: Community, id: Uuid) -> Result<Shown, Error> {
        let found = store::payout::find(&self.pool, community, id).await?;
        let payout = found.ok_or(not_found(id))?;
        let sums = store::payout::sums(&self.pool, community, &[id]).await?;
        let sums = sums.into_iter().next().map(|(_, sums)| sums);
        let sums = sums.unwrap_or_default();
        Ok(Shown { payout, sums })
    }

    /// Lists a programme's payouts by id.
    pub(crate) async fn list_payouts(
        &self,
        programme: (Community, Uuid),
        state: Option<PayoutState>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Shown, Uuid>, Error> {
        let window = Page::<Payout, _>::window(after, size);
        let rows = store::payout::list(&self.pool, programme, state, window).await?;
        let page = Page::cut(rows, size, |payout| payout.id);
        let ids: Vec<Uuid> = page.items.iter().map(|payout| payout.id).collect();
        let sums = store::payout::sums(&self.pool, programme.0, &ids).await?;
        let mut sums: HashMap<Uuid, Sums> = sums.into_iter().collect();
        let shown = page.items.into_iter().map(|payout| Shown {
            sums: sums.remove(&payout.id).unwrap_or_default(),
            payout,
        });
        Ok(Page {
            items: shown.collect(),
            next: page.next,
        })
    }

    /// Lists a payout's lines by number, with the payout.
    pub(crate) async fn list_payout_lines(
        &self,
        community: Community,
        id: Uuid,
        after: i32,
        size: i64,
    ) -> Result<(Payout, Page<Line, i32>), Error> {
        let found = store::payout::find(&self.pool, community, id).await?;
        let payout = found.ok_or(not_found(id))?;
        let window = Page::<Line, _>::window(after, size);
        let rows = store::payout_line::list(&self.pool, (community, id), window).await?;
        Ok((payout, Page::cut(rows, size, |line| line.number)))
    }

    /// Gives somebody the list with the names. That it was asked for, by whom and why, is committed to the audit log before a name is read.
    pub(crate) async fn export_payout(
        &self,
        call: &Call,
        id: Uuid,
    ) -> Result<(Shown, Vec<FileLine>), Error> {
        let Exported { at, shown } = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.admit_export(&mut tx, call, id).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(exported) => exported,
        };
        if self.clock.now() - at > ONE_LOOK {
            let request_id = call.request_id;
            return Err(Refusal::RevealOver { request_id }.into());
        }
        let lines = self.payout_file(&shown.payout).await?;
        Ok((shown, lines))
    }

    async fn admit_export(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        id: Uuid,
    ) -> Result<Exported, Error> {
        let deed = self.payout_deed(call);
        let at = deed.at;
        let payout = lock(tx, call.community, id).await?.export(deed)?;
        write_state(tx, &payout).await?;
        let shown = show(tx, payout).await?;
        Ok(Exported { at, shown })
    }

    /// The lines of a frozen list with their names, if it is what was frozen.
    async fn payout_file(&self, payout: &Payout) -> Result<Vec<FileLine>, Error> {
        let (community, of) = (payout.community, (payout.community, payout.id));
        let lines = store::payout_line::all(&self.pool, of).await?;
        let hashes: Vec<ListHash> = payout.hashes(held(&lines)).map(|(_, hash)| hash).collect();
        let last = hashes.last().copied().unwrap_or(payout.seed());
        if payout.frozen.is_none_or(|frozen| frozen.hash != last) {
            return Err(Error::PayoutAltered(payout.id));
        }
        let numbers = store::payout_line::numbers(&self.pool, of).await?;
        let mut numbers: HashMap<Uuid, String> = numbers.into_iter().collect();
        let members: Vec<Uuid> = lines.iter().map(|line| line.member).collect();
        let kept = store::person::find_many(&self.pool, community, &members).await?;
        let (mut names, mut damaged) = (HashMap::new(), HashSet::new());
        for (member, kept) in kept {
            match self.open_among(community, member, kept)? {
                Opened::Whole(person) => {
                    names.insert(member, person.name);
                }
                Opened::Erased => {}
                Opened::Damaged => {
                    damaged.insert(member);
                }
            }
        }
        let lines = held(&lines).zip(hashes).map(|(line, hash)| FileLine {
            line: line.clone(),
            hash,
            number: numbers.remove(&line.member).unwrap_or_default(),
            name: names.remove(&line.member),
            is_damaged: damaged.contains(&line.member),
        });
        Ok(lines.collect())
    }

    /// Takes what became of every line.
    pub(crate) async fn confirm_payout(
        &self,
        call: &Call,
        access: &Access,
        id: Uuid,
        confirmation: Confirmation,
    ) -> Result<Shown, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self
            .take_outcomes(&mut tx, call, access, id, confirmation)
            .await;
        let shown = self.conclude(tx, call, outcome).await?;
        self.payer.nudge();
        Ok(shown)
    }

    async fn take_outcomes(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        access: &Access,
        id: Uuid,
        confirmation: Confirmation,
    ) -> Result<Shown, Error> {
        let community = call.community;
        let payout = lock(tx, community, id).await?;
        let lines = store::payout_line::all(&mut *tx, (community, id)).await?;
        let is_own = |member| access.is(community.0, "members", member);
        let decided = payout.confirm(lines, confirmation, self.payout_deed(call), is_own)?;
        self.write_payout(tx, decided).await
    }

    /// Gives back what is held.
    pub(crate) async fn cancel_payout(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Shown, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.give_back(&mut tx, call, id, reason).await;
        let shown = self.conclude(tx, call, outcome).await?;
        self.payer.nudge();
        Ok(shown)
    }

    async fn give_back(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Shown, Error> {
        let payout = lock(tx, call.community, id).await?;
        let lines = store::payout_line::all(&mut *tx, (call.community, id)).await?;
        let cancelled = payout.cancel(lines, self.payout_deed(call), reason)?;
        self.write_payout(tx, cancelled).await
    }

    /// Writes a locked payout and those of its lines that have changed.
    pub(crate) async fn write_payout(
        &self,
        tx: &mut PgConnection,
        (payout, lines): (Payout, Vec<Line>),
    ) -> Result<Shown, Error> {
        let of = (payout.community, payout.id);
        store::payout_line::set_states(&mut *tx, of, &lines, self.clock.now()).await?;
        write_state(tx, &payout).await?;
        show(tx, payout).await
    }

    /// Returns what a member is owed of a cash programme.
    pub(crate) async fn get_cash_balance(
        &self,
        community: Community,
        member: Uuid,
        programme: Uuid,
    ) -> Result<CashBalance, Error> {
        let programme = self.cash_programme(community, programme).await?;
        self.get_member(community, member).await?;
        let of = (community, programme.id);
        let paid = store::payout_line::paid_to(&self.pool, of, member).await?;
        let cash = self.cash_of(&programme, member).await;
        let (owed, listed) = cash.map_err(|status| Error::Ledger(Box::new(status)))?;
        Ok(CashBalance {
            programme,
            owed,
            listed,
            paid,
        })
    }

    /// A programme whose rewards are money.
    pub(crate) async fn cash_programme(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Programme, Error> {
        let programme = self.get_programme(community, id).await?;
        programme.require_cash()?;
        Ok(programme)
    }

    fn payout_deed(&self, call: &Call) -> Deed {
        Deed {
            by: call.by.subject.clone(),
            at: self.clock.now(),
        }
    }
}

/// Locks a payout and returns it.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<Payout, Error> {
    store::payout::lock(&mut *tx, community, id).await?;
    let found = store::payout::find(&mut *tx, community, id).await?;
    Ok(found.ok_or(not_found(id))?)
}

/// Writes the state that a locked payout has come to.
async fn write_state(tx: &mut PgConnection, payout: &Payout) -> Result<(), Error> {
    store::payout::set_state(&mut *tx, payout).await?;
    let event = NewEvent::of_payout(payout);
    Ok(store::event::insert(tx, payout.community, &[event]).await?)
}

async fn show(tx: &mut PgConnection, payout: Payout) -> Result<Shown, Error> {
    let sums = store::payout::sums(&mut *tx, payout.community, &[payout.id]).await?;
    let sums = sums.into_iter().next().map(|(_, sums)| sums);
    Ok(Shown {
        payout,
        sums: sums.unwrap_or_default(),
    })
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Payout,
        id,
    }
}
