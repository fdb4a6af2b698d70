//! The directions of ARCHITECTURE.md, read from the manifests and the sources: who may know whom, and where what is done.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const SERVICES: [&str; 4] = ["ledger", "activity", "redemption", "wish"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A source file.
struct Source {
    /// From the root of the workspace.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code: without comments and what only tests see.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
            .filter(|(_, line)| !line.trim().is_empty())
    }

    fn is_test(&self) -> bool {
        let beside = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        beside && !self.path.starts_with("tests/")
    }
}

/// Every file with an extension under a folder.
fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(Source {
                    text: fs::read_to_string(&path).unwrap(),
                    path: path.strip_prefix(root()).unwrap().display().to_string(),
                });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has .{extension} files");
    found
}

/// The code of a part of every service: `domain`, `store`, `rpc`.
fn parts(part: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for service in SERVICES {
        let (folder, file) = (format!("/src/{part}/"), format!("/src/{part}.rs"));
        let of_service = sources(&format!("services/{service}/src"), "rs").into_iter();
        let before = found.len();
        found.extend(of_service.filter(|source| {
            let inside = source.path.contains(&folder) || source.path.ends_with(&file);
            inside && !source.is_test()
        }));
        assert!(found.len() > before, "{service} has a {part}");
    }
    found
}

/// Where any of the words is in the code of these files.
fn places(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.code() {
            for word in words.iter().filter(|word| has(line, word)) {
                found.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    found
}

/// Whether a line has a word that is not only a part of another.
fn has(line: &str, word: &str) -> bool {
    let in_word = |letter: char| letter.is_alphanumeric();
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let begins = !(word.starts_with(in_word) && before.ends_with(in_word));
        let ends = !(word.ends_with(in_word) && after.starts_with(in_word));
        begins && ends
    })
}

/// What a crate depends on, tests included.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn services_meet_only_through_the_contracts() {
    for service in SERVICES {
        let depends = dependencies(&format!("services/{service}/Cargo.toml"));
        assert!(depends.contains(&"proto".to_owned()) && depends.contains(&"runtime".to_owned()));
        for other in SERVICES.into_iter().chain(["linli", "journeys"]) {
            assert!(
                !depends.contains(&other.to_owned()),
                "{service} depends on {other}"
            );
        }
    }
    for service in SERVICES {
        let journeys = dependencies("tests/Cargo.toml");
        assert!(
            !journeys.contains(&service.to_owned()),
            "journeys go over gRPC"
        );
    }
}

