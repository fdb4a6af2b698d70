//! What is transferred: the five workloads, as encoded transfers that are sent again and again under new ids.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use prost::{Message, encoding};
use proto::ledger::v1 as pb;
use rand::{Rng, SeedableRng, rngs::StdRng};
use runtime::{Ids, timestamp};
use uuid::{Uuid, fmt::Hyphenated};

use super::books::Books;

/// How many different transfers a workload has; a multiple of 8,190.
pub const RING: usize = 8 * 8_190;
/// How many different days the points of a grant may expire on.
pub const EXPIRY_DAYS: i64 = 12;
/// The most that one transfer moves.
const MAX_AMOUNT: i64 = 100;

/// Who pays whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Workload {
    /// Anyone pays anyone.
    Uniform,
    /// The same, but the first account takes part twice as often as the second, three times as often as the third …
    Zipf,
    /// Everyone pays into one account.
    Hot,
    /// Everyone is paid from one account, which has a limit: a programme's budget.
    Limited,
    /// Members are granted points that expire, and spend them.
    Lots,
}

impl Workload {
    /// In the order of the report.
    pub const ALL: [Self; 5] = [
        Self::Uniform,
        Self::Zipf,
        Self::Hot,
        Self::Limited,
        Self::Lots,
    ];
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Hot => "hot",
            Self::Limited => "limited",
            Self::Lots => "lots",
        })
    }
}

/// Picks one of the numbers below a limit.
pub enum Pick {
    /// Each as often as the others.
    Uniform(usize),
    /// Number `k` in proportion to `1 / (k + 1)`: the sums of these up to each number.
    Zipf(Vec<f64>),
}

impl Pick {
    /// Zipf's law with exponent 1.
    pub fn zipf(limit: usize) -> Self {
        let weights =
            (1..=u32::try_from(limit).unwrap_or(u32::MAX)).map(|rank| 1.0 / f64::from(rank));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self::Zipf(sums.collect())
    }

    /// The next one.
    pub fn pick(&self, rng: &mut StdRng) -> usize {
        match self {
            Self::Uniform(limit) => rng.random_range(0..*limit),
            Self::Zipf(sums) => {
                let at = rng.random::<f64>() * sums.last().copied().unwrap_or(0.0);
                sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
            }
        }
    }

    /// Two that differ.
    pub fn pair(&self, rng: &mut StdRng) -> (usize, usize) {
        let one = self.pick(rng);
        loop {
            let other = self.pick(rng);
            if other != one {
                return (one, other);
            }
        }
    }
}

/// A workload's transfers, encoded; only their ids are written anew each time. Clones take turns on the same ring.
#[derive(Debug, Clone)]
pub struct Ring(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    ids: Ids,
    /// The field `parent`.
    parent: Vec<u8>,
    /// The fields `transfers`, one after another.
    transfers: Vec<u8>,
    /// Where each field of `transfers` starts, and where the last one ends.
    starts: Vec<usize>,
    /// Where the id is in each.
    id_offsets: Vec<usize>,
    next: AtomicUsize,
}

impl Ring {
    /// The ring of a workload; the same for the same books.
    pub fn new(workload: Workload, books: &Books, ids: &Ids, now: DateTime<Utc>) -> Self {
        let mut rng = StdRng::seed_from_u64(workload as u64 + 1);
        Self::of(transfers(workload, books, now, &mut rng), books, ids)
    }

    /// A ring of given transfers.
    pub fn of(transfers: Vec<pb::Transfer>, books: &Books, ids: &Ids) -> Self {
        let mut encoded = Encoded {
            ids: ids.clone(),
            parent: Vec::new(),
            transfers: Vec::new(),
            starts: vec![0],
            id_offsets: Vec::new(),
            next: AtomicUsize::new(0),
        };
        encoding::string::encode(1, &books.community_name(), &mut encoded.parent);
        for transfer in transfers {
            let transfer = pb::Transfer {
                request_id: Uuid::nil().to_string(),
                ..transfer
            };
            encoding::message::encode(2, &transfer, &mut encoded.transfers);
            // It is the first field; its key and length take a byte each.
            let id = encoded.transfers.len() - transfer.encoded_len() + 2;
            encoded.id_offsets.push(id);
            encoded.starts.push(encoded.transfers.len());
        }
        Self(Arc::new(encoded))
    }

