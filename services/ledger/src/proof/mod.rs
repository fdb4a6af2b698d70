//! The proof that nobody edited the past: a Merkle tree over the journal, signed heads of it, and what others check them with.
//!
//! - [`leaf`] is the canonical encoding of an entry, byte by byte.
//! - [`tree`] is RFC 6962: hashes, tiles, proofs, and the checking of proofs.
//! - [`note`] is the signed text of a head.
//! - [`Receipt`] is all of it for one entry in one file that needs neither us nor a network.
//!
//! The sealer extends the tree from the last checkpoint, apart from posting: it takes what was committed since, in order, writes
//! tiles and a signed checkpoint in one transaction under a row lock of its own, and so any number of replicas may run it. It signs only
//! what continues the last checkpoint: when the tiles do not give its root, or entries are missing, it signs nothing and says so.
//!
//! Entries are leaves of the tree. What the state has that entries do not tell — assets, accounts, limits — is in the log
//! of definitions, and stored refusals are numbered; each is a hash chain whose head every checkpoint states.
//!
//! What it will not do: keep secrets, or prove what was never sealed. Whoever can rewrite the database and also has the key can make another
//! history, but not one that agrees with a checkpoint or receipt that someone kept.

mod fresh;
pub mod leaf;
pub mod note;
mod receipt;
mod sealer;
pub mod tree;

pub(crate) use fresh::FreshLeaves;
pub use note::{Checkpoint, NoteError, Signer, Verifier};
pub use receipt::{Receipt, ReceiptEntry, ReceiptError, ReceiptPart};

use tree::{Hash, Plan};

use crate::{
    Error, Ledger,
    domain::{CommunityId, Entry, Refusal},
    store::{self, CheckpointRow},
};

/// What proves that an entry is in a tree.
pub struct InclusionProof {
    /// The entry.
    pub entry: Entry,
    /// Its encoding.
    pub leaf: Vec<u8>,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
    /// The head of the tree.
    pub checkpoint: CheckpointRow,
}

impl Ledger {
    /// The newest checkpoint, or the newest of a size.
    pub async fn checkpoint(
        &self,
        community: CommunityId,
        size: Option<i64>,
    ) -> Result<CheckpointRow, Error> {
        let mut tx = self.snapshot().await?;
        let checkpoint = store::checkpoint_find(&mut tx, community, size).await?;
        checkpoint.ok_or_else(|| self.no_checkpoint())
    }

    /// Proves an entry in the tree of the newest checkpoint, or of one of a size.
    pub async fn inclusion_proof(
        &self,
        community: CommunityId,
        sequence: i64,
        size: Option<i64>,
    ) -> Result<InclusionProof, Error> {
        let mut tx = self.snapshot().await?;
        let entry = store::entry_find(&mut tx, community, sequence).await?;
        let entry = entry.ok_or(Refusal::EntryNotFound { sequence })?;
        let checkpoint = store::checkpoint_find(&mut tx, community, size).await?;
        let covers = |checkpoint: &CheckpointRow| checkpoint.size >= sequence;
        let checkpoint = match checkpoint {
            Some(checkpoint) if covers(&checkpoint) => checkpoint,
            _ if self.signer.is_none() || size.is_some() => return Err(self.no_checkpoint()),
            _ => {
                self.unsealed.nudge();
                return Err(Error::NotSealed { sequence });
            }
        };
        let plan = Plan::inclusion(unsigned(sequence - 1), unsigned(checkpoint.size));
        let tiles = store::tiles_find(&mut tx, community, plan.tiles()).await?;
        Ok(InclusionProof {
            leaf: leaf::encode_entry(community, &entry),
            entry,
            path: plan.build(&tiles).ok_or(Error::Broken)?,
            checkpoint,
        })
    }

    /// Proves that the tree of one size is the beginning of another, or of the newest one; returns that one's size as well.
    pub async fn consistency_proof(
        &self,
        community: CommunityId,
        old: i64,
        new: Option<i64>,
    ) -> Result<(i64, Vec<Hash>), Error> {
        let mut tx = self.snapshot().await?;
        let newest = store::checkpoint_find(&mut tx, community, None).await?;
        let newest = newest.ok_or_else(|| self.no_checkpoint())?.size;
        let new = new.unwrap_or(newest);
        if old > new || new > newest {
            return Err(Error::NoCheckpoint);
        }
        let plan = Plan::consistency(unsigned(old), unsigned(new));
        let tiles = store::tiles_find(&mut tx, community, plan.tiles()).await?;
        Ok((new, plan.build(&tiles).ok_or(Error::Broken)?))
    }

    /// What verifies this ledger's checkpoints.
    pub fn verifier(&self) -> Result<&Verifier, Error> {
        let signer = self.signer.as_deref().ok_or(Error::ProofNotKept)?;
        Ok(signer.verifier())
    }

    fn no_checkpoint(&self) -> Error {
        match self.signer {
            Some(_) => Error::NoCheckpoint,
            None => Error::ProofNotKept,
        }
    }
}

/// A size or an index, which is never negative.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
