//! The till's handbook names every reason that the services give, each with its code and what the clerk is shown.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

use std::{collections::BTreeSet, fs, path::Path};

/// Where redemption's reasons are.
const REDEMPTION: [&str; 2] = [
    "services/redemption/src/rpc/status.rs",
    "services/redemption/src/rpc/status/settlement.rs",
];
/// Where those are that no service's rule gives.
const RUNTIME: [&str; 3] = [
    "services/runtime/src/access/refusal.rs",
    "services/runtime/src/limiter.rs",
    "services/runtime/src/status.rs",
];
/// The code of each of the latter.
const RUNTIME_CODES: [(&str, &str); 21] = [
    ("TOKEN_MISSING", "UNAUTHENTICATED"),
    ("TOKEN_INVALID", "UNAUTHENTICATED"),
    ("TOKEN_EXPIRED", "UNAUTHENTICATED"),
    ("TOKEN_NOT_YET_VALID", "UNAUTHENTICATED"),
    ("TERMINAL_REVOKED", "UNAUTHENTICATED"),
    ("KEY_RETIRED", "UNAUTHENTICATED"),
    ("CERTIFICATE_REQUIRED", "UNAUTHENTICATED"),
    ("CERTIFICATE_MISMATCH", "UNAUTHENTICATED"),
    ("ISSUER_KEYS_UNAVAILABLE", "UNAVAILABLE"),
    ("ROLE_NOT_ALLOWED", "PERMISSION_DENIED"),
    ("NOT_YOUR_COMMUNITY", "PERMISSION_DENIED"),
    ("NOT_YOURS", "PERMISSION_DENIED"),
    ("RATE_LIMITED", "RESOURCE_EXHAUSTED"),
    ("INVALID_FIELD", "INVALID_ARGUMENT"),
    ("MALFORMED_MESSAGE", "INVALID_ARGUMENT"),
    ("MESSAGE_TOO_LARGE", "OUT_OF_RANGE"),
    ("DEPENDENCY_UNAVAILABLE", "UNAVAILABLE"),
    ("CONCURRENT_UPDATE", "ABORTED"),
    ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    ("SERVER_STOPPING", "UNAVAILABLE"),
    ("STREAM_OVER", "UNAVAILABLE"),
];
/// The one whose reason is its code.
const INTERNAL: (&str, &str) = ("INTERNAL", "INTERNAL");

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// A source file without its tests.
fn source(path: &str) -> String {
    let text = read(path);
    text.split("#[cfg(test)]").next().unwrap().to_owned()
}

/// What stands between quotes, in order.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}

fn is_reason(text: &str) -> bool {
    text.len() > 5
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// As `FailedPrecondition` is written on the wire.
fn upper_snake(code: &str) -> String {
    let mut name = String::new();
    for letter in code.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Every reason with its code, as the sources give them.
fn given() -> BTreeSet<(String, String)> {
    let redemption = REDEMPTION.map(source).concat();
    let reasons = redemption.split("(\"").filter_map(|rest| {
        let (reason, rest) = rest.split_once("\", Code::")?;
        let (code, _) = rest.split_once(')')?;
        is_reason(reason).then(|| (reason.to_owned(), upper_snake(code)))
    });
    let runtime = RUNTIME_CODES.iter().chain([&INTERNAL]);
    let runtime = runtime.map(|(reason, code)| ((*reason).to_owned(), (*code).to_owned()));
    reasons.chain(runtime).collect()
}

/// A text without what is filled in.
fn pattern(text: &str) -> String {
    let mut parts = text.split('{');
    let mut pattern = parts.next().unwrap().to_owned();
    for part in parts {
        pattern.push_str("{}");
        pattern.push_str(part.split_once('}').unwrap().1);
    }
    pattern
}

/// The rows of the handbook's tables of reasons: their cells.
fn rows(handbook: &str) -> Vec<Vec<&str>> {
    let rows = handbook.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        row.trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect()
    })
    .filter(|cells: &Vec<&str>| is_reason(cells[0].trim_matches('`')))
    .collect()
}

#[test]
fn the_handbook_has_every_reason_with_its_code() {
    let handbook = read("docs/till.md");
    let told: BTreeSet<(String, String)> = rows(&handbook)
        .iter()
        .map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].to_owned()))
        .collect();
    let given = given();
    let missing: Vec<_> = given.difference(&told).collect();
    assert!(missing.is_empty(), "docs/till.md lacks {missing:?}");
    let invented: Vec<_> = told.difference(&given).collect();
    assert!(invented.is_empty(), "nobody gives {invented:?}");
}

#[test]
fn every_reason_outside_redemption_has_its_code_here() {
    let known: BTreeSet<&str> = RUNTIME_CODES
        .iter()
        .chain([&INTERNAL])
        .map(|row| row.0)
        .collect();
    for path in RUNTIME {
        for reason in literals(&source(path)).filter(|text| is_reason(text)) {
            assert!(known.contains(reason), "{reason} of {path}");
        }
    }
}

#[test]
fn what_the_clerk_is_shown_is_what_the_services_say() {
    let handbook = read("docs/till.md");
    let sources: Vec<String> = RUNTIME.into_iter().chain(REDEMPTION).map(source).collect();
    let said: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| literals(source))
        .filter(|text| !text.is_ascii())
        .map(pattern)
        .collect();
    let mut texts = 0;
    for cells in rows(&handbook) {
        for text in cells.get(3).into_iter().flat_map(|cell| cell.split("<br>")) {
            assert!(said.contains(&pattern(text)), "{}: {text}", cells[0]);
            texts += 1;
        }
    }
    assert!(texts > 40, "only {texts} texts were found");
}
