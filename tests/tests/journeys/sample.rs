//! Requests made up from the contract: well-formed ones from what it says about each field, and from those malformed
//! ones with one thing wrong.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use uuid::Uuid;

/// Makes up requests of one community at one time.
pub struct Sampler {
    pub community: Uuid,
    pub now: DateTime<Utc>,
    /// What there is of each collection; of others the names are made up.
    pub there: HashMap<&'static str, String>,
}

/// A request with one thing wrong.
pub struct Wrong {
    /// Path of the field at fault.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
    /// Whether it has to be refused by its name; otherwise any clean answer will do.
    pub refused: bool,
    pub message: DynamicMessage,
}

/// What the contract says about a field.
pub fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_message().parent_file();
    let comments = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = comments.map(|info| info.location.as_slice());
    let mut locations = locations.unwrap_or_default().iter();
    locations
        .find(|location| location.path == field.path())
        .and_then(|location| location.leading_comments.clone())
        .unwrap_or_else(|| panic!("{} has a comment", field.full_name()))
}

pub fn is_required(field: &FieldDescriptor) -> bool {
    comment(field).contains("Required")
}

fn is_ours(field: &FieldDescriptor) -> bool {
    !comment(field).contains("Set by the server")
}

impl Sampler {
    /// A well-formed message.
    pub fn message(&self, descriptor: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields().filter(is_ours) {
            let first_of_one = field
                .containing_oneof()
                .is_none_or(|one| one.fields().next() == Some(field.clone()));
            if first_of_one {
                let value = self.value(&field);
                let value = if field.is_list() {
                    Value::List(vec![value])
                } else {
                    value
                };
                message.set_field(&field, value);
            }
        }
        // An update names what it is about inside (AIP-134).
        if descriptor.name().starts_with("Update")
            && let Some(field) = descriptor.fields().next()
            && let Value::Message(inner) = message.get_field_mut(&field)
        {
            let name = inner.descriptor().get_field_by_name("name").unwrap();
            inner.set_field(&name, Value::String(self.text(&name)));
        }
        message
    }

