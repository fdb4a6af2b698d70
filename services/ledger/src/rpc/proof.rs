//! The contract's `ProofService` in front of the proofs.

use proto::ledger::v1::{self as pb, proof_service_server::ProofService};
use runtime::{Access, Fields, timestamp};
use tonic::{Request, Response, Status};

use super::{Answer, DOMAIN, own, parse, render::Community, status::status};
use crate::{Ledger, proof::tree::leaf_hash, store::CheckpointRow};

pub struct ProofRpc(pub Ledger);

#[tonic::async_trait]
impl ProofService for ProofRpc {
    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Answer<pb::Checkpoint> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let community = parse::parent(&access, &request.parent)?;
        let size = optional_size(&access, "tree_size", request.tree_size)?;
        let found = self.0.checkpoint(community, size).await.map_err(status)?;
        Ok(Response::new(checkpoint(found)))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<pb::GetInclusionProofRequest>,
    ) -> Answer<pb::InclusionProof> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let (community, sequence) = parse::entry_name(&access, &request.name)?;
        let size = optional_size(&access, "tree_size", request.tree_size)?;
        own::entry(&self.0, &access, community, sequence).await?;
        let proof = self
            .0
            .inclusion_proof(community, sequence, size)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::InclusionProof {
            leaf_hash: leaf_hash(&proof.leaf).to_vec(),
            leaf: proof.leaf,
            leaf_index: proof.entry.sequence - 1,
            entry: Some(Community(community).entry(proof.entry)),
            hashes: proof.path.into_iter().map(Vec::from).collect(),
            checkpoint: Some(checkpoint(proof.checkpoint)),
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<pb::GetConsistencyProofRequest>,
    ) -> Answer<pb::ConsistencyProof> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let community = parse::parent(&access, &request.parent)?;
        let old = optional_size(&access, "old_size", request.old_size)?.unwrap_or(0);
        let new = optional_size(&access, "new_size", request.new_size)?;
        let (new_size, hashes) = self
            .0
            .consistency_proof(community, old, new)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::ConsistencyProof {
            old_size: old,
            new_size,
            hashes: hashes.into_iter().map(Vec::from).collect(),
        }))
    }

    async fn get_verifier_key(
        &self,
        _request: Request<pb::GetVerifierKeyRequest>,
    ) -> Answer<pb::VerifierKey> {
        let key = self.0.verifier().map_err(status)?.to_string();
        Ok(Response::new(pb::VerifierKey { key }))
    }
}

fn optional_size(access: &Access, field: &str, size: i64) -> Result<Option<i64>, Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let size = fields.range(field, size, 0, i64::MAX);
    fields.finish()?;
    Ok((size > 0).then_some(size))
}

fn checkpoint(row: CheckpointRow) -> pb::Checkpoint {
    pb::Checkpoint {
        note: row.note,
        tree_size: row.size,
        root_hash: row.root,
        create_time: Some(timestamp(row.signed_at)),
    }
}
