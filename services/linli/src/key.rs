//! Keys: what the ledger signs its checkpoints with, what persons are sealed under, and what tokens are signed with by the services and for trying out.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::proof::{Signer, Verifier};
use redemption::OfflineKeys;
use runtime::{KeyRing, Minter, Problem};

use crate::{cli::KeyKind, terminal};

const NAME: &str = "linli";
const LEDGER_FILE: &str = "ledger.key";
const PERSON_FILE: &str = "person.keys";
const ISSUER_FILE: &str = "issuer.key";
const OFFLINE_FILE: &str = "offline.key";
/// `iss` of the tokens that `linli up` takes; production refuses them.
pub const UP_ISSUER: &str = "linli-up";
/// `iss` of the tokens that services call each other with.
pub const SERVICES_ISSUER: &str = "linli-services";

/// A key for what does not outlive the process.
pub fn temporary() -> Signer {
    Signer::from_seed(NAME, rand::random()).expect("the name is a good one")
}

/// What persons are sealed under that do not outlive the process.
pub fn temporary_persons() -> KeyRing {
    KeyRing::parse(&KeyRing::new_entry()).expect("an entry is a key ring")
}

/// Prints a new key; of the ledger's its verifier key too.
pub fn print_new(kind: KeyKind) -> Result<(), Problem> {
    match kind {
        KeyKind::Ledger => {
            let signer = temporary();
            terminal::print(signer.secret_text())?;
            terminal::print(signer.verifier().to_string())
        }
        KeyKind::Person => terminal::print(KeyRing::new_entry()),
    }
}

/// What persons are sealed under in a data folder; made when there is none.
pub fn persons_in_folder(folder: &Path) -> Result<KeyRing, Problem> {
    let text = match find(folder, PERSON_FILE)? {
        Some(text) => text,
        None => {
            let entry = KeyRing::new_entry();
            keep(folder, PERSON_FILE, &entry)?;
            entry
        }
    };
    let wrong = |error| Problem::new(format!("{}: {error}", folder.join(PERSON_FILE).display()));
    KeyRing::parse(&text).map_err(wrong)
}

/// What persons are sealed under by a configuration. The text itself is never shown.
pub fn persons(text: Option<&str>) -> Result<KeyRing, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        Problem::new(
            "LINLI_PERSON_KEYS is not set: set it to the keys that persons are sealed under, as `linli key person` makes them",
        )
    })?;
    KeyRing::parse(text).map_err(|error| Problem::new(format!("LINLI_PERSON_KEYS: {error}")))
}

/// The ledger's key of a data folder; made when there is none, and readable by its owner alone.
pub fn in_folder(folder: &Path) -> Result<Signer, Problem> {
    if let Some(signer) = find_in_folder(folder)? {
        return Ok(signer);
    }
    let signer = temporary();
    keep(folder, LEDGER_FILE, &signer.secret_text())?;
    Ok(signer)
}

/// The ledger's key of a data folder, if it has one.
pub fn find_in_folder(folder: &Path) -> Result<Option<Signer>, Problem> {
    let Some(text) = find(folder, LEDGER_FILE)? else {
        return Ok(None);
    };
    let wrong = |error| Problem::new(format!("{}: {error}", folder.join(LEDGER_FILE).display()));
    text.parse().map(Some).map_err(wrong)
}

/// Mints the tokens of a data folder, for trying out; its key is made when there is none.
pub fn issuer_in_folder(folder: &Path) -> Result<Minter, Problem> {
    if let Some(minter) = find_issuer_in_folder(folder)? {
        return Ok(minter);
    }
    let seed: [u8; 32] = rand::random();
    keep(folder, ISSUER_FILE, &STANDARD.encode(seed))?;
    Ok(Minter::new(UP_ISSUER, seed))
}

/// Mints the tokens of a data folder, if it has a key for that.
pub fn find_issuer_in_folder(folder: &Path) -> Result<Option<Minter>, Problem> {
    let Some(text) = find(folder, ISSUER_FILE)? else {
        return Ok(None);
    };
    let wrong = || Problem::new(format!("{} is damaged", folder.join(ISSUER_FILE).display()));
    let seed = seed(&text).ok_or_else(wrong)?;
    Ok(Some(Minter::new(UP_ISSUER, seed)))
}

/// Mints tokens for what does not outlive the process.
pub fn temporary_issuer() -> Minter {
    Minter::new(UP_ISSUER, rand::random())
}

