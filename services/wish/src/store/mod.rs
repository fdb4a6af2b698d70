//! Every SQL statement of the service, one file a table. Each has an equality on `community_id`, except those
//! that pick a community with work for a loop.
//!
//! Locks are always taken in this order, so that no two calls can wait for each other: answer, round, beneficiary, wishes by id,
//! operations, drive, event head. Whoever changes a pledge or a dispatch has locked its wish; an allotment, its drive. A lock is a statement of its own: a read
//! inside it would keep the snapshot from before the wait.

pub mod allotment;
pub mod answer;
pub mod beneficiary;
pub mod dispatch;
pub mod drive;
pub mod event;
pub mod operation;
pub mod pledge;
pub mod round;
pub mod sealed;
pub mod telling;
pub mod value;
pub mod visit;
pub mod wish;

pub use runtime::Window;

/// The value that a word stands for.
fn find<T: Copy>(words: &[(&'static str, T)], word: &str) -> sqlx::Result<T> {
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| unknown(word))
}

/// The word of a value.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found
        .map(|(word, _)| *word)
        .expect("every value has a word")
}

fn unknown(word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unknown word {word:?}").into())
}

/// Every kind of event that is written of something with states.
#[cfg(test)]
pub fn event_kinds() -> Vec<String> {
    fn kinds<T>(of: &str, states: &[(&str, T)]) -> Vec<String> {
        states
            .iter()
            .map(|(state, _)| format!("{of}_{state}"))
            .collect()
    }
    [
        kinds("wish", &wish::STATES),
        kinds("pledge", &pledge::STATES),
        kinds("dispatch", &dispatch::STATES),
        kinds("drive", &drive::STATES),
        kinds("allotment", &allotment::STATES),
    ]
    .concat()
}
