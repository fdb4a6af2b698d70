//! The key that the ledger signs its checkpoints with.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use ledger::proof::{Signer, Verifier};
use runtime::Problem;

use crate::terminal;

const NAME: &str = "linli";
const FILE: &str = "ledger.key";

/// A key for what does not outlive the process.
pub fn temporary() -> Signer {
    Signer::from_seed(NAME, rand::random()).expect("the name is a good one")
}

/// Prints a new signer key and its verifier key.
pub fn print_new() -> Result<(), Problem> {
    let signer = temporary();
    terminal::print(signer.secret_text())?;
    terminal::print(signer.verifier().to_string())
}

/// The key of a data folder; made when there is none, and readable by its owner alone.
pub fn in_folder(folder: &Path) -> Result<Signer, Problem> {
    let path = folder.join(FILE);
    if let Some(signer) = find_in_folder(folder)? {
        return Ok(signer);
    }
    let failed = |error| {
        Problem::new(format!(
            "can't keep the ledger's key in {}: {error}",
            path.display()
        ))
    };
    let signer = temporary();
    // Under its own name only when it is whole: half a key would be no key for ever.
    let unfinished = folder.join(format!("{FILE}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished).map_err(failed)?;
    writeln!(file, "{}", signer.secret_text()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, &path).map_err(failed)?;
    Ok(signer)
}

/// The key of a data folder, if it has one.
pub fn find_in_folder(folder: &Path) -> Result<Option<Signer>, Problem> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(signer) => Ok(Some(signer)),
            Err(error) => Err(Problem::new(format!("{}: {error}", path.display()))),
        },
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
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
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
