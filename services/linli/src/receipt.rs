//! `receipt`: a member's proof that an entry is in the journal, fetched once and checked by anyone with the key.

use std::{fs, path::Path};

use ledger::proof::Receipt;
use proto::ledger::v1::{GetInclusionProofRequest, proof_service_client::ProofServiceClient};
use runtime::{Client, Problem};

use crate::{
    call,
    cli::{ReceiptArgs, ReceiptCheckArgs},
    role::Role,
    rpc, terminal,
};

/// Fetches a receipt, and writes it to a file or prints it.
pub async fn fetch(args: ReceiptArgs) -> Result<(), Problem> {
    let Some(name) = args.entry else {
        return Err(Problem::new(
            "which entry? It is like communities/…/entries/17",
        ));
    };
    let address = args
        .address
        .unwrap_or_else(|| format!("http://127.0.0.1:{}", Role::Ledger.default_port()));
    let client = ProofServiceClient::new(Client::new(
        runtime::channel_trusting(&args.roots.roots()?, &address)?,
        args.token.bearer()?,
    ));
    let request = GetInclusionProofRequest {
        name: name.clone(),
        tree_size: 0,
    };
    let proof = call!(client, get_inclusion_proof, request)
        .await
        .map_err(|status| rpc::failure(format!("receipt of {name}"), &status))?;
    let note = proof
        .checkpoint
        .map(|checkpoint| checkpoint.note)
        .unwrap_or_default();
    let receipt = Receipt::new(&proof.leaf, &proof.hashes, note)
        .map_err(|error| Problem::new(format!("{address} sent no receipt: {error}")))?;
    let text = serde_json::to_string_pretty(&receipt)
        .map_err(|error| Problem::new(format!("the receipt can't be written: {error}")))?;
    match args.output {
        None => terminal::print(text),
        Some(path) => fs::write(&path, text + "\n")
            .map_err(|error| Problem::new(format!("can't write {}: {error}", path.display()))),
    }
}

/// Checks a receipt with nothing but the key.
pub fn check(args: &ReceiptCheckArgs) -> Result<(), Problem> {
    let wrong = |why: String| Problem::new(format!("{}: {why}", args.file.display()));
    let receipt = read(&args.file)?;
    let head = receipt
        .check(&args.key)
        .map_err(|error| wrong(format!("this receipt proves nothing: {error}")))?;
    let entry = &receipt.entry;
    let kind = entry
        .kind
        .trim_start_matches("ENTRY_KIND_")
        .to_lowercase()
        .replace('_', " ");
    terminal::print(format!(
        "valid: entry {} of community {}, recorded {}",
        entry.sequence, entry.community, entry.create_time
    ))?;
    terminal::print(format!(
        "  {kind} of {} from {} to {}: {}",
        entry.amount, entry.debit_account, entry.credit_account, entry.description
    ))?;
    terminal::print(format!(
        "  among the {} entries of the signed checkpoint",
        head.size
    ))
}

fn read(path: &Path) -> Result<Receipt, Problem> {
    let text = fs::read_to_string(path)
        .map_err(|error| Problem::new(format!("can't read {}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::new(format!("{} is no receipt: {error}", path.display())))
}
