//! Lots: the parts of an account by the instant they expire. The one that expires first is spent first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// The expiry of points that never expire: 9999-12-31T00:00:00Z, the last day that every client can show.
pub const NEVER: DateTime<Utc> = match DateTime::from_timestamp(253_402_214_400, 0) {
    Some(at) => at,
    None => panic!("a constant within chrono's range"),
};

/// What is in one lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lot {
    /// Neither spent nor held.
    pub remaining: i64,
    /// Reserved by open holds.
    pub held: i64,
}

/// A part of an amount, by lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The lot.
    pub expires_at: DateTime<Utc>,
    /// Above 0.
    pub amount: i64,
}

/// The lots of one account, by expiry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots(BTreeMap<DateTime<Utc>, Lot>);

impl Lots {
    /// Puts a lot in place, as loaded.
    pub fn insert(&mut self, expires_at: DateTime<Utc>, lot: Lot) {
        self.0.insert(expires_at, lot);
    }

    /// The lots, by expiry.
    pub fn iter(&self) -> impl Iterator<Item = (DateTime<Utc>, Lot)> + '_ {
        self.0.iter().map(|(expires_at, lot)| (*expires_at, *lot))
    }

    /// Forgets a lot with nothing in it.
    pub fn drop_empty(&mut self, expires_at: DateTime<Utc>) {
        if self.get(expires_at) == Lot::default() {
            self.0.remove(&expires_at);
        }
    }

    /// The lot that expires then; an empty one when there is none.
    pub fn get(&self, expires_at: DateTime<Utc>) -> Lot {
        self.0.get(&expires_at).copied().unwrap_or_default()
    }

    /// The sum of what has expired at `now` and is not held.
    pub fn expired(&self, now: DateTime<Utc>) -> i64 {
        self.0.range(..=now).map(|(_, lot)| lot.remaining).sum()
    }

    /// Which lots pay an amount at `now`: `first` when given and unexpired, then those that expire first. `None` when they hold less.
    pub fn choose(
        &self,
        amount: i64,
        first: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<Vec<Allocation>> {
        let first = first.filter(|expires_at| *expires_at > now);
        let preferred = first.map(|expires_at| (expires_at, self.get(expires_at)));
        let others = self
            .iter()
            .filter(|(expires_at, _)| *expires_at > now && Some(*expires_at) != first);
        let mut left = amount;
        let mut chosen = Vec::new();
        for (expires_at, lot) in preferred.into_iter().chain(others) {
            let amount = left.min(lot.remaining);
            if amount > 0 {
                chosen.push(Allocation { expires_at, amount });
                left -= amount;
            }
            if left == 0 {
                return Some(chosen);
            }
        }
        None
    }

    /// Takes what is not held.
    pub fn take(&mut self, part: Allocation) {
        self.0.entry(part.expires_at).or_default().remaining -= part.amount;
    }

    /// Puts in.
    pub fn put(&mut self, part: Allocation) {
        self.0.entry(part.expires_at).or_default().remaining += part.amount;
    }

    /// Reserves.
    pub fn hold(&mut self, part: Allocation) {
        self.take(part);
        self.0.entry(part.expires_at).or_default().held += part.amount;
    }

    /// Takes what is held.
    pub fn capture(&mut self, part: Allocation) {
        self.0.entry(part.expires_at).or_default().held -= part.amount;
    }

    /// Gives back what is held.
    pub fn release(&mut self, part: Allocation) {
        self.capture(part);
        self.put(part);
    }
}

/// The part of a list of allocations that lies behind the first `skip` units and is `amount` units long.
pub(super) fn slice(
    parts: impl IntoIterator<Item = Allocation>,
    skip: i64,
    amount: i64,
) -> Vec<Allocation> {
    let (mut skip, mut left) = (skip, amount);
    let mut chosen = Vec::new();
    for part in parts {
        let skipped = skip.min(part.amount);
        skip -= skipped;
        let amount = left.min(part.amount - skipped);
        if amount > 0 {
            chosen.push(Allocation { amount, ..part });
            left -= amount;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn day(day: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2024, 1, day, 0, 0, 0).unwrap()
    }

    fn lots(parts: &[(u32, i64)]) -> Lots {
        let mut lots = Lots::default();
        for (expires, remaining) in parts {
            lots.insert(
                day(*expires),
                Lot {
                    remaining: *remaining,
                    held: 0,
                },
            );
        }
        lots
    }

    fn part(expires: u32, amount: i64) -> Allocation {
        Allocation {
            expires_at: day(expires),
            amount,
        }
    }

    #[test]
    fn the_lot_that_expires_first_pays_first() {
        let lots = lots(&[(20, 5), (10, 5)]);
        assert_eq!(
            lots.choose(7, None, day(1)),
            Some(vec![part(10, 5), part(20, 2)])
        );
    }

    #[test]
    fn a_lot_is_unspendable_from_its_instant_on() {
        let lots = lots(&[(10, 5), (20, 5)]);
        assert_eq!(lots.choose(5, None, day(10)), Some(vec![part(20, 5)]));
        assert_eq!(lots.choose(6, None, day(10)), None);
        assert_eq!(lots.expired(day(10)), 5);
        assert_eq!(lots.expired(day(9)), 0);
    }

    #[test]
    fn a_preferred_lot_pays_before_earlier_ones_unless_it_has_expired() {
        let lots = lots(&[(10, 5), (20, 5)]);
        assert_eq!(
            lots.choose(6, Some(day(20)), day(1)),
            Some(vec![part(20, 5), part(10, 1)])
        );
        assert_eq!(
            lots.choose(5, Some(day(10)), day(10)),
            Some(vec![part(20, 5)])
        );
    }

    #[test]
    fn a_slice_skips_what_went_before() {
        let parts = [part(10, 3), part(20, 3), part(30, 3)];
        assert_eq!(
            slice(parts, 2, 5),
            vec![part(10, 1), part(20, 3), part(30, 1)]
        );
        assert_eq!(slice(parts, 0, 9), parts.to_vec());
        assert_eq!(slice(parts, 9, 0), vec![]);
    }
}
