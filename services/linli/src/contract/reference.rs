//! The contracts as pages to read: every method, message and enum with what the contract says of it.

use std::{collections::HashSet, fmt::Write};

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use runtime::{Callers, Problem};

use super::{callers, comments::Comments, pool};
use crate::role::Role;

/// Where the comment at the head of a file is: at its `syntax`.
const SYNTAX: &[i32] = &[12];

/// The whole text, in Markdown.
pub(super) fn text() -> Result<String, Problem> {
    let mut pages = Pages::default();
    pages.line("# Reference");
    pages.line("");
    pages.line("Generated from the contracts in `proto/`, whose comments it shows. How they look over HTTP is in [json.md](json.md).");
    pages.table_of_callers()?;
    for role in Role::ALL {
        pages.add(role)?;
    }
    Ok(pages.text)
}

#[derive(Default)]
struct Pages {
    text: String,
    comments: Comments,
    /// Files that are told already: what one imports, others import too.
    told: HashSet<String>,
}

impl Pages {
    fn add(&mut self, role: Role) -> Result<(), Problem> {
        let pool = pool(role)?;
        // What is imported belongs to others.
        let ours = pool
            .files()
            .filter(|file| file.package_name().starts_with("linli."));
        for file in ours {
            if !self.told.insert(file.name().to_owned()) {
                continue;
            }
            let told = self.comments.of(&file, SYNTAX);
            self.paragraph(&format!("## {}", file.name()), &told);
            for service in file.services() {
                let told = self.comments.of(&file, service.path());
                self.paragraph(&format!("### {}", service.full_name()), &told);
                for method in service.methods() {
                    self.method(&method)?;
                }
            }
            for message in file.messages() {
                self.message(&message);
            }
            for known in file.enums() {
                self.choice(&known);
            }
        }
        Ok(())
    }

    /// Who may call what, all of it at one glance.
    fn table_of_callers(&mut self) -> Result<(), Problem> {
        let told = "Who may call each method about what is their own, and who about anything in their communities.";
        self.paragraph("## Who may call what", told);
        let mut rows = Vec::new();
        for role in Role::ALL {
            for service in pool(role)?.services() {
                for method in service.methods() {
                    let callers = Callers::of(&method)?;
                    let anyone = if callers.anyone { "anyone" } else { "" };
                    rows.push(format!(
                        "| {}.{} | {} | {}{anyone} |",
                        service.name(),
                        method.name(),
                        callers.own,
                        callers.community
                    ));
                }
            }
        }
        self.table("| method | own | community |", &rows);
        Ok(())
    }

    fn method(&mut self, method: &MethodDescriptor) -> Result<(), Problem> {
        let file = method.parent_service().parent_file();
        let told = self.comments.of(&file, method.path());
        let stream = |is_stream| if is_stream { "stream of " } else { "" };
        let (input, output) = (method.input(), method.output());
        let call = format!(
            "{}{} → {}{}",
            stream(method.is_client_streaming()),
            link(input.full_name()),
            stream(method.is_server_streaming()),
            link(output.full_name()),
        );
        self.paragraph(&format!("#### {}", method.name()), &call);
        self.line("");
        self.line(&told);
        self.line("");
        self.line(&callers(&Callers::of(method)?));
        Ok(())
    }

    fn message(&mut self, message: &MessageDescriptor) {
        let file = message.parent_file();
        let told = self.comments.of(&file, message.path());
        self.paragraph(&format!("### {}", message.full_name()), &told);
        let rows = message.fields().map(|field| {
            let told = self.comments.of(&file, field.path());
            format!(
                "| `{}` | {} | {} |",
                field.name(),
                kind(&field),
                cell(&told)
            )
        });
        let rows: Vec<String> = rows.collect();
        if !rows.is_empty() {
            self.table("| field | type | |", &rows);
        }
    }

    fn choice(&mut self, known: &EnumDescriptor) {
        let file = known.parent_file();
        let told = self.comments.of(&file, known.path());
        self.paragraph(&format!("### {}", known.full_name()), &told);
        let rows = known.values().map(|value| {
            let told = self.comments.of(&file, value.path());
            format!(
                "| `{}` | {} | {} |",
                value.name(),
                value.number(),
                cell(&told)
            )
        });
        let rows: Vec<String> = rows.collect();
        self.table("| value | number | |", &rows);
    }

    fn table(&mut self, head: &str, rows: &[String]) {
        for line in ["", head, "| --- | --- | --- |"] {
            self.line(line);
        }
        for row in rows {
            self.line(row);
        }
    }

    fn paragraph(&mut self, heading: &str, text: &str) {
        for line in ["", heading, "", text] {
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{line}");
    }
}

fn kind(field: &FieldDescriptor) -> String {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("map of {} to {}", name(&key.kind()), name(&value.kind()));
    }
    let name = name(&field.kind());
    match field.containing_oneof() {
        _ if field.cardinality() == Cardinality::Repeated => format!("list of {name}"),
        Some(choice) if choice.fields().len() > 1 => format!("{name}, one of `{}`", choice.name()),
        Some(_) => format!("optional {name}"),
        None => name,
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => link(message.full_name()),
        Kind::Enum(known) => link(known.full_name()),
        simple => format!("{simple:?}"),
    }
}

/// To its heading, when it has one.
fn link(name: &str) -> String {
    let short = name.rsplit('.').next().unwrap_or(name);
    if name.starts_with("linli.") {
        format!("[{short}](#{})", name.replace('.', "").to_lowercase())
    } else {
        name.to_owned()
    }
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
