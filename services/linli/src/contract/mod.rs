//! `contract`: the contracts of all services in forms that other tools read.

mod comments;
mod openapi;
mod reference;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use prost_reflect::{DescriptorPool, prost::Message, prost_types::FileDescriptorSet};
use runtime::{Callers, Problem};

use crate::{cli::Contract, role::Role, terminal};

/// Prints one of the forms.
pub fn print(form: &Contract) -> Result<(), Problem> {
    match form {
        Contract::Openapi => terminal::print(openapi()?),
        Contract::Reference => terminal::write(reference::text()?.as_bytes()),
        Contract::Descriptor(args) => match &args.output {
            None => terminal::write(&descriptor_set()?),
            Some(folder) => terminal::print(keep(folder)?.display().to_string()),
        },
    }
}

/// Writes the descriptor set into a folder; its name says of which version it is.
fn keep(folder: &Path) -> Result<PathBuf, Problem> {
    let path = folder.join(concat!("linli-", env!("CARGO_PKG_VERSION"), ".binpb"));
    fs::write(&path, descriptor_set()?)
        .map_err(|error| Problem::new(format!("can't write {}: {error}", path.display())))?;
    Ok(path)
}

/// The OpenAPI document, as it is kept in `docs/openapi.json`.
pub fn openapi() -> Result<String, Problem> {
    let document = openapi::document()?;
    serde_json::to_string_pretty(&document)
        .map_err(|error| Problem::new(format!("the document can't be written: {error}")))
}

/// The descriptors of one service.
pub fn pool(role: Role) -> Result<DescriptorPool, Problem> {
    DescriptorPool::decode(role.descriptor())
        .map_err(|error| Problem::new(format!("the contract of {}: {error}", role.name())))
}

/// All contracts and what they import, comments included, as one `google.protobuf.FileDescriptorSet`.
fn descriptor_set() -> Result<Vec<u8>, Problem> {
    let mut all = FileDescriptorSet::default();
    let mut names = BTreeSet::new();
    for role in Role::ALL {
        // As they were compiled: each file after those that it imports.
        let set = FileDescriptorSet::decode(role.descriptor())
            .map_err(|error| Problem::new(format!("the contract of {}: {error}", role.name())))?;
        let new = set
            .file
            .into_iter()
            .filter(|file| names.insert(file.name().to_owned()));
        all.file.extend(new);
    }
    Ok(all.encode_to_vec())
}

/// Who may call a method, in a sentence.
fn callers(who: &Callers) -> String {
    if who.anyone {
        return "Callers: anyone, without a token.".to_owned();
    }
    match (who.community.is_empty(), who.own.is_empty()) {
        (false, false) => format!("Callers: {}; about their own: {}.", who.community, who.own),
        (false, true) => format!("Callers: {}.", who.community),
        (true, _) => format!("Callers, about their own: {}.", who.own),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_in_the_repository_is_that_of_the_contracts() {
        let kept = include_str!("../../../../docs/openapi.json");
        assert!(
            kept.trim_end() == openapi().unwrap(),
            "a contract has changed: run `cargo run --release -- contract openapi > docs/openapi.json`"
        );
    }

    #[test]
    fn the_reference_in_the_repository_is_that_of_the_contracts() {
        let text = reference::text().unwrap();
        let kept = include_str!("../../../../docs/reference.md");
        assert!(
            kept == text,
            "a contract has changed: run `cargo run --release -- contract reference > docs/reference.md`"
        );
        // Every link leads to a heading.
        let headings: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("### linli."))
            .map(|name| format!("linli{}", name.replace('.', "").to_lowercase()))
            .collect();
        let links = text
            .split("](#")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        let missing: Vec<&str> = links
            .map(|(link, _)| link)
            .filter(|link| !headings.contains(*link))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_method_and_every_field_is_told() {
        let document = openapi::document().unwrap();
        let mut methods = 0;
        for role in Role::ALL {
            for service in pool(role).unwrap().services() {
                for method in service.methods() {
                    let path = format!("/{}/{}", service.full_name(), method.name());
                    let operation = &document["paths"][&path]["post"];
                    assert_ne!(operation["description"], "", "{path}");
                    methods += 1;
                }
            }
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), methods);
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert_ne!(schema["description"], "", "{name}");
            let fields = schema["properties"].as_object().into_iter().flatten();
            for (field, schema) in fields.filter(|_| name.starts_with("linli.")) {
                let told = schema["description"].as_str();
                assert!(told.is_some_and(|text| !text.is_empty()), "{name}.{field}");
            }
        }
    }

    #[test]
    fn whatever_is_referred_to_is_there() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = openapi::document().unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_descriptor_set_of_a_release_has_its_version_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep(folder.path()).unwrap();
        let document = openapi::document().unwrap();
        let version = document["info"]["version"].as_str().unwrap();
        assert_eq!(
            path.file_name().unwrap().to_str().unwrap(),
            format!("linli-{version}.binpb")
        );
        assert_eq!(fs::read(path).unwrap(), descriptor_set().unwrap());
        let problem = keep(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(
            problem.starts_with("can't write /nowhere/linli-"),
            "{problem}"
        );
    }

    #[test]
    fn the_descriptor_set_is_complete_and_has_each_file_once() {
        let bytes = descriptor_set().unwrap();
        let pool = DescriptorPool::decode(&bytes[..]).unwrap();
        for role in Role::ALL {
            for service in super::pool(role).unwrap().services() {
                assert!(pool.get_service_by_name(service.full_name()).is_some());
            }
        }
        let set = FileDescriptorSet::decode(&bytes[..]).unwrap();
        let names: BTreeSet<&str> = set.file.iter().map(|file| file.name()).collect();
        assert_eq!(names.len(), set.file.len());
    }
}
