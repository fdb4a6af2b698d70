//! Whatever a superuser does to the tables, verification names the row.

use ledger::{proof::Checkpoint, verify::Verification};

use crate::world::{COMMUNITY, World};

/// A life, sealed; with pages in the merchant's statement and more than one tile.
async fn sealed() -> World {
    let world = World::start().await;
    world.live().await;
    world.seal().await;
    world.pay(5_000, 300).await;
    world.seal().await;
    assert_eq!(world.differences().await, Vec::<String>::new());
    world
}

/// Does each thing to a database of its own, and expects a difference that begins so.
async fn finds(cases: &[(&str, &str)]) {
    let world = sealed().await;
    for (sql, expected) in cases {
        // The tables are put back from copies, for a world takes longer to make.
        for table in TABLES {
            world
                .tamper(&format!(
                    "create table if not exists copy_{table} as select * from ledger.{table}"
                ))
                .await;
        }
        world.tamper(sql).await;
        let found = world.differences().await;
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{sql}\nexpected {expected}\nfound {found:#?}"
        );
        for table in TABLES {
            world.tamper(&format!("delete from ledger.{table}")).await;
            world
                .tamper(&format!(
                    "insert into ledger.{table} select * from copy_{table}"
                ))
                .await;
        }
        assert_eq!(
            world.differences().await,
            Vec::<String>::new(),
            "after it was put back"
        );
    }
}

const TABLES: [&str; 11] = [
    "journal",
    "asset",
    "account",
    "lot",
    "entry",
    "statement_page",
    "allocation",
    "hold",
    "refusal",
    "definition",
    "checkpoint",
];

#[tokio::test]
async fn an_entry_that_is_edited_in_any_column() {
    finds(&[
        ("update ledger.entry set kind = 6 where sequence = 4", "entry 4: the rules refuse it"),
        ("update ledger.entry set final = true where sequence = 4", "entry 4: final"),
        ("update ledger.entry set request_id = gen_random_uuid() where sequence = 4", "entry 4: the leaf"),
        ("update ledger.entry set fingerprint = decode(repeat('ab', 16), 'hex') where sequence = 4", "entry 4: fingerprint"),
        ("update ledger.entry set fingerprint = decode(repeat('ab', 16), 'hex') where kind = 7", "entry"),
        ("update ledger.entry set debit_account_id = '00000000-0000-0000-0000-000000000005' where sequence = 4", "entry 4: "),
        ("update ledger.entry set credit_account_id = '00000000-0000-0000-0000-000000000001' where sequence = 4", "entry 4: "),
        ("update ledger.entry set amount = 61 where sequence = 4", "entry 4: fingerprint"),
        ("update ledger.entry set amount = 2 where sequence = 300", "entry 300: the leaf"),
        ("update ledger.entry set debit_balance = debit_balance + 1 where sequence = 4", "entry 4: debit_balance"),
        ("update ledger.entry set credit_balance = credit_balance + 1 where sequence = 4", "entry 4: credit_balance"),
        ("update ledger.entry set debit_previous = 1 where sequence = 4", "entry 4: debit_previous"),
        ("update ledger.entry set credit_previous = 1 where sequence = 4", "entry 4: credit_previous"),
        ("update ledger.entry set expires_at = expires_at + interval '1 hour' where sequence = 1", "entry 1: fingerprint"),
        ("update ledger.entry set related_sequence = 7 where kind = 7", "entry"),
        ("update ledger.entry set description = 'other' where sequence = 4", "entry 4: the leaf"),
        ("update ledger.entry set recorded_at = recorded_at - interval '1 s' where sequence = 4", "entry 4: recorded_at"),
    ])
    .await;
}

#[tokio::test]
async fn an_entry_that_is_deleted_inserted_or_cut_off() {
    let copy = "insert into ledger.entry select community_id, (select max(sequence) + 1 from ledger.entry), kind, final, gen_random_uuid(), \
        fingerprint, debit_account_id, credit_account_id, amount, debit_balance, credit_balance, debit_previous, credit_previous, \
        expires_at, related_sequence, description, recorded_at from ledger.entry where sequence = 100";
    finds(&[
        (
            "delete from ledger.entry where sequence = 4",
            "entry 4: the row",
        ),
        (
            "delete from ledger.entry where sequence = (select max(sequence) from ledger.entry)",
            "journal",
        ),
        (copy, "entry 3"),
        (
            "update ledger.entry set sequence = 1000 where sequence = 5",
            "entry 5: the row",
        ),
        ("truncate ledger.entry", "entry 1 to "),
    ])
    .await;
}

