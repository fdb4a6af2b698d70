//! The bytes that are fixed for ever.

use chrono::DateTime;
use ledger::{
    domain::{AccountId, Allocation, CommunityId, Entry, EntryKind, NEVER, RequestId},
    proof::{
        Checkpoint, NoteError, Signer, Verifier,
        leaf::{
            Definition, StoredRefusal, decode_entry, encode_definition, encode_entry,
            encode_refusal,
        },
        note::ChainHead,
        tree::leaf_hash,
    },
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::hex;

fn transfer() -> Entry {
    Entry {
        sequence: 258,
        kind: EntryKind::Transfer,
        is_final: false,
        request: Some((RequestId(Uuid::from_u128(0x11)), [0xf0; 16])),
        debit: AccountId(Uuid::from_u128(0xaa)),
        credit: AccountId(Uuid::from_u128(0xbb)),
        amount: 1_000,
        debit_balance: -1_000,
        credit_balance: 1_500,
        debit_previous: 0,
        credit_previous: 257,
        expires_at: DateTime::from_timestamp_micros(1_735_689_600_000_001),
        related: None,
        allocations: vec![Allocation {
            expires_at: NEVER,
            amount: 7,
        }],
        description: "茶".to_owned(),
        recorded_at: DateTime::from_timestamp_micros(1_714_564_800_000_000).unwrap(),
    }
}

#[test]
fn an_entry_has_just_these_bytes() {
    let bytes = encode_entry(CommunityId(Uuid::from_u128(7)), &transfer());
    let fields = [
        "01",
        "0000001000000000000000000000000000000007",
        "000000080000000000000102",
        "000000020001",
        "0000000100",
        "0000001000000000000000000000000000000011",
        "00000010f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",
        "00000010000000000000000000000000000000aa",
        "00000010000000000000000000000000000000bb",
        "0000000800000000000003e8",
        "00000008fffffffffffffc18",
        "0000000800000000000005dc",
        "000000080000000000000000",
        "000000080000000000000101",
        "0000000800062a99ba0c6001",
        "00000000",
        "00000010038443f8ae9c00000000000000000007",
        "00000003e88cb6",
        "000000080006176339d93000",
    ];
    assert_eq!(hex(&bytes), fields.concat());
    assert_eq!(
        hex(&leaf_hash(&bytes)),
        "f32b023355f2d7a933f78103499db2a036aba0aead5884780d6f5f8fe8018dc5"
    );
}

#[test]
fn a_definition_and_a_refusal_have_just_these_bytes() {
    let community = CommunityId(Uuid::from_u128(7));
    let definition = Definition {
        number: 3,
        kind: Definition::LIMITS,
        sequence: 9,
        account_id: Some(Uuid::from_u128(0xaa)),
        min_balance: Some(0),
        ..Definition::default()
    };
    let expected = [
        "02",
        "0000001000000000000000000000000000000007",
        "000000080000000000000003",
        "000000020003",
        "000000080000000000000009",
        "00000000",
        "00000000",
        "00000010000000000000000000000000000000aa",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "000000080000000000000000",
        "00000000",
        "000000080000000000000000",
    ];
    assert_eq!(
        hex(&encode_definition(community, &definition)),
        expected.concat()
    );
    let refusal = StoredRefusal {
        number: 1,
        request_id: Uuid::from_u128(0x11),
        fingerprint: vec![0xf0; 16],
        refusal: "{}".to_owned(),
        recorded_at: DateTime::UNIX_EPOCH,
    };
    let expected = [
        "03",
        "0000001000000000000000000000000000000007",
        "000000080000000000000001",
        "0000001000000000000000000000000000000011",
        "00000010f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",
        "000000027b7d",
        "000000080000000000000000",
    ];
    assert_eq!(hex(&encode_refusal(community, &refusal)), expected.concat());
    assert_eq!(
        hex(&{
            let mut head = ChainHead::default();
            head.push(b"a");
            head.hash
        }),
        hex(&<[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(
            [&[2][..], &[0; 32], b"a"].concat()
        )))
    );
}

fn entries() -> impl Strategy<Value = Entry> {
    let time = (-62_000_000_000_000_000_i64..253_402_214_400_000_000)
        .prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap());
    let part = (time.clone(), any::<i64>())
        .prop_map(|(expires_at, amount)| Allocation { expires_at, amount });
    let ids = (
        any::<u128>(),
        any::<u128>(),
        proptest::option::of((any::<u128>(), any::<[u8; 16]>())),
    );
    let numbers = (
        any::<i64>(),
        any::<i64>(),
        any::<i64>(),
        any::<i64>(),
        any::<i64>(),
        any::<i64>(),
    );
    let rest = (
        1_i16..=7,
        any::<bool>(),
        proptest::option::of(time.clone()),
        proptest::option::of(any::<i64>()),
        proptest::collection::vec(part, 0..4),
        ".{0,20}",
        time,
    );
    (ids, numbers, rest).prop_map(|((debit, credit, request), n, rest)| Entry {
        sequence: n.0,
        kind: EntryKind::try_from(rest.0).unwrap(),
        is_final: rest.1,
        request: request.map(|(id, bytes)| (RequestId(Uuid::from_u128(id)), bytes)),
        debit: AccountId(Uuid::from_u128(debit)),
        credit: AccountId(Uuid::from_u128(credit)),
        amount: n.1,
        debit_balance: n.2,
        credit_balance: n.3,
        debit_previous: n.4,
        credit_previous: n.5,
        expires_at: rest.2,
        related: rest.3,
        allocations: rest.4,
        description: rest.5,
        recorded_at: rest.6,
    })
}

