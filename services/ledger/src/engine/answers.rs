//! What becomes of a batch once it is settled: an answer for each job, and leaves for the sealer. It runs beside the next batch.

use std::collections::HashMap;

use super::{Done, Job, Shared};
use crate::{
    Error,
    domain::{Answer, CommunityId, Entry, Hold, Map},
};

/// What one transaction did.
#[derive(Debug)]
pub(super) struct Posted {
    /// One for each request.
    pub answers: Vec<Answer>,
    /// The entries that repeated requests made earlier.
    pub read: Vec<Entry>,
    /// The new entries, by sequence.
    pub written: Vec<Entry>,
    /// Holds as new entries left them, by sequence.
    pub holds: Map<i64, Hold>,
}

impl Posted {
    fn outcomes(self) -> impl Iterator<Item = Done> {
        let first = self
            .written
            .first()
            .map_or(i64::MAX, |entry| entry.sequence);
        let read: HashMap<i64, Entry> = self
            .read
            .into_iter()
            .map(|entry| (entry.sequence, entry))
            .collect();
        let (written, mut holds) = (self.written, self.holds);
        let entry = move |sequence: i64| {
            let place = usize::try_from(sequence.checked_sub(first)?).ok();
            let entry = place.and_then(|place| written.get(place));
            entry.or_else(|| read.get(&sequence)).cloned()
        };
        self.answers.into_iter().map(move |answer| match answer {
            Answer::Posted(sequence) => {
                let entry = entry(sequence).expect("a posted entry was read or written");
                Ok((entry, holds.remove(&sequence)))
            }
            Answer::Refused(refusal) => Err(refusal),
        })
    }
}

/// Why requests have no outcome.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The database is away or busy; asking again may help.
    Unavailable,
    /// The database rejects them.
    Broken,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable => Self::Interrupted,
            Failure::Broken => Self::Broken,
        }
    }
}

/// What came of a run of requests.
pub(super) struct Settled {
    /// How many.
    pub count: usize,
    pub posted: Result<Posted, Failure>,
}

/// Answers jobs whose requests, one job after another, were settled in these runs.
pub(super) fn answer(shared: &Shared, community: CommunityId, jobs: Vec<Job>, runs: Vec<Settled>) {
    let mut outcomes = Vec::new();
    for run in runs {
        match run.posted {
            Ok(posted) => {
                shared.fresh.add(community, &posted.written);
                outcomes.extend(posted.outcomes().map(Ok));
            }
            Err(failure) => outcomes.extend((0..run.count).map(|_| Err(failure))),
        }
    }
    let mut outcomes = outcomes.into_iter();
    for job in jobs {
        let share: Vec<_> = outcomes.by_ref().take(job.count).collect();
        let answer = share.into_iter().collect::<Result<Vec<Done>, Failure>>();
        // The caller may have gone; then it asks again with the same ids.
        let _ = job.answer.send(answer.map_err(Error::from));
    }
}
