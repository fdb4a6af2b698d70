//! A community's scheme for one period as its staff keep it: settings and spreadsheets, read strictly, replayed through
//! the public contracts, and the figures that come out. `tests/programmes/README.md` describes the folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use runtime::Problem;
use serde_json::Value;

mod books;
mod event;
mod figures;
mod numbering;
mod record;
mod replay;
mod report;
mod settings;
mod setup;
mod table;
mod wishes;

pub use event::{Event, events};
pub use figures::{Comparison, Figures, compare};
pub use numbering::Numbering;
pub use record::Records;
pub use replay::{first_instant, replay};
pub use settings::Settings;

/// Everything in a programme's folder.
#[derive(Debug, Clone)]
pub struct Programme {
    /// Where it was read from.
    pub folder: PathBuf,
    /// `programme.toml`.
    pub settings: Settings,
    /// The tables.
    pub records: Records,
    /// `published.json`: what the community reported in print; empty when there is none.
    pub published: BTreeMap<String, Value>,
    /// `expected.json`: what must come out; nothing when there is none.
    pub expected: Option<Value>,
}

impl Programme {
    /// Reads a folder, and refuses one that can't be replayed to the last row.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        if !folder.is_dir() {
            return Err(Problem::new(format!("{} is no folder", folder.display())));
        }
        let settings = Settings::read(folder)?;
        check_tables(folder)?;
        let expected = json(&folder.join("expected.json"))?;
        if let Some(expected) = &expected {
            figures::check_expected(expected).map_err(|why| {
                Problem::new(format!("{}/expected.json: {why}", folder.display()))
            })?;
        }
        let published = match json(&folder.join("published.json"))? {
            Some(Value::Object(facts)) => facts.into_iter().collect(),
            None => BTreeMap::new(),
            Some(_) => {
                return Err(Problem::new(format!(
                    "{}/published.json is not a JSON object",
                    folder.display()
                )));
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            records: Records::read(folder, &settings.asset)?,
            settings,
            published,
            expected,
        })
    }
}

/// A table with a misspelt name would be as if it were empty, so none may be there that is not known.
fn check_tables(folder: &Path) -> Result<(), Problem> {
    let wrong = |error| Problem::new(format!("can't read {}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".csv") && !record::TABLES.contains(&name) {
            return Err(Problem::new(format!(
                "{} is no table of a programme: rename or remove it",
                folder.join(name).display()
            )));
        }
    }
    Ok(())
}

fn json(path: &Path) -> Result<Option<Value>, Problem> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Problem::new(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::new(format!(
            "can't read {}: {error}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"
        [programme]
        id = "p"
        name = "Programme"
        community = "Community"
        time_zone = "Asia/Shanghai"
        starts = "2024-01-01T00:00:00+08:00"
        as_of = "2024-12-31T00:00:00+08:00"
        [asset]
        code = "points"
        exponent = 0
    "#;

    /// Reads a folder with these settings and one more file.
    fn with(name: &str, text: &str) -> Result<Programme, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(settings::FILE), SETTINGS).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let place = format!("{}/", folder.path().display());
        Programme::read(folder.path()).map_err(|problem| problem.to_string().replace(&place, ""))
    }

    #[test]
    fn settings_alone_are_a_programme() {
        let programme = with("notes.txt", "").unwrap();
        assert!(programme.records.members.is_empty());
        assert_eq!(programme.expected, None);
        assert!(programme.published.is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_replayed_is_refused_in_one_line() {
        for (name, text, expected) in [
            (
                "pledges.csv",
                "pledge_no\nP1\n",
                "pledges.csv line 1: the columns must be pledge_no,wish_no,pledger,pledger_kind,quantity,at,fulfilled_at, not \"pledge_no\"",
            ),
            (
                "service.csv",
                "",
                "service.csv is no table of a programme: rename or remove it",
            ),
            (
                "expected.json",
                r#"{ "grant": 1 }"#,
                "expected.json: grant is no figure of a programme",
            ),
            (
                "published.json",
                "[]",
                "published.json is not a JSON object",
            ),
        ] {
            assert_eq!(with(name, text).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_folder_without_settings_is_no_programme() {
        let folder = tempfile::tempdir().unwrap();
        let problem = Programme::read(folder.path()).unwrap_err().to_string();
        assert!(problem.starts_with("can't read "), "{problem}");
        assert!(Programme::read(Path::new("/nowhere")).is_err());
    }
}
