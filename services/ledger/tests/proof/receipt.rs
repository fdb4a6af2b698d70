//! Receipts, checked with nothing but the key.

use ledger::proof::{Receipt, Signer};

use crate::world::{COMMUNITY, World, signer};

async fn receipt(world: &World, sequence: i64) -> Receipt {
    let proof = world
        .ledger
        .inclusion_proof(COMMUNITY, sequence, None)
        .await
        .unwrap();
    let path: Vec<Vec<u8>> = proof.path.iter().map(|hash| hash.to_vec()).collect();
    Receipt::new(&proof.leaf, &path, proof.checkpoint.note).unwrap()
}

#[tokio::test]
async fn every_entry_has_a_receipt_that_holds_and_fails_when_any_byte_is_changed() {
    let world = World::start().await;
    world.live().await;
    world.seal().await;
    let last = world.ledger.checkpoint(COMMUNITY, None).await.unwrap().size;
    let verifier = signer().verifier().clone();
    for sequence in 1..=last {
        let receipt = receipt(&world, sequence).await;
        assert_eq!(receipt.check(&verifier).map(|head| head.size), Ok(last));
        let file = serde_json::to_string(&receipt).unwrap();
        let read: Receipt = serde_json::from_str(&file).unwrap();
        assert_eq!(read, receipt);
        // A grant and a capture from a lot have every field between them.
        if ![1, 7].contains(&sequence) {
            continue;
        }
        for at in 0..file.len() {
            let mut bytes = file.as_bytes().to_vec();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).ok();
            let read = changed.and_then(|text| serde_json::from_str::<Receipt>(&text).ok());
            // Another spelling of the same, such as a hexadecimal digit in upper case, is no change.
            if let Some(read) = read.filter(|read| *read != receipt) {
                assert!(
                    read.check(&verifier).is_err(),
                    "entry {sequence}, byte {at} of {file}"
                );
            }
        }
    }
    let other = Signer::from_seed("linli-test", [1; 32]).unwrap();
    assert!(receipt(&world, 1).await.check(other.verifier()).is_err());
}

#[tokio::test]
async fn a_receipt_outlives_the_journal() {
    let world = World::start().await;
    world.live().await;
    world.seal().await;
    let kept = receipt(&world, 2).await;
    world
        .tamper("update ledger.entry set amount = 51 where sequence = 2")
        .await;
    assert!(kept.check(signer().verifier()).is_ok());
    assert!(receipt(&world, 2).await.check(signer().verifier()).is_err());
}
