//! Reading what a batch touches: a fixed number of statements, however many requests.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    account::accounts_find,
    entry::{allocations_find, entries_find, reversed_amounts},
    hold::holds_find,
    journal::Fence,
    request::{LockedJournal, requests_find},
};
use crate::domain::{
    AccountId, Answer, Book, Command, CommunityId, Entry, Known, Original, Request,
};

/// What a batch of requests has to know.
#[derive(Debug, Default)]
pub struct Needs {
    request_ids: Vec<Uuid>,
    accounts: Vec<Uuid>,
    holds: Vec<Uuid>,
    sequences: Vec<i64>,
    /// Accounts whose expired points need the account they go to.
    expiring: Vec<AccountId>,
}

impl Needs {
    /// What these requests have to know.
    pub fn of(requests: &[Request]) -> Self {
        let ids = requests.iter().filter_map(Request::id);
        let mut needs = Self {
            request_ids: ids.map(|id| id.0).collect(),
            ..Self::default()
        };
        for request in requests {
            match &request.command {
                Command::Transfer(transfer) => {
                    needs
                        .accounts
                        .extend([transfer.posting.debit.0, transfer.posting.credit.0]);
                }
                Command::CreateHold(hold) => needs
                    .accounts
                    .extend([hold.posting.debit.0, hold.posting.credit.0]),
                Command::CaptureHold(capture) => {
                    needs.holds.push(capture.hold.0);
                    needs.accounts.extend(capture.credit.map(|credit| credit.0));
                }
                Command::ReleaseHold(release) => needs.holds.push(release.hold.0),
                Command::ReverseEntry(reverse) => needs.sequences.push(reverse.sequence),
                Command::ExpireHold(hold) => needs.holds.push(hold.0),
                Command::ExpireLot(account, _) => {
                    needs.accounts.push(account.0);
                    needs.expiring.push(*account);
                }
            }
        }
        needs
    }
}

/// Locks a community's journal and finds which requests were asked before; `None` when there is no journal. One statement when nobody
/// has written since the journal stood at `kept`.
pub async fn lock(
    conn: &mut PgConnection,
    community: CommunityId,
    needs: &Needs,
    kept: Option<Fence>,
) -> sqlx::Result<Option<LockedJournal>> {
    let locked = requests_find(conn, community, &needs.request_ids).await?;
    match locked {
        Some(locked) if Some(locked.fence) != kept => {
            requests_find(conn, community, &needs.request_ids).await
        }
        locked => Ok(locked),
    }
}

/// Reads into the book what the requests touch, and returns the entries that it read on the way, among them those that answer
/// repeated requests.
pub async fn load(
    conn: &mut PgConnection,
    community: CommunityId,
    mut needs: Needs,
    journal: LockedJournal,
    book: &mut Book,
) -> sqlx::Result<Vec<Entry>> {
    for (id, fingerprint, refusal) in journal.refusals {
        book.known.insert(
            id,
            Known {
                fingerprint,
                answer: Answer::Refused(refusal),
            },
        );
    }
    let reversed: HashSet<i64> = needs.sequences.iter().copied().collect();
    let mut sequences = journal.sequences;
    sequences.extend(&needs.sequences);
    let entries = entries_find(conn, community, &sequences).await?;
    for entry in &entries {
        if let Some((id, fingerprint)) = &entry.request {
            let known = Known {
                fingerprint: *fingerprint,
                answer: Answer::Posted(entry.sequence),
            };
            book.known.insert(*id, known);
        }
        if reversed.contains(&entry.sequence) {
            needs.accounts.extend([entry.debit.0, entry.credit.0]);
            let original = Original {
                entry: entry.clone(),
                reversed: 0,
            };
            book.originals.insert(entry.sequence, original);
        }
    }
    if !needs.sequences.is_empty() {
        for (sequence, amount) in reversed_amounts(conn, community, &needs.sequences).await? {
            if let Some(original) = book.originals.get_mut(&sequence) {
                original.reversed = amount;
            }
        }
    }
    if !needs.holds.is_empty() {
        // Several captures of a batch may be of one hold.
        needs.holds.sort_unstable();
        needs.holds.dedup();
        let holds = holds_find(conn, community, &needs.holds).await?;
        let sequences: Vec<i64> = holds.iter().map(|hold| hold.sequence).collect();
        let mut parts = allocations_find(conn, community, &sequences).await?;
        for hold in holds {
            needs.accounts.extend([hold.debit.0, hold.credit.0]);
            let parts = parts.remove(&hold.sequence).unwrap_or_default();
            book.holds.insert(hold.id, (hold, parts));
        }
    }
    accounts_read(conn, community, needs.accounts, book).await?;
    let expiring = needs.expiring.iter().filter_map(|id| book.accounts.get(id));
    let expired = expiring.filter_map(|account| account.definition.expiry_account);
    let expired = expired.map(|id| id.0).collect();
    accounts_read(conn, community, expired, book).await?;
    Ok(entries)
}

/// Reads the accounts that the book does not know yet.
async fn accounts_read(
    conn: &mut PgConnection,
    community: CommunityId,
    mut ids: Vec<Uuid>,
    book: &mut Book,
) -> sqlx::Result<()> {
    ids.retain(|id| !book.accounts.contains_key(&AccountId(*id)));
    ids.sort_unstable();
    ids.dedup();
    if !ids.is_empty() {
        let accounts = accounts_find(conn, community, &ids).await?;
        let accounts = accounts.into_iter().map(|account| (account.id(), account));
        book.accounts.extend(accounts);
    }
    Ok(())
}
