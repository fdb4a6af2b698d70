//! What seals the people on the roster: each person, and what each visit found, for that row alone. How, is the runtime's.

use runtime::{KeyRing, Sealed, SealedFor, SealedKind, Unreadable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{Community, person::Person},
    store::sealed::Holds,
};

/// In which form a person and a note are written.
const VERSION: u8 = 1;
const BENEFICIARY: SealedKind = SealedKind {
    label: "linli beneficiary",
    noun: "beneficiary",
};
const VISIT: SealedKind = SealedKind {
    label: "linli visit",
    noun: "visit",
};

/// What is sealed of a beneficiary.
#[derive(Serialize, Deserialize)]
struct WrittenPerson {
    version: u8,
    person: Person,
}

/// What is sealed of a visit.
#[derive(Serialize, Deserialize)]
struct WrittenNote {
    version: u8,
    note: String,
}

/// What a row is sealed for.
pub(crate) fn sealed_for(community: Community, id: Uuid, holds: Holds) -> SealedFor {
    let kind = match holds {
        Holds::Beneficiary => &BENEFICIARY,
        Holds::Visit => &VISIT,
    };
    SealedFor {
        kind,
        community: community.0,
        id,
    }
}

/// Seals a person under a new data key.
pub(crate) fn person(keys: &KeyRing, community: Community, id: Uuid, person: &Person) -> Sealed {
    let written = WrittenPerson {
        version: VERSION,
        person: person.clone(),
    };
    keys.seal(sealed_for(community, id, Holds::Beneficiary), &written)
}

/// Opens what was sealed of a beneficiary.
pub(crate) fn open_person(
    keys: &KeyRing,
    community: Community,
    id: Uuid,
    sealed: &Sealed,
) -> Result<Person, Unreadable> {
    let place = sealed_for(community, id, Holds::Beneficiary);
    let written: WrittenPerson = keys.open(place, sealed)?;
    let known = (written.version == VERSION).then_some(written.person);
    known.ok_or_else(|| place.damaged())
}

/// Seals what a visit found under a new data key.
pub(crate) fn note(keys: &KeyRing, community: Community, visit: Uuid, note: &str) -> Sealed {
    let written = WrittenNote {
        version: VERSION,
        note: note.to_owned(),
    };
    keys.seal(sealed_for(community, visit, Holds::Visit), &written)
}

/// Opens what was sealed of a visit.
pub(crate) fn open_note(
    keys: &KeyRing,
    community: Community,
    visit: Uuid,
    sealed: &Sealed,
) -> Result<String, Unreadable> {
    let place = sealed_for(community, visit, Holds::Visit);
    let written: WrittenNote = keys.open(place, sealed)?;
    let known = (written.version == VERSION).then_some(written.note);
    known.ok_or_else(|| place.damaged())
}
