//! What the books say to a request: everything that may be refused, then the entries it makes. An amount by lot is a list with one
//! item for each point.

use super::{
    domain::{
        AccountId, Allocation, CaptureHold, Command, CreateHold, Entry, EntryKind, Hold, HoldState,
        Lot, NEVER, Refusal, Request, RequestId, Transfer,
    },
    history::{Books, Time, moves_points},
};

/// From where to where.
#[derive(Clone, Copy)]
struct Way {
    debit: AccountId,
    credit: AccountId,
}

impl<'a> Books<'a> {
    /// The entries that a request makes: one, and after a final capture one more for what it leaves.
    pub fn decide(&self, request: &Request, now: Time) -> Result<Vec<Entry>, Refusal> {
        match &request.command {
            Command::Transfer(transfer) => self.transfer(request, transfer, now),
            Command::CreateHold(hold) => self.create_hold(request, hold, now),
            Command::CaptureHold(capture) => self.capture(request, capture, now),
            Command::ReleaseHold(release) => {
                self.give_back(request, release.hold, EntryKind::Release, now)
            }
            Command::ExpireHold(hold) => {
                let (open, _) = self.open_hold(*hold, now)?;
                if now < open.expires_at {
                    return Err(Refusal::HoldNotExpired {
                        expire_time: open.expires_at,
                        now,
                    });
                }
                self.give_back(request, *hold, EntryKind::HoldExpiry, now)
            }
            Command::ReverseEntry(_) => self.reverse(request, now),
            Command::ExpireLot(debit, expires_at) => {
                self.expire_lot(request, *debit, *expires_at, now)
            }
        }
    }

    fn transfer(
        &self,
        request: &Request,
        transfer: &Transfer,
        now: Time,
    ) -> Result<Vec<Entry>, Refusal> {
        let (debit, credit) = (transfer.posting.debit, transfer.posting.credit);
        let (way, amount) = (Way { debit, credit }, transfer.posting.amount);
        self.fit(way)?;
        match transfer.expires_at {
            Some(_) if !self.keeps_lots(credit) => {
                return Err(Refusal::LotsNotKept { account: credit });
            }
            Some(expire_time) if expire_time <= now => {
                return Err(Refusal::LotExpired { expire_time, now });
            }
            _ => {}
        }
        let paid = self.pay(debit, amount, None, now)?;
        self.make_room(credit, amount, now)?;
        Ok(vec![Entry {
            expires_at: transfer.expires_at,
            allocations: by_lot(&paid),
            description: transfer.description.clone(),
            ..self.blank(request, EntryKind::Transfer, way, amount, now)
        }])
    }

    fn create_hold(
        &self,
        request: &Request,
        hold: &CreateHold,
        now: Time,
    ) -> Result<Vec<Entry>, Refusal> {
        let blank = |kind, way: Way, amount| self.blank(request, kind, way, amount, now);
        let (debit, credit) = (hold.posting.debit, hold.posting.credit);
        let way = Way { debit, credit };
        self.fit(way)?;
        self.require_before(now, hold.expires_at)?;
        let paid = self.pay(debit, hold.posting.amount, None, now)?;
        Ok(vec![Entry {
            expires_at: Some(hold.expires_at),
            allocations: by_lot(&paid),
            description: hold.description.clone(),
            ..blank(EntryKind::Hold, way, hold.posting.amount)
        }])
    }

    fn capture(
        &self,
        request: &Request,
        capture: &CaptureHold,
        now: Time,
    ) -> Result<Vec<Entry>, Refusal> {
        let blank = |kind, way: Way, amount| self.blank(request, kind, way, amount, now);
        let (hold, made) = self.open_hold(capture.hold, now)?;
        self.require_before(now, hold.expires_at)?;
        let left = hold.amount - hold.captured - hold.released;
        if capture.amount > left {
            return Err(Refusal::AmountExceedsHeld {
                held: left,
                asked: capture.amount,
            });
        }
        let way = Way {
            debit: hold.debit,
            credit: capture.credit.unwrap_or(hold.credit),
        };
        if let Some(account) = capture.credit {
            if account == hold.debit || account == hold.credit {
                return Err(Refusal::NotAnotherAccount { account });
            }
            self.fit(way)?;
        }
        self.make_room(way.credit, capture.amount, now)?;
        let reserved = by_point(&made.allocations);
        let captured = Entry {
            is_final: capture.is_final,
            related: Some(made.sequence),
            allocations: by_lot(&cut(&reserved, hold.captured, capture.amount)),
            description: capture.description.clone(),
            ..blank(EntryKind::Capture, way, capture.amount)
        };
        if !capture.is_final || capture.amount == left {
            return Ok(vec![captured]);
        }
        let rest = left - capture.amount;
        let back = cut(&reserved, hold.captured + capture.amount, rest);
        let held = Way {
            credit: hold.credit,
            ..way
        };
        let blank = blank(EntryKind::Release, held, rest);
        let released = Entry {
            sequence: captured.sequence + 1,
            request: None,
            debit_balance: captured.debit_balance,
            credit_balance: match capture.credit {
                None => captured.credit_balance,
                Some(_) => blank.credit_balance,
            },
            debit_previous: captured.sequence,
            related: Some(made.sequence),
            allocations: by_lot(&back),
            ..blank
        };
        Ok(vec![captured, released])
    }

