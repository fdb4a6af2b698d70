//! Every SQL statement of the service, one file a table. Each has an equality on `community_id`, except those
//! that pick a community with work for a loop.
//!
//! Locks are always taken in this order, so that no two calls can wait for each other: answer, round, beneficiary, wishes by id,
//! operations, drive. Whoever changes a pledge or a dispatch has locked its wish; an allotment, its drive. A lock is a statement of its own: a read
//! inside it would keep the snapshot from before the wait.

pub mod allotment;
pub mod answer;
pub mod beneficiary;
pub mod dispatch;
pub mod drive;
pub mod operation;
pub mod pledge;
pub mod round;
pub mod sealed;
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
