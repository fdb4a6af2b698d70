//! `verify`: recomputes every balance, hold, lot and the proof from the journal alone, and names each row that differs.

use std::fs;

use ledger::{
    domain::CommunityId,
    proof::{Checkpoint, Verifier},
    verify::{Verification, Verified},
};
use runtime::{Durability, Postgres, Problem};

use crate::{cli::VerifyArgs, key, terminal, up};

/// Verifies, and fails when anything differs.
pub async fn run(args: VerifyArgs) -> Result<(), Problem> {
    let Some(folder) = args.data.clone() else {
        let key = args.key.clone();
        return verify(&args, args.database.url()?, key).await;
    };
    let kept = key::find_in_folder(&folder)?.map(|signer| signer.verifier().clone());
    let key = args.key.clone().or(kept);
    let postgres =
        tokio::task::spawn_blocking(move || Postgres::start(&folder, Durability::Durable))
            .await
            .map_err(|error| Problem::new(format!("PostgreSQL did not start: {error}")))??;
    let done = verify(&args, &postgres.url(up::DATABASE), key).await;
    postgres.stop();
    done
}

async fn verify(args: &VerifyArgs, url: &str, key: Option<Verifier>) -> Result<(), Problem> {
    let mut kept = Vec::new();
    for path in &args.checkpoints {
        let wrong = |why: String| Problem::new(format!("{}: {why}", path.display()));
        let note = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let checkpoint = match &key {
            Some(key) => key.open(&note).map(Checkpoint::parse),
            None => Checkpoint::read_unverified(&note).map(Some),
        };
        let checkpoint = checkpoint.map_err(|error| wrong(error.to_string()))?;
        kept.push(checkpoint.ok_or_else(|| wrong("not a checkpoint".to_owned()))?);
    }
    if key.is_none() {
        eprintln!("without --key the signatures of checkpoints are not checked");
    }
    let asked = Verification {
        community: args.community.map(CommunityId),
        key,
        kept,
    };
    let pool = runtime::connect(url, ledger::ROLE, 1).await?;
    let mut printed = Ok(());
    let mut found = |difference: ledger::verify::Difference| {
        if printed.is_ok() {
            printed = terminal::print(difference.to_string());
        }
    };
    let verified = ledger::verify::verify(&pool, &asked, &mut found)
        .await
        .map_err(|error| Problem::new(format!("can't verify: {error}")))?;
    pool.close().await;
    printed?;
    let Verified {
        communities,
        entries,
        checkpoints,
        differences,
    } = verified;
    let looked_at =
        format!("{entries} entries and {checkpoints} checkpoints of {communities} communities");
    if differences > 0 {
        return Err(Problem::new(format!(
            "{differences} differences in {looked_at}"
        )));
    }
    terminal::print(format!(
        "verified {looked_at}: everything is as the journal says"
    ))
}