/// Mints the tokens that services call each other with. The text itself is never shown.
pub fn services(text: Option<&str>) -> Result<Minter, Problem> {
    let how =
        "32 bytes in base64, as `openssl rand -base64 32` makes them, the same for every service";
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| Problem::new(format!("LINLI_SERVICE_KEY is not set: set it to {how}")))?;
    let seed =
        seed(text).ok_or_else(|| Problem::new(format!("LINLI_SERVICE_KEY has to be {how}")))?;
    Ok(Minter::new(SERVICES_ISSUER, seed))
}

/// What offline codes are signed with, by a configuration; an empty one is none. The text itself is never shown.
pub fn offline(text: Option<&str>) -> Result<OfflineKeys, Problem> {
    let texts = text.unwrap_or_default().split(',').map(str::trim);
    let seeds = texts.filter(|text| !text.is_empty()).map(|text| {
        seed(text).ok_or_else(|| {
            Problem::new(
                "LINLI_OFFLINE_KEYS has to be 32 bytes in base64, as `openssl rand -base64 32` makes them; several with commas",
            )
        })
    });
    Ok(OfflineKeys::new(seeds.collect::<Result<Vec<_>, _>>()?))
}

/// What offline codes of a data folder are signed with; made when there is none.
pub fn offline_in_folder(folder: &Path) -> Result<OfflineKeys, Problem> {
    let wrong = || {
        Problem::new(format!(
            "{} is damaged",
            folder.join(OFFLINE_FILE).display()
        ))
    };
    let known = match find(folder, OFFLINE_FILE)? {
        Some(text) => seed(&text).ok_or_else(wrong)?,
        None => {
            let seed: [u8; 32] = rand::random();
            keep(folder, OFFLINE_FILE, &STANDARD.encode(seed))?;
            seed
        }
    };
    Ok(OfflineKeys::new([known]))
}

fn seed(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// Writes a secret that only its owner can read.
fn keep(folder: &Path, file: &str, secret: &str) -> Result<(), Problem> {
    let path = folder.join(file);
    let failed = |error| Problem::new(format!("can't keep a key in {}: {error}", path.display()));
    // Under its own name only when it is whole: half a key would be no key for ever.
    let unfinished = folder.join(format!("{file}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(&unfinished).map_err(failed)?;
    writeln!(out, "{secret}").map_err(failed)?;
    out.sync_all().map_err(failed)?;
    fs::rename(&unfinished, &path).map_err(failed)
}

fn find(folder: &Path, file: &str) -> Result<Option<String>, Problem> {
    let path = folder.join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::new(format!(
            "can't read {}: {error}",
            path.display()
        ))),
    }
}

/// The key of a configuration; an empty one is none. The text itself is never shown.
pub fn configured(text: Option<&str>) -> Result<Option<Signer>, Problem> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(signer) => Ok(Some(signer)),
            Err(error) => Err(Problem::new(format!("LINLI_LEDGER_KEY: {error}"))),
        },
    }
}

/// A verifier key from the command line.
pub fn verifier(text: &str) -> Result<Verifier, String> {
    text.trim()
        .parse()
        .map_err(|error: ledger::proof::NoteError| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_keeps_its_key_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find_in_folder(folder.path()).unwrap().is_none());
        let first = in_folder(folder.path()).unwrap();
        let again = in_folder(folder.path()).unwrap();
        assert_eq!(first.verifier(), again.verifier());
        let mode = fs::metadata(folder.path().join(LEDGER_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_keeps_what_persons_are_sealed_under() {
        let folder = tempfile::tempdir().unwrap();
        let [first, again] = [(); 2].map(|()| persons_in_folder(folder.path()).unwrap());
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
        fs::write(folder.path().join(PERSON_FILE), "secret").unwrap();
        let problem = persons_in_folder(folder.path()).unwrap_err().to_string();
        assert!(problem.contains("person.keys: entry 1"), "{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }

    #[test]
    fn a_wrong_key_is_told_without_showing_it() {
        let problem = configured(Some("PRIVATE+KEY+secret"))
            .unwrap_err()
            .to_string();
        assert!(
            problem.starts_with("LINLI_LEDGER_KEY: not a signer key"),
            "{problem}"
        );
        assert!(!problem.contains("secret"));
        assert!(configured(Some("")).unwrap().is_none());
    }
}