    fn reverse(&self, request: &Request, now: Time) -> Result<Vec<Entry>, Refusal> {
        let Command::ReverseEntry(asked) = &request.command else {
            panic!("not a reversal: {request:?}");
        };
        let sequence = asked.sequence;
        let original = self
            .entries
            .iter()
            .find(|entry| entry.sequence == sequence)
            .ok_or(Refusal::EntryNotFound { sequence })?;
        if original.kind != EntryKind::Transfer && original.kind != EntryKind::Capture {
            return Err(Refusal::NotReversible { sequence });
        }
        let reversed: i64 = self
            .about(original)
            .map(|entry| match entry.kind {
                EntryKind::Reversal => entry.amount,
                _ => 0,
            })
            .sum();
        if asked.amount > original.amount - reversed {
            return Err(Refusal::AmountExceedsOriginal {
                reversible: original.amount - reversed,
                asked: asked.amount,
            });
        }
        let way = Way {
            debit: original.credit,
            credit: original.debit,
        };
        self.fit(way)?;
        let available = self.available(way.debit, now)?;
        let amount = match asked.allow_partial && available > 0 {
            true => asked.amount.min(available),
            false => asked.amount,
        };
        let made = original.expires_at.unwrap_or(NEVER);
        let taken = self.pay(way.debit, amount, Some(made), now)?;
        self.make_room(way.credit, amount, now)?;
        let mut paid = by_point(&original.allocations);
        paid.reverse();
        let returned = cut(&paid, reversed, amount);
        let lots = match self.keeps_lots(way.debit) {
            true => taken,
            false => returned,
        };
        Ok(vec![Entry {
            related: Some(sequence),
            allocations: by_lot(&lots),
            description: asked.description.clone(),
            ..self.blank(request, EntryKind::Reversal, way, amount, now)
        }])
    }

    fn give_back(
        &self,
        request: &Request,
        id: RequestId,
        kind: EntryKind,
        now: Time,
    ) -> Result<Vec<Entry>, Refusal> {
        let (hold, made) = self.open_hold(id, now)?;
        let left = hold.amount - hold.captured - hold.released;
        let way = Way {
            debit: hold.debit,
            credit: hold.credit,
        };
        let reserved = by_point(&made.allocations);
        Ok(vec![Entry {
            related: Some(made.sequence),
            allocations: by_lot(&cut(&reserved, hold.captured, left)),
            ..self.blank(request, kind, way, left, now)
        }])
    }

    fn expire_lot(
        &self,
        request: &Request,
        debit: AccountId,
        expires_at: Time,
        now: Time,
    ) -> Result<Vec<Entry>, Refusal> {
        let blank = |kind, way: Way, amount| self.blank(request, kind, way, amount, now);
        let account = self.definition(debit)?;
        let lots = self.lots(debit);
        let lot = lots.iter().find(|(at, _)| *at == expires_at);
        let amount = lot.map_or(0, |(_, lot)| lot.remaining);
        let not_kept = Refusal::LotsNotKept { account: debit };
        let credit = account.expiry_account.ok_or(not_kept)?;
        if expires_at > now || amount == 0 {
            return Err(Refusal::InsufficientPoints {
                available: 0,
                asked: amount,
            });
        }
        let way = Way { debit, credit };
        self.fit(way)?;
        self.make_room(credit, amount, now)?;
        Ok(vec![Entry {
            expires_at: Some(expires_at),
            allocations: by_lot(&points(expires_at, amount)),
            ..blank(EntryKind::LotExpiry, way, amount)
        }])
    }

    fn available(&self, id: AccountId, now: Time) -> Result<i64, Refusal> {
        let Some(min) = self.definition(id)?.limits.min_balance else {
            return Ok(i64::MAX);
        };
        let free = self.balance(id) - self.held(id) - self.expired(id, now);
        Ok((free - min).max(0))
    }