    /// A `PostTransfersRequest` with the next `count` transfers, whose number the ring's length has to be a multiple of.
    pub fn request(&self, count: usize) -> Vec<u8> {
        let Encoded {
            ids,
            parent,
            transfers,
            starts,
            id_offsets,
            next,
        } = &*self.0;
        let first = next.fetch_add(count, Ordering::Relaxed) % id_offsets.len();
        let last = (first + count).min(id_offsets.len());
        let mut request = Vec::with_capacity(parent.len() + starts[last] - starts[first]);
        request.extend_from_slice(parent);
        request.extend_from_slice(&transfers[starts[first]..starts[last]]);
        for offset in &id_offsets[first..last] {
            let at = parent.len() + offset - starts[first];
            let place = &mut request[at..at + Hyphenated::LENGTH];
            ids.next().hyphenated().encode_lower(place);
        }
        request
    }
}

/// The transfers of a workload, none of which has a reason to be refused.
fn transfers(
    workload: Workload,
    books: &Books,
    now: DateTime<Utc>,
    rng: &mut StdRng,
) -> Vec<pb::Transfer> {
    let pick = match workload {
        Workload::Zipf => Pick::zipf(books.shops.len()),
        _ => Pick::Uniform(books.shops.len()),
    };
    let one = |rng: &mut StdRng| {
        let (debit, credit) = pick.pair(rng);
        let (debit, credit) = (books.shops[debit], books.shops[credit]);
        let amount = rng.random_range(1..=MAX_AMOUNT);
        match workload {
            Workload::Hot => books.transfer(debit, books.hot, amount),
            Workload::Limited => books.transfer(books.limited, credit, amount),
            _ => books.transfer(debit, credit, amount),
        }
    };
    // Earned, then spent in a shop: on average what is granted.
    let earn_then_spend = |rng: &mut StdRng| {
        let member = books.members[pick.pick(rng)];
        let days = 30 * rng.random_range(1..=EXPIRY_DAYS);
        let amount = rng.random_range(1..=MAX_AMOUNT);
        let grant = pb::Transfer {
            expire_time: Some(timestamp(now + TimeDelta::days(days))),
            ..books.transfer(books.issuing, member, amount)
        };
        let shop = books.shops[pick.pick(rng)];
        [grant, books.transfer(member, shop, amount)]
    };
    match workload {
        Workload::Lots => (0..RING / 2).flat_map(|_| earn_then_spend(rng)).collect(),
        _ => (0..RING).map(|_| one(rng)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use runtime::Clock;

    use super::*;

    #[test]
    fn zipf_picks_the_first_twice_as_often_as_the_second() {
        let (pick, mut rng) = (Pick::zipf(10_000), StdRng::seed_from_u64(1));
        let mut counts: HashMap<usize, f64> = HashMap::new();
        for _ in 0..200_000 {
            *counts.entry(pick.pick(&mut rng)).or_default() += 1.0;
        }
        let first = counts[&0];
        assert!((1.9..2.1).contains(&(first / counts[&1])), "{first}");
        assert!((9.0..11.0).contains(&(first / counts[&9])), "{first}");
        // One in the sum of 1/1 … 1/10,000.
        assert!((0.098..0.106).contains(&(first / 200_000.0)), "{first}");
        assert!(counts.keys().all(|number| *number < 10_000));
    }

    #[test]
    fn a_pair_differs() {
        let (pick, mut rng) = (Pick::Uniform(2), StdRng::seed_from_u64(1));
        for _ in 0..100 {
            let (one, other) = pick.pair(&mut rng);
            assert_eq!(one + other, 1);
        }
    }

    #[test]
    fn a_request_has_the_next_transfers_under_new_ids() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let ids = Ids::seeded(clock.clone(), 1);
        let books = Books::new(&ids);
        let mut rng = StdRng::seed_from_u64(1);
        let plan = transfers(Workload::Lots, &books, clock.now(), &mut rng);
        let ring = Ring::of(plan.clone(), &books, &ids);
        let mut seen = HashSet::new();
        for part in plan.chunks(8_190).chain(plan.chunks(8_190).take(1)) {
            let request = pb::PostTransfersRequest::decode(&*ring.request(8_190)).unwrap();
            assert_eq!(request.parent, books.community_name());
            assert_eq!(request.transfers.len(), part.len());
            for (sent, planned) in request.transfers.iter().zip(part) {
                let id: Uuid = sent.request_id.parse().unwrap();
                assert!(seen.insert(id), "{id} came twice");
                let with_its_id = pb::Transfer {
                    request_id: sent.request_id.clone(),
                    ..planned.clone()
                };
                assert_eq!(*sent, with_its_id);
            }
        }
    }
}
