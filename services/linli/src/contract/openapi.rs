//! The contracts as one OpenAPI 3.1 document: what `docs/json.md` says of all methods, told of each.

use std::collections::{BTreeMap, VecDeque};

use prost_reflect::{
    EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, OneofDescriptor,
    ServiceDescriptor,
};
use runtime::{Callers, Problem};
use serde_json::{Map, Value, json};

use super::{callers, comments::Comments, pool};
use crate::role::Role;

const STATUS: &str = "google.rpc.Status";

/// The whole document.
pub(super) fn document() -> Result<Value, Problem> {
    let mut document = Document::default();
    for role in Role::ALL {
        for service in pool(role)?.services() {
            document.add_service(role, &service)?;
        }
    }
    document.add_schemas();
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Linli 邻里",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Every method over HTTP with JSON; docs/json.md tells what holds for all of them. Generated from the contracts in proto/.",
        },
        "tags": document.tags,
        "paths": document.paths,
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "What has to be in it: proto/linli/access/v1/access.proto.",
            }},
            "schemas": document.schemas,
            "parameters": {"timeout": {
                "name": "grpc-timeout",
                "in": "header",
                "description": "How long the caller waits: at most eight digits and a unit, S for seconds or m for milliseconds.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$"},
                "example": "3S",
            }},
            "responses": {"error": {
                "description": "Why there is no answer; programs go by the reason in its google.rpc.ErrorInfo.",
                "content": {"application/json": {"schema": reference(STATUS)}},
            }},
        },
    }))
}

#[derive(Default)]
struct Document {
    tags: Vec<Value>,
    paths: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
    comments: Comments,
    /// Messages that were referred to.
    wanted: VecDeque<MessageDescriptor>,
}

impl Document {
    fn add_service(&mut self, role: Role, service: &ServiceDescriptor) -> Result<(), Problem> {
        let tag = service.full_name();
        let description = self.comments.of(&service.parent_file(), service.path());
        self.tags
            .push(json!({"name": tag, "description": description}));
        for method in service.methods() {
            let operation = self.operation(tag, &method)?;
            let path = json!({
                "servers": [{
                    "url": format!("http://127.0.0.1:{}", role.default_port()),
                    "description": "where `linli up` serves it",
                }],
                "post": operation,
            });
            self.paths.insert(format!("/{tag}/{}", method.name()), path);
        }
        Ok(())
    }

    fn operation(&mut self, tag: &str, method: &MethodDescriptor) -> Result<Value, Problem> {
        let service = method.parent_service();
        let description = self.comments.of(&service.parent_file(), method.path());
        let summary = description
            .split_once(". ")
            .map_or(&description[..], |(first, _)| first);
        let (input, output) = (
            self.message(&method.input()),
            self.message(&method.output()),
        );
        let answer = match method.is_server_streaming() {
            false => json!({"application/json": {"schema": output}}),
            true => json!({"application/x-ndjson": {"schema": {
                "description": "One line; a stream that fails ends with one of `error`.",
                "type": "object",
                "properties": {"result": output, "error": reference(STATUS)},
            }}}),
        };
        let asked = match method.is_client_streaming() {
            false => json!({"application/json": {"schema": input}}),
            true => {
                let mut line = input;
                line["description"] = "One line.".into();
                let line = json!({"schema": line});
                json!({"application/x-ndjson": line, "application/json": line})
            }
        };
        let what = match method.is_server_streaming() {
            false => "The answer.",
            true => "The answers, a line each.",
        };
        let needs_a_body = method
            .input()
            .fields()
            .any(|field| self.is_required(&field));
        let who = Callers::of(method)?;
        let mut operation = json!({
            "tags": [tag],
            "operationId": format!("{}_{}", service.name(), method.name()),
            "summary": summary.replace('\n', " ").trim_end_matches('.'),
            "description": format!("{description}\n\n{}", callers(&who)),
            "parameters": [{"$ref": "#/components/parameters/timeout"}],
            "requestBody": {"required": needs_a_body, "content": asked},
            "responses": {
                "200": {"description": what, "content": answer},
                "default": {"$ref": "#/components/responses/error"},
            },
        });
        if who.anyone {
            operation["security"] = json!([]);
        }
        Ok(operation)
    }

    /// Every message that was referred to, with those that they refer to.
    fn add_schemas(&mut self) {
        self.schemas.insert(STATUS.to_owned(), json!({
            "type": "object",
            "description": "An error.",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "integer", "format": "int32", "description": "A google.rpc.Code."},
                "message": {"type": "string", "description": "For a person, in English."},
                "details": {"type": "array", "items": {
                    "type": "object",
                    "description": "A message of google.rpc, such as ErrorInfo, BadRequest, RetryInfo or LocalizedMessage.",
                    "required": ["@type"],
                    "properties": {"@type": {"type": "string"}},
                }},
            },
        }));
        while let Some(message) = self.wanted.pop_front() {
            if !self.schemas.contains_key(message.full_name()) {
                let schema = self.object(&message);
                self.schemas.insert(message.full_name().to_owned(), schema);
            }
        }
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let file = message.parent_file();
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let mut description = self.comments.of(&file, field.path());
            if self.is_required(&field) {
                required.push(field.json_name().to_owned());
            }
            if let Some((choice, names)) = choice(&field) {
                let told = self.comments.of(&file, choice.path());
                description = format!("{description}\nAt most one of {names} is set: {told}");
            }
            let mut schema = self.field(&field);
            schema["description"] = description.into();
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({
            "type": "object",
            "description": self.comments.of(&file, message.path()),
            "properties": properties,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    /// Whether the contract says so, and not only for some cases.
    fn is_required(&mut self, field: &FieldDescriptor) -> bool {
        let file = field.parent_message().parent_file();
        let description = self.comments.of(&file, field.path());
        ["Required.", "Required;"]
            .iter()
            .any(|word| description.contains(word))
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.value(entry.map_entry_value_field().kind());
                json!({"type": "object", "additionalProperties": values})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.value(kind)}),
            kind => self.value(kind),
        }
    }

    fn value(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::Message(message) => self.message(&message),
            Kind::Enum(known) => self.name_of(&known),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
        }
    }

    fn message(&mut self, message: &MessageDescriptor) -> Value {
        match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Duration" => {
                json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"})
            }
            "google.protobuf.FieldMask" => json!({"type": "string"}),
            name => {
                self.wanted.push_back(message.clone());
                reference(name)
            }
        }
    }

    fn name_of(&mut self, known: &EnumDescriptor) -> Value {
        let file = known.parent_file();
        let names: Vec<String> = known
            .values()
            .map(|value| value.name().to_owned())
            .collect();
        let told = known.values().map(|value| {
            let comment = self.comments.of(&file, value.path()).replace('\n', " ");
            format!("- `{}`: {comment}", value.name())
        });
        let told: Vec<String> = told.collect();
        let description = format!(
            "{}\n\n{}",
            self.comments.of(&file, known.path()),
            told.join("\n")
        );
        let schema = json!({"type": "string", "enum": names, "description": description});
        self.schemas.insert(known.full_name().to_owned(), schema);
        reference(known.full_name())
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The choice that a field belongs to, with the names of its fields; an `optional` field is a choice of one for the compiler only.
fn choice(field: &FieldDescriptor) -> Option<(OneofDescriptor, String)> {
    let choice = field
        .containing_oneof()
        .filter(|choice| choice.fields().len() > 1)?;
    let names = choice
        .fields()
        .map(|field| format!("`{}`", field.json_name()));
    let names: Vec<String> = names.collect();
    Some((choice, names.join(", ")))
}
