//! New ids and secrets. Ids are UUIDv7 from the injected clock, so a replay with a seed makes the same ids again.

use std::sync::{Arc, Mutex};

use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::Clock;

/// Bytes that nobody can guess, for a key or a code. Not seeded: no replay may make a secret again.
pub fn secret() -> [u8; 32] {
    rand::random()
}

/// Makes ids; clones of a seeded one share its sequence.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    chance: Chance,
}

#[derive(Clone, Debug)]
enum Chance {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Ids {
    /// Ids that nobody can guess or make twice.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            chance: Chance::System,
        }
    }

    /// The same ids for the same seed and clock: for tests, demonstrations and replays.
    pub fn seeded(clock: Clock, seed: u64) -> Self {
        let chance = Chance::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))));
        Self { clock, chance }
    }

    /// The next id. Ids order by the clock's millisecond; within one, their order is random.
    pub fn next(&self) -> Uuid {
        // A clock before 1970 gives the first millisecond of all.
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid()
    }

    fn random(&self) -> [u8; 10] {
        match &self.chance {
            Chance::System => rand::rng().random(),
            Chance::Seeded(rng) => rng.lock().expect("no holder of this lock panics").random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn the_same_seed_and_clock_give_the_same_ids() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let one = Ids::seeded(clock.clone(), 7);
        let other = Ids::seeded(clock.clone(), 7);
        assert_eq!([one.next(), one.next()], [other.next(), other.next()]);
        assert_ne!(
            Ids::seeded(clock, 8).next(),
            Ids::new(Clock::system()).next()
        );
    }

    #[test]
    fn a_later_id_sorts_behind_an_earlier_one() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let ids = Ids::new(clock.clone());
        let earlier = ids.next();
        clock.advance(TimeDelta::milliseconds(1));
        let later = ids.next();
        assert!(earlier < later);
        assert_eq!(later.get_version_num(), 7);
    }
}