#[tokio::test]
async fn a_tail_that_is_cut_off_with_everything_that_tells_of_it() {
    let world = World::start().await;
    world.pay(1_000, 20).await;
    world.seal().await;
    let head = world.ledger.checkpoint(COMMUNITY, None).await.unwrap();
    let kept = Checkpoint::read_unverified(&head.note).unwrap();
    world
        .tamper("delete from ledger.entry where sequence = 20")
        .await;
    world
        .tamper("update ledger.journal set next_sequence = 20")
        .await;
    world.tamper("update ledger.account set balance = balance + case when kind = 1 then 1 else -1 end, entries = 19, \
        last_sequence = 19, revision = 20 where kind in (1, 4)").await;
    let found = world.differences().await;
    assert!(
        found[0].starts_with("entry 20 to 20: the rows: as a checkpoint covers"),
        "{found:#?}"
    );
    // Who also takes the checkpoints away leaves a history that agrees with itself, but not with what someone kept.
    world
        .tamper("truncate ledger.checkpoint, ledger.tile")
        .await;
    assert_eq!(world.differences().await, Vec::<String>::new());
    let asked = Verification {
        kept: vec![kept],
        ..Verification::default()
    };
    let found = world.differences_with(asked).await;
    assert!(
        found[0].starts_with("entry up to 20: the rows"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn an_account_a_lot_or_a_hold() {
    finds(&[
        (
            "update ledger.account set balance = balance + 1 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: balance",
        ),
        (
            "update ledger.account set held = held + 1 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: held",
        ),
        (
            "update ledger.account set last_sequence = 1 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: last_sequence",
        ),
        (
            "update ledger.account set entries = 1 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: entries",
        ),
        (
            "update ledger.account set revision = 1 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: revision",
        ),
        (
            "update ledger.account set min_balance = null where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: min_balance",
        ),
        (
            "update ledger.account set max_balance = 9 where kind = 2",
            "account 00000000-0000-0000-0000-000000000002: max_balance",
        ),
        (
            "update ledger.account set programme_id = gen_random_uuid() where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: programme_id",
        ),
        (
            "update ledger.account set asset = 'CNY' where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: asset",
        ),
        (
            "update ledger.account set kind = 3 where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: kind",
        ),
        (
            "update ledger.account set owner_id = gen_random_uuid() where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: owner_id",
        ),
        (
            "update ledger.account set expiry_account_id = null where kind = 3",
            "account 00000000-0000-0000-0000-000000000004: expiry_account_id",
        ),
        (
            "update ledger.account set created_at = created_at + interval '1 s' where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: created_at",
        ),
        (
            "delete from ledger.account where kind = 4",
            "account 00000000-0000-0000-0000-000000000003: the row",
        ),
        (
            "delete from ledger.account where account_id = '00000000-0000-0000-0000-000000000007'",
            "account 00000000-0000-0000-0000-000000000007: the row",
        ),
    ])
    .await;
    finds(&[
        ("insert into ledger.account (community_id, account_id, programme_id, asset, kind, created_at) \
            select community_id, '00000000-0000-0000-0000-0000000000ff', programme_id, asset, 3, created_at from ledger.account limit 1",
            "account 00000000-0000-0000-0000-0000000000ff: the row"),
        ("truncate ledger.account cascade", "account 00000000-0000-0000-0000-000000000001: the row"),
        ("update ledger.lot set remaining = remaining + 1", "lot 00000000-0000-0000-0000-000000000004"),
        ("update ledger.lot set held = held + 1", "lot 00000000-0000-0000-0000-000000000004"),
        ("update ledger.lot set expires_at = expires_at + interval '1 s' where remaining > 0", "lot 00000000-0000-0000-0000-000000000005"),
        ("delete from ledger.lot where held > 0", "lot 00000000-0000-0000-0000-000000000005"),
        ("insert into ledger.lot select community_id, account_id, '2030-01-01', 5, 0 from ledger.account where kind = 3", "lot 00000000-0000-0000-0000-000000000007"),
        ("insert into ledger.lot select community_id, gen_random_uuid(), '2030-01-01', 5, 0 from ledger.account where kind = 4", "lot "),
        ("truncate ledger.lot", "lot 00000000-0000-0000-0000-000000000005"),
        ("update ledger.hold set sequence = 1 where state = 1", "hold 00000000-0000-0000-0000-000000000071: sequence"),
        ("update ledger.hold set debit_account_id = credit_account_id where state = 1", "hold 00000000-0000-0000-0000-000000000071: debit_account_id"),
        ("update ledger.hold set credit_account_id = debit_account_id where state = 1", "hold 00000000-0000-0000-0000-000000000071: credit_account_id"),
        ("update ledger.hold set amount = amount + 1 where state = 1", "hold 00000000-0000-0000-0000-000000000071: amount"),
        ("update ledger.hold set captured = 1 where state = 1", "hold 00000000-0000-0000-0000-000000000071: captured"),
        ("update ledger.hold set released = 1 where state = 1", "hold 00000000-0000-0000-0000-000000000071: released"),
        ("update ledger.hold set state = 4 where state = 3", "hold 00000000-0000-0000-0000-00000000006e: state"),
        ("update ledger.hold set expires_at = expires_at + interval '1 s' where state = 1", "hold 00000000-0000-0000-0000-000000000071: expires_at"),
        ("update ledger.hold set created_at = created_at + interval '1 s' where state = 1", "hold 00000000-0000-0000-0000-000000000071: created_at"),
        ("delete from ledger.hold where state = 1", "hold 00000000-0000-0000-0000-000000000071: the row"),
        ("insert into ledger.hold select community_id, '00000000-0000-0000-0000-0000000000ff', sequence, debit_account_id, credit_account_id, \
            amount, captured, released, state, expires_at, created_at from ledger.hold where state = 1", "hold 00000000-0000-0000-0000-0000000000ff: the row"),
        ("truncate ledger.hold", "hold 00000000-0000-0000-0000-00000000006b: the row"),
    ])
    .await;
}

#[tokio::test]
async fn what_belongs_to_entries_and_accounts() {
    finds(&[
        ("update ledger.allocation set amount = amount + 1 where sequence = 4 and position = 0", "allocation 4: the lots"),
        ("update ledger.allocation set expires_at = expires_at + interval '1 s' where sequence = 4 and position = 0", "allocation 4: the lots"),
        ("update ledger.allocation set position = 5 where sequence = 4 and position = 1", "allocation 4, 5: the row"),
        ("delete from ledger.allocation where sequence = 4 and position = 1", "allocation 4: the lots"),
        ("insert into ledger.allocation values ('00000000-0000-0000-0000-000000000007', 1, 0, now(), 3)", "allocation 1: the lots"),
        ("insert into ledger.allocation values ('00000000-0000-0000-0000-000000000007', 9999, 0, now(), 3)", "allocation 9999, 0: the row"),
        ("insert into ledger.allocation values ('00000000-0000-0000-0000-000000000007', -4, 0, now(), 3)", "allocation -4, 0: the row"),
        ("truncate ledger.allocation", "allocation 4: the lots"),
        ("update ledger.statement_page set sequence = sequence + 1", "statement_page 00000000-0000-0000-0000-000000000003"),
        ("delete from ledger.statement_page where account_id = '00000000-0000-0000-0000-000000000003'", "statement_page 00000000-0000-0000-0000-000000000003"),
        ("insert into ledger.statement_page values ('00000000-0000-0000-0000-000000000007', '00000000-0000-0000-0000-000000000005', 3)", "statement_page 00000000-0000-0000-0000-000000000005, 3"),
        ("truncate ledger.statement_page", "statement_page 00000000-0000-0000-0000-000000000001"),
        ("update ledger.asset set exponent = 2", "asset points: exponent"),
        ("update ledger.asset set code = 'CNY'", "asset CNY: the row"),
        ("update ledger.asset set created_at = created_at + interval '1 s'", "asset points: created_at"),
        ("insert into ledger.asset select community_id, 'CNY', 2, created_at from ledger.asset", "asset CNY: the row"),
        ("delete from ledger.asset", "asset points: the row"),
        ("update ledger.journal set next_sequence = next_sequence + 1", "journal 00000000-0000-0000-0000-000000000007: next_sequence"),
        ("update ledger.journal set definitions = definitions + 1", "journal 00000000-0000-0000-0000-000000000007: definitions"),
        ("update ledger.journal set last_recorded_at = now()", "journal 00000000-0000-0000-0000-000000000007: last_recorded_at"),
        ("update ledger.journal set last_definition = 1", "journal 00000000-0000-0000-0000-000000000007: last_definition"),
        ("update ledger.journal set last_refusal = 1", "journal 00000000-0000-0000-0000-000000000007: last_refusal"),
        ("delete from ledger.journal", "journal 00000000-0000-0000-0000-000000000007: the row"),
    ])
    .await;
}

#[tokio::test]
async fn definitions_and_refusals() {
    finds(&[
        ("update ledger.definition set min_balance = -9 where number = 2", "definition"),
        ("update ledger.definition set max_balance = 1000 where kind = 3", "definition 1 to 9: the hash of checkpoint 1"),
        ("update ledger.definition set sequence = 1 where kind = 3", "definition 1 to 9: the hash of checkpoint 1"),
        ("update ledger.definition set recorded_at = now() where number = 3", "account"),
        ("delete from ledger.definition where number = 9", "definition 9 to 9: the row"),
        ("delete from ledger.definition where number = 3", "definition 3: the row"),
        ("insert into ledger.definition select community_id, 10, kind, sequence, asset, exponent, account_id, programme_id, account_kind, \
            owner_id, expiry_account_id, min_balance, max_balance, recorded_at from ledger.definition where number = 9", "journal"),
        ("truncate ledger.definition", "definition 1 to "),
        ("update ledger.refusal set refusal = '{}' where number = 1", "refusal 1 to "),
        ("update ledger.refusal set fingerprint = decode(repeat('ab', 16), 'hex') where number = 1", "refusal 1 to "),
        ("update ledger.refusal set request_id = gen_random_uuid() where number = 2", "refusal 1 to 2: the hash"),
        ("update ledger.refusal set recorded_at = now() where number = 2", "refusal 1 to 2: the hash"),
        ("update ledger.refusal set number = 7 where number = 2", "refusal 2: the row"),
        ("delete from ledger.refusal where number = 2", "refusal 2 to 2: the row"),
        ("insert into ledger.refusal select community_id, gen_random_uuid(), fingerprint, refusal, recorded_at, 3 from ledger.refusal where number = 1", "journal"),
        ("truncate ledger.refusal", "refusal 1 to 2: the row"),
    ])
    .await;
}

#[tokio::test]
async fn tiles_and_checkpoints() {
    let world = sealed().await;
    world
        .tamper("create table copy_tile as select * from ledger.tile")
        .await;
    world
        .tamper("create table copy_checkpoint as select * from ledger.checkpoint")
        .await;
    for (sql, expected) in [
        (
            "update ledger.tile set hashes = set_byte(hashes, 33, 255 - get_byte(hashes, 33)) where level = 0 and index = 0",
            "tile level 0, index 0: the hash of entry 2",
        ),
        (
            "update ledger.tile set hashes = set_byte(hashes, 3, 255 - get_byte(hashes, 3)) where level = 1",
            "tile level 1, index 0: hashes",
        ),
        (
            "update ledger.tile set hashes = substr(hashes, 1, 64) where level = 0 and index = 1",
            "tile level 0, index 1: the number",
        ),
        (
            "delete from ledger.tile where level = 0 and index = 1",
            "tile level 0, index 1: the number",
        ),
        (
            "delete from ledger.tile where level = 1",
            "tile level 1, index 0: hashes",
        ),
        (
            "insert into ledger.tile select community_id, 0, 9, hashes from ledger.tile where level = 1",
            "tile level 0, index 9: the row",
        ),
        ("truncate ledger.tile", "tile level 0, index 0: the number"),
        (
            "update ledger.checkpoint set root = set_byte(root, 3, 255 - get_byte(root, 3)) where number = 1",
            "checkpoint 1: root",
        ),
        (
            "update ledger.checkpoint set size = size - 1 where number = 1",
            "checkpoint 1: size",
        ),
        (
            "update ledger.checkpoint set note = replace(note, 'refusals', 'Refusals') where number = 1",
            "checkpoint 1: note",
        ),
        (
            "update ledger.checkpoint set definitions = 3 where number = 1",
            "checkpoint 1: definitions",
        ),
        (
            "update ledger.checkpoint set definitions_hash = root where number = 1",
            "checkpoint 1: definitions_hash",
        ),
        (
            "update ledger.checkpoint set refusals = 1 where number = 1",
            "checkpoint 1: refusals",
        ),
        (
            "update ledger.checkpoint set refusals_hash = root where number = 1",
            "checkpoint 1: refusals_hash",
        ),
        (
            "delete from ledger.checkpoint where number = 1",
            "checkpoint 1 to 1: the row",
        ),
        (
            "delete from ledger.checkpoint where number = 2",
            "tile level 0",
        ),
        (
            "insert into ledger.checkpoint select community_id, 3, 5, root, definitions, definitions_hash, refusals, refusals_hash, note, \
            signed_at from ledger.checkpoint where number = 1",
            "checkpoint 3: size",
        ),
        (
            "truncate ledger.checkpoint",
            "tile level 0, index 0: the row",
        ),
    ] {
        world.tamper(sql).await;
        let found = world.differences().await;
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{sql}\nexpected {expected}\nfound {found:#?}"
        );
        for table in ["tile", "checkpoint"] {
            world.tamper(&format!("delete from ledger.{table}")).await;
            world
                .tamper(&format!(
                    "insert into ledger.{table} select * from copy_{table}"
                ))
                .await;
        }
    }
    assert_eq!(world.differences().await, Vec::<String>::new());
    let other = ledger::proof::Signer::from_seed("linli-test", [1; 32]).unwrap();
    let asked = Verification {
        key: Some(other.verifier().clone()),
        ..Verification::default()
    };
    assert!(world.differences_with(asked).await[0].starts_with("checkpoint 1: note"));
}