    fn value(&self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::String => Value::String(self.text(field)),
            Kind::Bool => Value::Bool(false),
            Kind::Double => Value::F64(1.5),
            Kind::Int32 => Value::I32(match field.name() {
                "birth_year" => 1960,
                _ => 1,
            }),
            Kind::Int64 => Value::I64(match field.name() {
                "min_balance" | "max_balance" => 0,
                _ => 1,
            }),
            Kind::Enum(kind) => Value::EnumNumber(match kind.name() {
                // Issuing accounts have no owner.
                "AccountKind" => 3,
                _ => 1,
            }),
            Kind::Message(inner) => Value::Message(match inner.full_name() {
                "google.protobuf.Timestamp" => self.instant(&inner, field.name()),
                "google.protobuf.Duration" => numbers(&inner, &[60, 0]),
                "google.protobuf.FieldMask" => mask(&inner, field),
                "google.type.Date" => numbers(&inner, &[2026, 3, 2]),
                _ => self.message(&inner),
            }),
            other => panic!("{}: no sample of {other:?}", field.full_name()),
        }
    }

    fn text(&self, field: &FieldDescriptor) -> String {
        let comment = comment(field);
        let own = |segment: &str| {
            let name = format!("{}{segment}", field.full_name());
            Uuid::new_v5(&self.community, name.as_bytes()).to_string()
        };
        match (field.name(), resource(&comment)) {
            (_, Some(pattern)) => self.name(pattern, &own),
            ("debit_account" | "credit_account", _) => {
                let id = self.there.get(field.name()).cloned();
                let id = id.unwrap_or_else(|| own(""));
                format!("communities/{}/accounts/{id}", self.community)
            }
            ("request_id", _) => own(""),
            ("page_token" | "etag" | "certificate_thumbprint", _) => String::new(),
            // Services have none.
            ("urgency", _) => String::new(),
            ("time_zone", _) => "Asia/Shanghai".to_owned(),
            ("code", _) if comment.contains("18 digits") => "770000000000000008".to_owned(),
            ("pin", _) => "123456".to_owned(),
            ("code", _) if comment.contains("8 characters") => "K7QF-2M9X".to_owned(),
            ("phone" | "proxy_phone", _) => "13800001234".to_owned(),
            ("factor", _) => "1.5".to_owned(),
            _ if comment.contains("UUID") => own(""),
            _ => "word".to_owned(),
        }
    }

    fn name(&self, pattern: &str, own: &impl Fn(&str) -> String) -> String {
        let mut collection = "";
        let segments = pattern.split('/').map(|segment| {
            if !segment.starts_with('{') {
                collection = segment;
                return segment.to_owned();
            }
            match collection {
                "communities" => self.community.to_string(),
                "entries" => "1".to_owned(),
                "statements" => "2026-03-02".to_owned(),
                other => self
                    .there
                    .get(other)
                    .cloned()
                    .unwrap_or_else(|| own(segment)),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn instant(&self, descriptor: &MessageDescriptor, name: &str) -> DynamicMessage {
        let at = match name {
            "start_time" => self.now - TimeDelta::hours(2),
            "end_time" | "cutoff_time" | "visit_time" => self.now - TimeDelta::hours(1),
            _ => self.now + TimeDelta::days(1),
        };
        numbers(descriptor, &[at.timestamp(), 0])
    }

    /// The same request under new ids, except for the field that is wrong with it.
    pub fn renewed(&self, wrong: &Wrong, id: impl Fn() -> String) -> DynamicMessage {
        let mut message = wrong.message.clone();
        let ids = message.descriptor();
        let ids = ids.fields().filter(|field| {
            let chosen = field.name().ends_with("_id") && is_ours(field);
            chosen && !field.is_list() && field.name() != wrong.path
        });
        for field in ids {
            message.set_field(&field, Value::String(id()));
        }
        message
    }

    /// The message with one field wrong, for every field and every way to be wrong.
    pub fn wrong(&self, message: &DynamicMessage) -> Vec<Wrong> {
        let mut all = Vec::new();
        for field in message.descriptor().fields() {
            // Replaces another field, which may then be missed.
            let instead = field.containing_oneof().is_some() && !message.has_field(&field);
            let set = |what, refused, value| {
                let mut message = message.clone();
                message.set_field(&field, value);
                Wrong {
                    path: field.name().to_owned(),
                    what,
                    refused: refused && is_ours(&field) && !instead,
                    message,
                }
            };
            if field.is_list() {
                let one = self.value(&field);
                if one.as_message().is_none() {
                    all.extend(
                        self.bad(&field)
                            .into_iter()
                            .map(|(what, refused, value)| Wrong {
                                path: format!("{}[0]", field.name()),
                                ..set(what, refused, Value::List(vec![value]))
                            }),
                    );
                    continue;
                }
                let needed = comment(&field).contains("1 to ");
                all.push(set("empty", needed, Value::List(vec![])));
                all.push(set("too many", true, Value::List(vec![one.clone(); 8_200])));
                let inner = self.wrong(one.as_message().unwrap());
                all.extend(inner.into_iter().map(|inner| Wrong {
                    path: format!("{}[0].{}", field.name(), inner.path),
                    ..set(
                        inner.what,
                        inner.refused,
                        Value::List(vec![Value::Message(inner.message)]),
                    )
                }));
                continue;
            }
            all.extend(
                self.bad(&field)
                    .into_iter()
                    .map(|(what, refused, value)| set(what, refused, value)),
            );
            let has_inner = is_ours(&field) && field.kind().as_message().is_some();
            if is_required(&field) && has_inner {
                let mut message = message.clone();
                message.clear_field(&field);
                all.push(Wrong {
                    path: field.name().to_owned(),
                    what: "missing",
                    refused: true,
                    message,
                });
            }
            let well_known = field
                .kind()
                .as_message()
                .is_some_and(|inner| inner.full_name().starts_with("google."));
            if has_inner && !well_known {
                let inner = self.value(&field);
                let inner = self.wrong(inner.as_message().unwrap());
                all.extend(inner.into_iter().map(|inner| Wrong {
                    path: format!("{}.{}", field.name(), inner.path),
                    ..set(inner.what, inner.refused, Value::Message(inner.message))
                }));
            }
        }
        all
    }

    /// Values that a field can't have, each with what is wrong and whether it has to be refused.
    fn bad(&self, field: &FieldDescriptor) -> Vec<(&'static str, bool, Value)> {
        match field.kind() {
            Kind::String => self.bad_text(field),
            Kind::Int32 => {
                let capped = field.name() == "page_size";
                vec![
                    ("the least", true, Value::I32(i32::MIN)),
                    ("the most", !capped, Value::I32(i32::MAX)),
                    ("-1", false, Value::I32(-1)),
                ]
            }
            Kind::Int64 => {
                let any = ["min_balance", "max_balance"].contains(&field.name());
                let unbounded = [
                    "after_sequence",
                    "budget",
                    "sequence",
                    "tree_size",
                    "old_size",
                    "new_size",
                ];
                let most = any || unbounded.contains(&field.name());
                vec![
                    ("the least", !any, Value::I64(i64::MIN)),
                    ("the most", !most, Value::I64(i64::MAX)),
                    ("-1", false, Value::I64(-1)),
                    ("0", false, Value::I64(0)),
                ]
            }
            Kind::Double => [f64::NAN, f64::INFINITY, -1e9, 180.000_000_1]
                .map(|number| ("out of range", true, Value::F64(number)))
                .to_vec(),
            Kind::Enum(_) => [999, -1, i32::MIN]
                .map(|number| ("unknown", true, Value::EnumNumber(number)))
                .to_vec(),
            Kind::Message(inner) => {
                let bad: &[&[i64]] = match inner.full_name() {
                    "google.protobuf.Timestamp" => &[
                        &[i64::MAX, 0],
                        &[i64::MIN, 0],
                        &[0, -1],
                        &[253_402_300_800, 0],
                    ],
                    // No grace is a grace.
                    "google.protobuf.Duration" if field.name() == "grace" => {
                        &[&[i64::MAX, 0], &[-1, 0], &[1, 2_000_000_000]]
                    }
                    "google.protobuf.Duration" => {
                        &[&[i64::MAX, 0], &[-1, 0], &[0, 0], &[1, 2_000_000_000]]
                    }
                    "google.type.Date" => &[
                        &[2026, 13, 1],
                        &[2026, 2, 30],
                        &[0, 1, 1],
                        &[2_147_483_647, 1, 1],
                    ],
                    _ => return vec![("empty", false, Value::Message(DynamicMessage::new(inner)))],
                };
                bad.iter()
                    .map(|bad| ("out of range", true, Value::Message(numbers(&inner, bad))))
                    .collect()
            }
            _ => vec![],
        }
    }

    fn bad_text(&self, field: &FieldDescriptor) -> Vec<(&'static str, bool, Value)> {
        let good = self.text(field);
        let mut bad = vec![
            ("a NUL", true, "\u{0}".to_owned()),
            ("far too long", true, "长".repeat(5_000)),
        ];
        if is_required(field) {
            bad.push(("empty", true, String::new()));
        }
        if good.contains(&self.community.to_string()) || Uuid::try_parse(&good).is_ok() {
            bad.push(("upper case", true, good.to_uppercase()));
            bad.push(("something else", true, "something-else".to_owned()));
            bad.push(("longer", true, format!("{good}/")));
        }
        if good.starts_with("communities/") {
            let wrong = good.replacen("communities/", "community/", 1);
            bad.push(("another collection", true, wrong));
        }
        bad.into_iter()
            .map(|(what, refused, text)| (what, refused, Value::String(text)))
            .collect()
    }
}

/// The resource name that a comment describes.
fn resource(comment: &str) -> Option<&str> {
    let start = comment.find("`communities/")? + 1;
    comment[start..].split('`').next()
}

/// A message whose first fields are these numbers.
fn numbers(descriptor: &MessageDescriptor, numbers: &[i64]) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (field, number) in descriptor.fields().zip(numbers) {
        let value = match field.kind() {
            Kind::Int64 => Value::I64(*number),
            _ => Value::I32(i32::try_from(*number).unwrap()),
        };
        message.set_field(&field, value);
    }
    message
}

/// A mask of what an update may change.
fn mask(descriptor: &MessageDescriptor, field: &FieldDescriptor) -> DynamicMessage {
    let paths = match field.parent_message().name() {
        "UpdateBeneficiaryRequest" => ["household", "birth_year", "grade", "person"],
        other => panic!("say what {other} changes"),
    };
    let paths = paths.map(|path| Value::String(path.to_owned())).to_vec();
    let mut mask = DynamicMessage::new(descriptor.clone());
    mask.set_field_by_name("paths", Value::List(paths));
    mask
}
