//! A receipt: one entry with everything that proves it, to be checked by anyone who has the verifier key, without us.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use proto::ledger::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    leaf,
    note::{Checkpoint, NoteError, Verifier},
    tree::{self, Hash},
};
use crate::domain::{AccountId, Allocation, CommunityId, Entry, EntryKind, RequestId};

/// A receipt as it is kept in a file. Its entry is what a person reads and also what is proved: the leaf is made of it anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What happened.
    pub entry: ReceiptEntry,
    /// The entry's encoding, base64.
    pub leaf: String,
    /// From the leaf to the root, base64.
    pub inclusion_proof: Vec<String>,
    /// The signed head of the tree.
    pub checkpoint: String,
}

/// An entry's fields, all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptEntry {
    /// Whose journal.
    pub community: Uuid,
    /// Where in it.
    pub sequence: i64,
    /// As the contract names it.
    pub kind: String,
    /// Of a capture: the last one.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The caller's id.
    pub request_id: Option<Uuid>,
    /// Of the caller's request, base64.
    pub request_fingerprint: Option<String>,
    /// Where the amount left.
    pub debit_account: Uuid,
    /// Where it arrived.
    pub credit_account: Uuid,
    /// How much.
    pub amount: i64,
    /// Afterwards.
    pub debit_balance: i64,
    /// Afterwards.
    pub credit_balance: i64,
    /// The debit account's entry before this one.
    pub debit_previous: i64,
    /// The credit account's entry before this one.
    pub credit_previous: i64,
    /// Of the lot or the hold.
    pub expire_time: Option<DateTime<Utc>>,
    /// The hold's or the reversed entry.
    pub related_entry: Option<i64>,
    /// The lots, in order.
    pub allocations: Vec<ReceiptPart>,
    /// What for.
    pub description: String,
    /// When.
    pub create_time: DateTime<Utc>,
}

/// A part of the amount, by lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptPart {
    /// The lot; 9999-12-31 never expires.
    pub expire_time: DateTime<Utc>,
    /// How much.
    pub amount: i64,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A field can't be read.
    #[error("{0} can't be read")]
    Field(&'static str),
    /// The leaf says something else than the entry.
    #[error("the leaf does not say what the entry says")]
    OtherLeaf,
    /// The checkpoint is of another community.
    #[error("the checkpoint is of another community than the entry")]
    OtherCommunity,
    /// The checkpoint's signature does not hold.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The path leads elsewhere.
    #[error("the entry is not in the checkpoint's tree")]
    NotIncluded,
}

impl Receipt {
    /// A receipt of what a server answered; it proves nothing until it is checked.
    pub fn new(leaf: &[u8], path: &[Vec<u8>], checkpoint: String) -> Result<Self, ReceiptError> {
        let (community, entry) = leaf::decode_entry(leaf).ok_or(ReceiptError::Field("the leaf"))?;
        Ok(Self {
            entry: ReceiptEntry::of(community, entry),
            leaf: BASE64_STANDARD.encode(leaf),
            inclusion_proof: path
                .iter()
                .map(|hash| BASE64_STANDARD.encode(hash))
                .collect(),
            checkpoint,
        })
    }

    /// Checks everything and returns the checkpoint that the entry is proved under.
    pub fn check(&self, key: &Verifier) -> Result<Checkpoint, ReceiptError> {
        let (community, entry) = self.entry.read()?;
        let leaf = leaf::encode_entry(community, &entry);
        if BASE64_STANDARD.encode(&leaf) != self.leaf {
            return Err(ReceiptError::OtherLeaf);
        }
        let text = key.open(&self.checkpoint)?;
        let checkpoint = Checkpoint::parse(text).ok_or(NoteError::Malformed)?;
        if checkpoint.community != community {
            return Err(ReceiptError::OtherCommunity);
        }
        let hash = |text: &String| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
        let path: Option<Vec<Hash>> = self.inclusion_proof.iter().map(hash).collect();
        let path = path.ok_or(ReceiptError::Field("inclusion_proof"))?;
        let index =
            u64::try_from(entry.sequence - 1).map_err(|_| ReceiptError::Field("sequence"))?;
        let size = u64::try_from(checkpoint.size).map_err(|_| NoteError::Malformed)?;
        let leaf = tree::leaf_hash(&leaf);
        if tree::verify_inclusion(&leaf, index, size, &path, &checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(ReceiptError::NotIncluded)
        }
    }
}

impl ReceiptEntry {
    fn of(community: CommunityId, entry: Entry) -> Self {
        let (request_id, fingerprint) = entry.request.unzip();
        let kind = pb::EntryKind::try_from(i32::from(entry.kind as i16)).unwrap_or_default();
        let part = |part: Allocation| ReceiptPart {
            expire_time: part.expires_at,
            amount: part.amount,
        };
        Self {
            community: community.0,
            sequence: entry.sequence,
            kind: kind.as_str_name().to_owned(),
            is_final: entry.is_final,
            request_id: request_id.map(|id| id.0),
            request_fingerprint: fingerprint.map(|bytes| BASE64_STANDARD.encode(bytes)),
            debit_account: entry.debit.0,
            credit_account: entry.credit.0,
            amount: entry.amount,
            debit_balance: entry.debit_balance,
            credit_balance: entry.credit_balance,
            debit_previous: entry.debit_previous,
            credit_previous: entry.credit_previous,
            expire_time: entry.expires_at,
            related_entry: entry.related,
            allocations: entry.allocations.into_iter().map(part).collect(),
            description: entry.description,
            create_time: entry.recorded_at,
        }
    }

    fn read(&self) -> Result<(CommunityId, Entry), ReceiptError> {
        let fail = ReceiptError::Field;
        let kind = pb::EntryKind::from_str_name(&self.kind).ok_or(fail("kind"))?;
        let kind = i16::try_from(kind as i32).map_err(|_| fail("kind"))?;
        let fingerprint = match &self.request_fingerprint {
            None => None,
            Some(text) => {
                let bytes = BASE64_STANDARD
                    .decode(text)
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok());
                Some(bytes.ok_or(fail("request_fingerprint"))?)
            }
        };
        if self.request_id.is_some() != fingerprint.is_some() {
            return Err(fail("request_fingerprint"));
        }
        let part = |part: &ReceiptPart| Allocation {
            expires_at: part.expire_time,
            amount: part.amount,
        };
        let entry = Entry {
            sequence: self.sequence,
            kind: EntryKind::try_from(kind).map_err(|_| fail("kind"))?,
            is_final: self.is_final,
            request: self.request_id.map(RequestId).zip(fingerprint),
            debit: AccountId(self.debit_account),
            credit: AccountId(self.credit_account),
            amount: self.amount,
            debit_balance: self.debit_balance,
            credit_balance: self.credit_balance,
            debit_previous: self.debit_previous,
            credit_previous: self.credit_previous,
            expires_at: self.expire_time,
            related: self.related_entry,
            allocations: self.allocations.iter().map(part).collect(),
            description: self.description.clone(),
            recorded_at: self.create_time,
        };
        Ok((CommunityId(self.community), entry))
    }
}
