//! What the contracts say in words.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// The comments of the contracts, by file and by where in it.
#[derive(Default)]
pub(super) struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    /// What the contract says about something; nothing when it does not.
    pub(super) fn of(&mut self, file: &FileDescriptor, path: &[i32]) -> String {
        let all = self
            .0
            .entry(file.name().to_owned())
            .or_insert_with(|| comments(file));
        all.get(path).cloned().unwrap_or_default()
    }
}

fn comments(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let source = file.file_descriptor_proto().source_code_info.iter();
    let locations = source.flat_map(|source| &source.location);
    let comment = |text: &str| {
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        lines.join("\n").trim().to_owned()
    };
    locations
        .filter_map(|it| Some((it.path.clone(), comment(it.leading_comments.as_deref()?))))
        .collect()
}
