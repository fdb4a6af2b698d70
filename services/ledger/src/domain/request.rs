//! What can be asked of the journal.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::AccountId;

/// The most that one transfer or hold may move: 10^15, so that no sum of a community comes near the end of an i64.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// The caller's name for a request; makes repeating it harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub Uuid);

/// The first 16 bytes of a SHA-256 over what is asked.
pub type Fingerprint = [u8; 16];

/// One request of a batch.
#[derive(Clone, Debug)]
pub struct Request {
    /// The caller's id and the fingerprint of what is asked; `None` for what the ledger does by itself.
    pub identity: Option<(RequestId, Fingerprint)>,
    /// Posts only together with the next request.
    pub linked: bool,
    /// What is asked.
    pub command: Command,
}

/// An amount on its way between two accounts.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The account it leaves.
    pub debit: AccountId,
    /// The account it reaches.
    pub credit: AccountId,
    /// 1 to [`MAX_AMOUNT`].
    pub amount: i64,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub enum Command {
    /// Move an amount.
    Transfer(Transfer),
    /// Reserve an amount.
    CreateHold(CreateHold),
    /// Move what is reserved.
    CaptureHold(CaptureHold),
    /// Give back what is reserved.
    ReleaseHold(ReleaseHold),
    /// Undo a transfer or capture.
    ReverseEntry(ReverseEntry),
    /// End a hold whose time is over.
    ExpireHold(RequestId),
    /// Move what is left of a lot that has expired.
    ExpireLot(AccountId, DateTime<Utc>),
}

/// Move an amount.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// From where to where.
    pub posting: Posting,
    /// When the credited points expire.
    pub expires_at: Option<DateTime<Utc>>,
    /// What for.
    pub description: String,
}

/// Reserve an amount.
#[derive(Clone, Debug)]
pub struct CreateHold {
    /// From where to where.
    pub posting: Posting,
    /// When the hold ends.
    pub expires_at: DateTime<Utc>,
    /// What for.
    pub description: String,
}

/// Move what is reserved.
#[derive(Clone, Debug)]
pub struct CaptureHold {
    /// Which hold.
    pub hold: RequestId,
    /// How much of it.
    pub amount: i64,
    /// Whether the rest is released.
    pub is_final: bool,
    /// Where it goes, when not to the hold's credit account.
    pub credit: Option<AccountId>,
    /// What for.
    pub description: String,
}

/// Give back what is reserved.
#[derive(Clone, Debug)]
pub struct ReleaseHold {
    /// Which hold.
    pub hold: RequestId,
}

/// Undo a transfer or capture.
#[derive(Clone, Debug)]
pub struct ReverseEntry {
    /// Which entry.
    pub sequence: i64,
    /// How much of it.
    pub amount: i64,
    /// Whether less will do when the account has less.
    pub allow_partial: bool,
    /// Why.
    pub description: String,
}

impl Request {
    /// What a caller asks.
    pub fn new(id: RequestId, linked: bool, command: Command) -> Self {
        let identity = Some((id, fingerprint(linked, &command)));
        Self {
            identity,
            linked,
            command,
        }
    }

    /// What the ledger asks of itself.
    pub fn own(command: Command) -> Self {
        Self {
            identity: None,
            linked: false,
            command,
        }
    }

    /// The caller's id.
    pub fn id(&self) -> Option<RequestId> {
        self.identity.map(|(id, _)| id)
    }
}

/// How many of the requests can be posted without parting a chain that may still go on behind them.
pub fn whole_chains(requests: &[Request]) -> usize {
    let last = requests.iter().rposition(|request| !request.linked);
    last.map_or(0, |last| last + 1)
}

/// Hashes everything that is asked, each field with its length: equal content, equal fingerprint.
fn fingerprint(linked: bool, command: &Command) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update(
            u64::try_from(bytes.len())
                .expect("a length fits 64 bits")
                .to_be_bytes(),
        );
        hash.update(bytes);
    };
    let time = |at: Option<DateTime<Utc>>| {
        at.map_or(i64::MIN, |at| at.timestamp_micros())
            .to_be_bytes()
    };
    let posting = |posting: &Posting, field: &mut dyn FnMut(&[u8])| {
        field(posting.debit.0.as_bytes());
        field(posting.credit.0.as_bytes());
        field(&posting.amount.to_be_bytes());
    };
    match command {
        Command::Transfer(transfer) => {
            field(b"transfer");
            posting(&transfer.posting, &mut field);
            field(&time(transfer.expires_at));
            field(&[u8::from(linked)]);
            field(transfer.description.as_bytes());
        }
        Command::CreateHold(hold) => {
            field(b"hold");
            posting(&hold.posting, &mut field);
            field(&time(Some(hold.expires_at)));
            field(hold.description.as_bytes());
        }
        Command::CaptureHold(capture) => {
            field(b"capture");
            field(capture.hold.0.as_bytes());
            field(&capture.amount.to_be_bytes());
            field(&[u8::from(capture.is_final)]);
            field(capture.description.as_bytes());
            if let Some(credit) = capture.credit {
                field(credit.0.as_bytes());
            }
        }
        Command::ReleaseHold(release) => {
            field(b"release");
            field(release.hold.0.as_bytes());
        }
        Command::ReverseEntry(reverse) => {
            field(b"reverse");
            field(&reverse.sequence.to_be_bytes());
            field(&reverse.amount.to_be_bytes());
            field(&[u8::from(reverse.allow_partial)]);
            field(reverse.description.as_bytes());
        }
        Command::ExpireHold(hold) => {
            field(b"expire hold");
            field(hold.0.as_bytes());
        }
        Command::ExpireLot(account, expires_at) => {
            field(b"expire lot");
            field(account.0.as_bytes());
            field(&time(Some(*expires_at)));
        }
    }
    hash.finalize()[..16]
        .try_into()
        .expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_may_go_on_is_not_parted() {
        let requests = |linked: &[bool]| -> Vec<Request> {
            let request = |linked: &bool| Request {
                linked: *linked,
                ..Request::own(Command::ExpireHold(RequestId(Uuid::nil())))
            };
            linked.iter().map(request).collect()
        };
        assert_eq!(whole_chains(&requests(&[])), 0);
        assert_eq!(whole_chains(&requests(&[true, true])), 0);
        assert_eq!(whole_chains(&requests(&[true, false])), 2);
        assert_eq!(whole_chains(&requests(&[false, true, false, true])), 3);
    }
}
