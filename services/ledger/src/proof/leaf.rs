//! The canonical encoding of what is proved: entries as leaves of the tree, definitions and refusals as links of their chains.
//!
//! A record is one byte, the format, and then its fields in a fixed order. Each field is a 4-byte big-endian length and as many
//! bytes. Numbers are big-endian two's complement, times are microseconds since 1970-01-01T00:00:00Z as 8-byte numbers, ids are
//! the 16 bytes of a UUID, text is UTF-8. What is missing (null) has length 0. So equal bytes mean equal fields, and no two records
//! share an encoding.
//!
//! An entry, format `0x01`:
//!
//! | # | bytes | field |
//! | --- | --- | --- |
//! | 1 | 16 | community |
//! | 2 | 8 | sequence |
//! | 3 | 2 | kind, the number of the contract's `EntryKind` |
//! | 4 | 1 | final: 1 for a last capture, else 0 |
//! | 5 | 16 or 0 | request id |
//! | 6 | 16 or 0 | fingerprint of the request |
//! | 7 | 16 | debit account |
//! | 8 | 16 | credit account |
//! | 9 | 8 | amount |
//! | 10 | 8 | balance of the debit account afterwards |
//! | 11 | 8 | balance of the credit account afterwards |
//! | 12 | 8 | previous entry of the debit account, 0 = none |
//! | 13 | 8 | previous entry of the credit account, 0 = none or unchanged |
//! | 14 | 8 or 0 | expiry: of the credited lot, the expired lot, or the hold |
//! | 15 | 8 or 0 | related entry |
//! | 16 | 16 each | allocations in order: expiry of the lot (9999-12-31T00:00:00Z = never), amount |
//! | 17 | 0 … | description |
//! | 18 | 8 | when it was recorded |
//!
//! A definition, format `0x02`: community, number (8), kind (2), sequence of the last entry before it (8), asset, exponent (2),
//! account (16), programme (16), kind of account (2), owner (16), expiry account (16), min balance (8), max balance (8), when it was
//! recorded (8).
//!
//! A refusal, format `0x03`: community, number (8), request id (16), fingerprint (16), the refusal as Postgres writes its `jsonb`,
//! when it was recorded (8).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{AccountId, Allocation, CommunityId, Entry, EntryKind, RequestId};

const ENTRY: u8 = 1;
const DEFINITION: u8 = 2;
const REFUSAL: u8 = 3;

/// One row of the log of definitions; which fields are set depends on its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// 1, 2, 3 … within the community.
    pub number: i64,
    /// 1 asset, 2 account, 3 limits.
    pub kind: i16,
    /// Of the last entry before it.
    pub sequence: i64,
    /// Code of the asset.
    pub asset: Option<String>,
    /// Of an asset.
    pub exponent: Option<i16>,
    /// The account.
    pub account_id: Option<Uuid>,
    /// Of an account.
    pub programme_id: Option<Uuid>,
    /// Of an account.
    pub account_kind: Option<i16>,
    /// Of an account.
    pub owner_id: Option<Uuid>,
    /// Of an account.
    pub expiry_account_id: Option<Uuid>,
    /// The lower limit.
    pub min_balance: Option<i64>,
    /// The upper limit.
    pub max_balance: Option<i64>,
    /// When it was made.
    pub recorded_at: DateTime<Utc>,
}

impl Definition {
    /// An asset was defined.
    pub const ASSET: i16 = 1;
    /// An account was opened.
    pub const ACCOUNT: i16 = 2;
    /// An account's limits were set.
    pub const LIMITS: i16 = 3;
}

/// One stored refusal, as it is chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRefusal {
    /// 1, 2, 3 … within the community.
    pub number: i64,
    /// The caller's id.
    pub request_id: Uuid,
    /// Of what was asked.
    pub fingerprint: Vec<u8>,
    /// As Postgres writes its `jsonb`.
    pub refusal: String,
    /// When it was refused.
    pub recorded_at: DateTime<Utc>,
}

/// Encodes an entry.
pub fn encode_entry(community: CommunityId, entry: &Entry) -> Vec<u8> {
    let (request_id, fingerprint) = entry.request.unzip();
    let mut record = Record::new(ENTRY);
    record.field(community.0.as_bytes());
    record.number(entry.sequence);
    record.field(&(entry.kind as i16).to_be_bytes());
    record.field(&[u8::from(entry.is_final)]);
    record.id(request_id.map(|id| id.0));
    record.field(fingerprint.as_ref().map_or(&[], |bytes| &bytes[..]));
    record.field(entry.debit.0.as_bytes());
    record.field(entry.credit.0.as_bytes());
    record.number(entry.amount);
    record.number(entry.debit_balance);
    record.number(entry.credit_balance);
    record.number(entry.debit_previous);
    record.number(entry.credit_previous);
    record.optional(entry.expires_at.map(|at| at.timestamp_micros()));
    record.optional(entry.related);
    let parts = entry.allocations.iter().flat_map(|part| {
        [
            part.expires_at.timestamp_micros().to_be_bytes(),
            part.amount.to_be_bytes(),
        ]
    });
    record.field(&parts.flatten().collect::<Vec<u8>>());
    record.field(entry.description.as_bytes());
    record.number(entry.recorded_at.timestamp_micros());
    record.0
}