    /// One item for each point that an account can pay, in the order in which they are spent.
    fn payable(&self, id: AccountId, first: Option<Time>, now: Time) -> Vec<Time> {
        let mut lots = self.lots(id);
        lots.retain(|(expires_at, _)| *expires_at > now);
        lots.sort_by_key(|(expires_at, _)| (Some(*expires_at) != first, *expires_at));
        let points = |(at, lot): (Time, Lot)| points(at, lot.remaining);
        lots.into_iter().flat_map(points).collect()
    }

    fn pay(
        &self,
        id: AccountId,
        amount: i64,
        first: Option<Time>,
        now: Time,
    ) -> Result<Vec<Time>, Refusal> {
        let available = self.available(id, now)?;
        if available < amount {
            return Err(Refusal::InsufficientPoints {
                available,
                asked: amount,
            });
        }
        Ok(cut(&self.payable(id, first, now), 0, amount))
    }

    fn make_room(&self, id: AccountId, asked: i64, now: Time) -> Result<(), Refusal> {
        let max = self.definition(id)?.limits.max_balance;
        let counted = self.balance(id) - self.expired(id, now);
        let room = max.unwrap_or(i64::MAX).saturating_sub(counted).max(0);
        if room < asked {
            return Err(Refusal::LimitExceeded { room, asked });
        }
        Ok(())
    }

    fn fit(&self, way: Way) -> Result<(), Refusal> {
        let from = self.definition(way.debit)?;
        let to = self.definition(way.credit)?;
        if from.programme != to.programme || from.asset != to.asset {
            return Err(Refusal::AssetMismatch {
                debit: from.asset.clone(),
                credit: to.asset.clone(),
            });
        }
        if from.expiry_account.is_some() && to.expiry_account.is_some() {
            return Err(Refusal::LotsOnBothSides);
        }
        Ok(())
    }

    fn open_hold(&self, id: RequestId, now: Time) -> Result<(Hold, &'a Entry), Refusal> {
        let not_found = Refusal::HoldNotFound { hold: id.0 };
        let hold = self.hold(id).ok_or(not_found.clone())?;
        let made = self.hold_entry(id).ok_or(not_found)?;
        match hold.state {
            HoldState::Open => Ok((hold, made)),
            HoldState::Expired => Err(Refusal::HoldExpired {
                expire_time: hold.expires_at,
                now,
            }),
            HoldState::Captured | HoldState::Released => Err(Refusal::HoldClosed {
                captured: hold.captured,
                released: hold.released,
            }),
        }
    }

    fn require_before(&self, now: Time, expire_time: Time) -> Result<(), Refusal> {
        match now < expire_time {
            true => Ok(()),
            false => Err(Refusal::HoldExpired { expire_time, now }),
        }
    }

    /// An entry with everything that follows from the entries before it.
    fn blank(&self, request: &Request, kind: EntryKind, way: Way, amount: i64, now: Time) -> Entry {
        let moved = if moves_points(kind) { amount } else { 0 };
        let previous = |id| self.statement(id).last().map_or(0, |entry| entry.sequence);
        Entry {
            sequence: i64::try_from(self.entries.len()).unwrap() + 1,
            kind,
            is_final: false,
            request: request.identity,
            debit: way.debit,
            credit: way.credit,
            amount,
            debit_balance: self.balance(way.debit) - moved,
            credit_balance: self.balance(way.credit) + moved,
            debit_previous: previous(way.debit),
            credit_previous: if moved > 0 { previous(way.credit) } else { 0 },
            expires_at: None,
            related: None,
            allocations: vec![],
            description: String::new(),
            recorded_at: now,
        }
    }
}

fn points(lot: Time, amount: i64) -> Vec<Time> {
    (0..amount).map(|_| lot).collect()
}

fn by_point(parts: &[Allocation]) -> Vec<Time> {
    let point = |part: &Allocation| points(part.expires_at, part.amount);
    parts.iter().flat_map(point).collect()
}

/// Points from one on; none of an account without lots.
fn cut(points: &[Time], from: i64, count: i64) -> Vec<Time> {
    let number = |number| usize::try_from(number).unwrap();
    points
        .iter()
        .skip(number(from))
        .take(number(count))
        .copied()
        .collect()
}

fn by_lot(points: &[Time]) -> Vec<Allocation> {
    let part = |points: &[Time]| Allocation {
        expires_at: points[0],
        amount: i64::try_from(points.len()).unwrap(),
    };
    points.chunk_by(|one, next| one == next).map(part).collect()
}
