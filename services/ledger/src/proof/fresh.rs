//! Leaves of entries that this process has just posted, so that its sealer need not read them back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use super::{
    leaf,
    tree::{Hash, leaf_hash},
};
use crate::domain::{CommunityId, Entry};

/// How many leaves of one community are kept, 8 MiB of them; who falls further behind reads the journal.
const MAX_KEPT: usize = 262_144;

/// The leaves of committed entries, for the communities that are sealed here. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreshLeaves(Arc<Mutex<HashMap<CommunityId, Runs>>>);

/// Runs of leaves by the sequence of their first entry.
#[derive(Debug, Default)]
struct Runs {
    by_first: BTreeMap<i64, Vec<Hash>>,
    count: usize,
}

impl FreshLeaves {
    /// Adds what a transaction has committed, unless nobody seals the community here.
    pub(crate) fn add(&self, community: CommunityId, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        if !self.with(|all| all.contains_key(&community)) {
            return;
        }
        let leaf = |entry| leaf_hash(&leaf::encode_entry(community, entry));
        let leaves: Vec<Hash> = entries.iter().map(leaf).collect();
        self.with(|all| {
            if let Some(runs) = all.get_mut(&community) {
                runs.count += leaves.len();
                runs.by_first.insert(first.sequence, leaves);
                while runs.count > MAX_KEPT
                    && let Some((_, oldest)) = runs.by_first.pop_first()
                {
                    runs.count -= oldest.len();
                }
            }
        });
    }

    /// Takes the leaves that follow the first `size` entries, none when they are not here, and not much more than `limit`. From
    /// now on leaves of this community are kept.
    pub(crate) fn take(&self, community: CommunityId, size: i64, limit: usize) -> Vec<Hash> {
        self.with(|all| {
            let runs = all.entry(community).or_default();
            let mut next = size + 1;
            let mut taken = Vec::new();
            while taken.len() < limit
                && let Some(run) = runs.by_first.first_entry()
                && *run.key() <= next
            {
                let (first, leaves) = run.remove_entry();
                runs.count -= leaves.len();
                // Some of them may have been read from the journal.
                let known = usize::try_from(next - first).unwrap_or(usize::MAX);
                if let Some(unknown) = leaves.get(known..) {
                    taken.extend(unknown);
                    next += i64::try_from(unknown.len()).expect("a batch is small");
                }
            }
            taken
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<CommunityId, Runs>) -> T) -> T {
        work(&mut self.0.lock().expect("no holder of this lock panics"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{AccountId, EntryKind};

    const COMMUNITY: CommunityId = CommunityId(Uuid::from_u128(7));

    fn entries(sequences: std::ops::RangeInclusive<i64>) -> Vec<Entry> {
        let entry = |sequence| Entry {
            sequence,
            kind: EntryKind::Transfer,
            is_final: false,
            request: None,
            debit: AccountId(Uuid::from_u128(1)),
            credit: AccountId(Uuid::from_u128(2)),
            amount: 1,
            debit_balance: -sequence,
            credit_balance: sequence,
            debit_previous: sequence - 1,
            credit_previous: sequence - 1,
            expires_at: None,
            related: None,
            allocations: vec![],
            description: String::new(),
            recorded_at: DateTime::UNIX_EPOCH,
        };
        sequences.map(entry).collect()
    }

    fn leaves(sequences: std::ops::RangeInclusive<i64>) -> Vec<Hash> {
        let leaf = |entry| leaf_hash(&leaf::encode_entry(COMMUNITY, entry));
        entries(sequences).iter().map(leaf).collect()
    }

    #[test]
    fn leaves_are_kept_from_the_first_sealing_on() {
        let fresh = FreshLeaves::default();
        fresh.add(COMMUNITY, &entries(1..=3));
        assert!(fresh.take(COMMUNITY, 0, 100).is_empty());
        fresh.add(COMMUNITY, &entries(4..=5));
        assert!(fresh.take(COMMUNITY, 0, 100).is_empty());
        assert_eq!(fresh.take(COMMUNITY, 3, 100), leaves(4..=5));
        assert!(fresh.take(COMMUNITY, 3, 100).is_empty());
    }

    #[test]
    fn runs_are_joined_in_order_whatever_order_they_came_in() {
        let fresh = FreshLeaves::default();
        fresh.take(COMMUNITY, 0, 100);
        for run in [6..=9, 1..=2, 3..=5, 11..=12] {
            fresh.add(COMMUNITY, &entries(run));
        }
        assert_eq!(fresh.take(COMMUNITY, 0, 4), leaves(1..=5));
        assert_eq!(fresh.take(COMMUNITY, 5, 100), leaves(6..=9));
        assert_eq!(fresh.take(COMMUNITY, 10, 100), leaves(11..=12));
    }

    #[test]
    fn what_was_sealed_in_between_is_left_out() {
        let fresh = FreshLeaves::default();
        fresh.take(COMMUNITY, 0, 100);
        for run in [1..=4, 5..=8, 9..=12] {
            fresh.add(COMMUNITY, &entries(run));
        }
        assert_eq!(fresh.take(COMMUNITY, 6, 100), leaves(7..=12));
    }

    #[test]
    fn the_oldest_make_room() {
        let fresh = FreshLeaves::default();
        fresh.take(COMMUNITY, 0, 1);
        let end = i64::try_from(MAX_KEPT).unwrap();
        fresh.add(COMMUNITY, &entries(1..=2));
        fresh.add(COMMUNITY, &entries(3..=end + 1));
        assert!(fresh.take(COMMUNITY, 0, 1).is_empty());
        assert_eq!(fresh.take(COMMUNITY, 2, 1).len(), MAX_KEPT - 1);
    }
}
