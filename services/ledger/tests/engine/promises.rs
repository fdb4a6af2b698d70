//! The crate's list of promises names tests that are there.

use std::{fs, path::Path};

/// The text of every source of the crate.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap();
    let text = |path: &Path| match path.is_dir() {
        true => sources(path),
        false => fs::read_to_string(path).unwrap(),
    };
    entries.map(|entry| text(&entry.unwrap().path())).collect()
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
    let contract = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let contract: Vec<&str> = contract
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .collect();
    let contract = contract.join("\n");
    for number in 1..=16 {
        let promise = contract.split_once(&format!("**I{number}**")).unwrap().1;
        let promise = promise.split("- **I").next().unwrap();
        let promise = promise.split("\n\n").next().unwrap();
        let quoted = promise.split('`').skip(1).step_by(2);
        let tests: Vec<&str> = quoted
            .filter(|name| name.matches('_').count() > 2)
            .collect();
        assert!(!tests.is_empty(), "I{number} names no test");
        for test in tests {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
        }
    }
}