#[test]
fn the_runtime_knows_no_service_and_no_word_of_the_domain() {
    let depends = dependencies("services/runtime/Cargo.toml");
    for unknown in SERVICES.into_iter().chain(["proto", "linli", "journeys"]) {
        assert!(
            !depends.contains(&unknown.to_owned()),
            "runtime depends on {unknown}"
        );
    }
    let mut runtime = sources("services/runtime/src", "rs");
    runtime
        .iter_mut()
        .for_each(|source| source.text.make_ascii_lowercase());
    let words = [
        "member",
        "merchant",
        "redemption",
        "points",
        "volunteer",
        "programme",
        "voucher",
        "grant_",
    ];
    // It names the crates whose logs are shown, and no more of them.
    let logs = |place: &String| place.contains("telemetry.rs") && place.ends_with("redemption");
    // Roles are what tokens name, and some of them own things.
    let roles = |place: &String| place.starts_with("services/runtime/src/access/");
    let allowed = |place: &String| logs(place) || roles(place);
    let found: Vec<String> = places(&runtime, &words)
        .into_iter()
        .filter(|place| !allowed(place))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn statements_are_in_the_stores_alone() {
    let outside: Vec<Source> = SERVICES
        .iter()
        .flat_map(|service| sources(&format!("services/{service}/src"), "rs"))
        .chain(sources("services/linli/src", "rs"))
        .filter(|source| !source.path.contains("/src/store") && !source.is_test())
        .collect();
    // What a benchmark measures beside the services is no store of theirs.
    let outside: Vec<Source> = outside
        .into_iter()
        .filter(|source| !source.path.contains("/src/bench/"))
        .collect();
    let found = places(
        &outside,
        &["query!", "query_as!", "query_scalar!", "sqlx::query"],
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn rules_are_pure_and_synchronous() {
    let words = [
        "async fn",
        ".await",
        "sqlx::query",
        "PgPool",
        "PgConnection",
        "tonic",
        "Utc::now",
        "proto::",
    ];
    let found = places(&parts("domain"), &words);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_contract_side_knows_no_database() {
    let found = places(&parts("rpc"), &["sqlx", "PgPool", "PgConnection"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    let everything: Vec<Source> = sources("services", "rs")
        .into_iter()
        .chain(sources("proto/src", "rs"))
        .collect();
    let words = [
        "todo!",
        "unimplemented!",
        "#[ignore",
        "Utc::now()",
        "Uuid::new_v4",
    ];
    let found: Vec<String> = places(&everything, &words)
        .into_iter()
        // The one place where the time comes from.
        .filter(|place| !place.starts_with("services/runtime/src/clock.rs"))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_stay_small_enough_to_read() {
    for source in sources("services", "rs")
        .iter()
        .chain(&sources("tests", "rs"))
    {
        // A file's own unit tests at its end do not count.
        let own = source
            .text
            .split("\nmod tests {")
            .next()
            .unwrap_or_default();
        let lines = own.lines().count();
        assert!(
            lines <= 500 || source.is_test(),
            "{}: {lines} lines",
            source.path
        );
        assert!(
            source.text.starts_with("//!") || source.is_test(),
            "{} says what it is",
            source.path
        );
    }
}

/// The `create table` statements of the migrations.
fn tables() -> Vec<String> {
    let migrations = sources("migrations", "sql");
    let statements = migrations
        .iter()
        .flat_map(|source| statements(&source.text));
    statements
        .filter(|statement| statement.trim_start().starts_with("create table"))
        .collect()
}

fn statements(sql: &str) -> Vec<String> {
    without_comments(sql)
        .split(';')
        .map(str::to_owned)
        .collect()
}

fn without_comments(sql: &str) -> String {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_starts_with_the_community() {
    let tables = tables();
    assert!(tables.len() > 20, "{} tables", tables.len());
    for table in tables {
        let name = table.trim().lines().next().unwrap().to_owned();
        assert!(table.contains("primary key (community_id"), "{name}");
        for key in ["primary key", "unique", "foreign key"] {
            for (at, _) in table.match_indices(&format!(" {key} ")) {
                let columns = table[at..].split('(').nth(1).unwrap();
                assert!(
                    columns.starts_with("community_id"),
                    "{name}: {key} ({columns}"
                );
            }
        }
    }
    for source in sources("migrations", "sql") {
        for statement in statements(&source.text) {
            if statement.contains("create unique index") {
                assert!(statement.contains("(community_id,"), "{statement}");
            }
        }
    }
}

#[test]
fn every_constraint_has_a_name_and_no_rule_rests_on_a_trigger() {
    for source in sources("migrations", "sql") {
        let sql = without_comments(&source.text).to_lowercase();
        for word in [
            "create trigger",
            "create or replace trigger",
            "on delete cascade",
        ] {
            assert!(!sql.contains(word), "{}: {word}", source.path);
        }
    }
    for table in tables() {
        for line in table.lines().map(str::trim) {
            let bare = [
                "primary key",
                "unique (",
                "foreign key",
                "check (",
                "exclude ",
            ]
            .iter()
            .any(|word| line.starts_with(word));
            assert!(!bare, "a constraint without a name: {line}");
        }
    }
}

#[test]
fn every_statement_says_which_function_asks() {
    for source in parts("store") {
        for (at, _) in source.text.match_indices("r#\"") {
            let statement = source.text[at..].lines().nth(1).unwrap_or_default().trim();
            let service = source.path.split('/').nth(1).unwrap();
            let start = format!("-- {service}.");
            assert!(
                statement.starts_with(&start),
                "{}: {statement}",
                source.path
            );
        }
    }
}