/// Reads an entry back; `None` unless the bytes are exactly what [`encode_entry`] makes of it.
pub fn decode_entry(bytes: &[u8]) -> Option<(CommunityId, Entry)> {
    let (format, rest) = bytes.split_first()?;
    let mut fields = Fields(rest);
    if *format != ENTRY {
        return None;
    }
    let community = CommunityId(fields.id()??);
    let sequence = fields.number()?;
    let kind = EntryKind::try_from(i16::from_be_bytes(fields.array()?)).ok()?;
    let [is_final] = fields.array()?;
    let request_id = fields.id()?;
    let fingerprint = match fields.next()? {
        [] => None,
        bytes => Some(bytes.try_into().ok()?),
    };
    let entry = Entry {
        sequence,
        kind,
        is_final: is_final == 1,
        request: request_id.map(RequestId).zip(fingerprint),
        debit: AccountId(fields.id()??),
        credit: AccountId(fields.id()??),
        amount: fields.number()?,
        debit_balance: fields.number()?,
        credit_balance: fields.number()?,
        debit_previous: fields.number()?,
        credit_previous: fields.number()?,
        expires_at: match fields.optional()? {
            Some(micros) => Some(DateTime::from_timestamp_micros(micros)?),
            None => None,
        },
        related: fields.optional()?,
        allocations: allocations(fields.next()?)?,
        description: String::from_utf8(fields.next()?.to_vec()).ok()?,
        recorded_at: DateTime::from_timestamp_micros(fields.number()?)?,
    };
    // Whatever is not canonical shows here.
    (encode_entry(community, &entry) == bytes).then_some((community, entry))
}

fn allocations(bytes: &[u8]) -> Option<Vec<Allocation>> {
    let (parts, rest) = bytes.as_chunks::<16>();
    let part = |part: &[u8; 16]| {
        let (expires_at, amount) = part.split_at(8);
        Some(Allocation {
            expires_at: DateTime::from_timestamp_micros(i64::from_be_bytes(
                expires_at.try_into().ok()?,
            ))?,
            amount: i64::from_be_bytes(amount.try_into().ok()?),
        })
    };
    rest.is_empty()
        .then(|| parts.iter().map(part).collect())
        .flatten()
}

/// Encodes a definition.
pub fn encode_definition(community: CommunityId, definition: &Definition) -> Vec<u8> {
    let small = |number: Option<i16>| number.map(|number| number.to_be_bytes());
    let mut record = Record::new(DEFINITION);
    record.field(community.0.as_bytes());
    record.number(definition.number);
    record.field(&definition.kind.to_be_bytes());
    record.number(definition.sequence);
    record.field(definition.asset.as_deref().unwrap_or_default().as_bytes());
    record.field(
        small(definition.exponent)
            .as_ref()
            .map_or(&[], |it| &it[..]),
    );
    record.id(definition.account_id);
    record.id(definition.programme_id);
    record.field(
        small(definition.account_kind)
            .as_ref()
            .map_or(&[], |it| &it[..]),
    );
    record.id(definition.owner_id);
    record.id(definition.expiry_account_id);
    record.optional(definition.min_balance);
    record.optional(definition.max_balance);
    record.number(definition.recorded_at.timestamp_micros());
    record.0
}

/// Encodes a refusal.
pub fn encode_refusal(community: CommunityId, refusal: &StoredRefusal) -> Vec<u8> {
    let mut record = Record::new(REFUSAL);
    record.field(community.0.as_bytes());
    record.number(refusal.number);
    record.id(Some(refusal.request_id));
    record.field(&refusal.fingerprint);
    record.field(refusal.refusal.as_bytes());
    record.number(refusal.recorded_at.timestamp_micros());
    record.0
}

struct Record(Vec<u8>);

impl Record {
    fn new(format: u8) -> Self {
        let mut bytes = Vec::with_capacity(320);
        bytes.push(format);
        Self(bytes)
    }

    fn field(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("no field is 4 GiB long");
        self.0.extend(length.to_be_bytes());
        self.0.extend(bytes);
    }

    fn number(&mut self, number: i64) {
        self.field(&number.to_be_bytes());
    }

    fn optional(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.number(number),
            None => self.field(&[]),
        }
    }

    fn id(&mut self, id: Option<Uuid>) {
        self.field(id.as_ref().map_or(&[], |id| &id.as_bytes()[..]));
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.next()?.try_into().ok()
    }

    fn number(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.array()?))
    }

    fn optional(&mut self) -> Option<Option<i64>> {
        match self.next()? {
            [] => Some(None),
            bytes => Some(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
        }
    }

    fn id(&mut self) -> Option<Option<Uuid>> {
        match self.next()? {
            [] => Some(None),
            bytes => Some(Some(Uuid::from_slice(bytes).ok()?)),
        }
    }
}
