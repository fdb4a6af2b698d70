//! The proofs over gRPC, checked by someone who has only the contract: the tree is built here from RFC 6962 as it is written, 2.1.

use ledger::domain::CommunityId;
use proto::ledger::v1 as pb;
use runtime::reason_of;
use sha2::{Digest, Sha256};
use tonic::Code;
use uuid::Uuid;

use crate::world::{ANNA, ISSUING, World, community, transfer};

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    Sha256::digest(parts.concat()).to_vec()
}

/// The Merkle tree hash over the hashes of leaves.
fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => sha256(&[]),
        [leaf] => leaf.clone(),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// The largest power of two below the number of leaves.
fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

/// The audit path of the leaf at an index.
fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if leaves.len() == 1 {
        return vec![];
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, other) = if index < at {
        (path(index, left), right)
    } else {
        (path(index - at, right), left)
    };
    path.push(root(other));
    path
}

/// The proof that the first `old` leaves are the beginning of all.
fn consistency(old: usize, leaves: &[Vec<u8>], is_whole: bool) -> Vec<Vec<u8>> {
    if old == leaves.len() {
        return if is_whole { vec![] } else { vec![root(leaves)] };
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, other) = if old <= at {
        (consistency(old, left, is_whole), right)
    } else {
        (consistency(old - at, right, false), left)
    };
    proof.push(root(other));
    proof
}

impl World {
    /// Posts so many transfers and seals them.
    async fn sealed(&mut self, ids: std::ops::Range<u128>) -> pb::Checkpoint {
        let transfers = ids.map(|id| transfer(id, ISSUING, ANNA, 1)).collect();
        self.post(transfers).await;
        self.ledger
            .seal(CommunityId(Uuid::from_u128(7)))
            .await
            .unwrap();
        self.checkpoint(0).await.unwrap()
    }

    async fn checkpoint(&mut self, tree_size: i64) -> Result<pb::Checkpoint, tonic::Status> {
        let request = pb::GetCheckpointRequest {
            parent: community(),
            tree_size,
        };
        Ok(self.proofs.get_checkpoint(request).await?.into_inner())
    }

    async fn inclusion(&mut self, sequence: usize) -> pb::InclusionProof {
        let request = pb::GetInclusionProofRequest {
            name: format!("{}/entries/{sequence}", community()),
            tree_size: 0,
        };
        self.proofs
            .get_inclusion_proof(request)
            .await
            .unwrap()
            .into_inner()
    }

    async fn consistency(
        &mut self,
        old_size: i64,
        new_size: i64,
    ) -> Result<pb::ConsistencyProof, tonic::Status> {
        let request = pb::GetConsistencyProofRequest {
            parent: community(),
            old_size,
            new_size,
        };
        Ok(self
            .proofs
            .get_consistency_proof(request)
            .await?
            .into_inner())
    }
}

#[tokio::test]
async fn an_outsider_rebuilds_the_tree_and_every_proof_of_it() {
    let mut world = World::start().await;
    let older = world.sealed(1..6).await;
    let newer = world.sealed(6..12).await;
    assert_eq!((older.tree_size, newer.tree_size), (5, 11));
    assert_eq!(world.checkpoint(5).await.unwrap(), older);

    let mut proofs = vec![];
    for sequence in 1..=11 {
        proofs.push(world.inclusion(sequence).await);
    }
    let leaves: Vec<Vec<u8>> = proofs
        .iter()
        .map(|proof| sha256(&[&[0], &proof.leaf]))
        .collect();
    assert_eq!(root(&leaves[..5]), older.root_hash);
    assert_eq!(root(&leaves), newer.root_hash);
    for (index, proof) in proofs.iter().enumerate() {
        assert_eq!(usize::try_from(proof.leaf_index), Ok(index));
        assert_eq!(
            (&proof.leaf_hash, &proof.hashes),
            (&leaves[index], &path(index, &leaves))
        );
        assert_eq!(proof.checkpoint.as_ref(), Some(&newer));
    }
    for (old, new) in [(5, 11), (1, 11), (4, 8), (3, 7), (11, 11), (0, 11)] {
        let [old_size, new_size] = [old, new].map(|size| i64::try_from(size).unwrap());
        let expected = match old {
            0 => vec![],
            _ => consistency(old, &leaves[..new], true),
        };
        let proof = world.consistency(old_size, new_size).await.unwrap();
        assert_eq!((proof.old_size, proof.new_size), (old_size, new_size));
        assert_eq!(proof.hashes, expected, "{old} in {new}");
    }
    assert_eq!(world.consistency(5, 0).await.unwrap().new_size, 11);
}

#[tokio::test]
async fn what_was_never_sealed_is_not_proved() {
    let mut world = World::start().await;
    world.sealed(1..4).await;
    let unknown = world.checkpoint(2).await.unwrap_err();
    assert_eq!(
        (unknown.code(), reason_of(&unknown).as_deref()),
        (Code::NotFound, Some("CHECKPOINT_NOT_FOUND"))
    );
    for (old, new) in [(3, 4), (3, 2)] {
        let refused = world.consistency(old, new).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_deref()),
            (Code::NotFound, Some("CHECKPOINT_NOT_FOUND"))
        );
    }
}