proptest! {
    #[test]
    fn an_entry_is_read_back_from_its_bytes_and_from_no_others(entry in entries(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let community = CommunityId(Uuid::from_u128(7));
        let mut bytes = encode_entry(community, &entry);
        prop_assert_eq!(decode_entry(&bytes), Some((community, entry.clone())));
        prop_assert_eq!(decode_entry(&bytes[..bytes.len() - 1]), None);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_ne!(decode_entry(&bytes), Some((community, entry)));
    }
}

/// The key and the note that the format's reference implementation is tested with.
const PETER: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PROVERB: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const SIGNED: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn a_note_is_signed_as_the_reference_implementation_signs_it() {
    let signer: Signer = PETER.parse().unwrap();
    assert_eq!(signer.verifier().to_string(), PETER_PUBLIC);
    assert_eq!(signer.secret_text(), PETER);
    assert_eq!(signer.sign(PROVERB), SIGNED);
    let verifier: Verifier = PETER_PUBLIC.parse().unwrap();
    assert_eq!(verifier.open(SIGNED), Ok(PROVERB));
}

#[test]
fn a_note_that_was_changed_anywhere_is_not_accepted() {
    let verifier: Verifier = PETER_PUBLIC.parse().unwrap();
    for at in 0..SIGNED.len() {
        let mut bytes = SIGNED.as_bytes().to_vec();
        bytes[at] ^= 1;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(verifier.open(&changed).is_err(), "byte {at}");
        }
    }
    let other = Signer::from_seed("PeterNeumann", [1; 32]).unwrap();
    assert_eq!(
        verifier.open(&other.sign(PROVERB)),
        Err(NoteError::NotSigned)
    );
}

#[test]
fn a_key_has_one_spelling() {
    for wrong in [
        "",
        "PeterNeumann",
        &PETER_PUBLIC[1..],
        &PETER_PUBLIC.replace("c74f", "c74e"),
    ] {
        assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
    }
    assert!(PETER_PUBLIC.parse::<Signer>().is_err());
    assert!(Signer::from_seed("a name", [1; 32]).is_err());
    assert!(!format!("{:?}", PETER.parse::<Signer>().unwrap()).contains("AYEK"));
}

#[test]
fn a_checkpoint_is_five_lines() {
    let checkpoint = Checkpoint {
        community: CommunityId(Uuid::from_u128(7)),
        size: 12,
        root: [1; 32],
        definitions: ChainHead {
            count: 3,
            hash: [2; 32],
        },
        refusals: ChainHead::default(),
    };
    let text = "linli/00000000-0000-0000-0000-000000000007\n12\n\
        AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\
        definitions 3 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n\
        refusals 0 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    assert_eq!(checkpoint.text(), text);
    assert_eq!(Checkpoint::parse(text), Some(checkpoint));
    assert_eq!(Checkpoint::parse(&text.replace("\n12\n", "\n012\n")), None);
}
