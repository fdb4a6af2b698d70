//! What the requests of all resources have in common: names, dates, pages, and the identity of a call.

use chrono::{Datelike, NaiveDate};
use proto::google::r#type::Date;
use runtime::{Access, Fields};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tonic::Status;
use uuid::Uuid;

use super::status::DOMAIN;
use crate::{
    domain::Name,
    store::{Call, Page},
};

pub(super) const MEMBERS: &str = "members";

pub(super) fn fields(access: &Access) -> Fields {
    Fields::new(DOMAIN, access)
}

/// The identity of a call: with the same id, the same method and bytes are the same call.
pub(super) fn call(
    access: &Access,
    (community, resource): (Uuid, &str),
    request_id: Uuid,
    method: &'static str,
    message: &impl prost::Message,
) -> Call {
    Call {
        community,
        request_id,
        method,
        fingerprint: Sha256::digest(message.encode_to_vec()).to_vec(),
        by: access.actor(),
        resource: resource.to_owned(),
    }
}

/// Reads `communities/{community}`.
pub(super) fn parent(fields: &mut Fields, value: &str) -> Uuid {
    let [community] = fields.name("parent", value, ["communities"]);
    community
}

/// Reads `communities/{community}/{kind}/{id}`.
pub(super) fn name(fields: &mut Fields, field: &str, value: &str, kind: &'static str) -> Name {
    let [community, id] = fields.name(field, value, ["communities", kind]);
    Name { community, id }
}

/// Reads the name of a resource of the call's community.
pub(super) fn name_within(
    fields: &mut Fields,
    community: Uuid,
    field: &str,
    value: &str,
    kind: &'static str,
) -> Uuid {
    let name = name(fields, field, value, kind);
    // A name that could not be read has its violation already.
    let fits = name.community == community || name.community.is_nil() || community.is_nil();
    fields.check(field, fits, "of another community than the call");
    name.id
}

/// Reads such a name, if there is one.
pub(super) fn optional_name_within(
    fields: &mut Fields,
    community: Uuid,
    field: &str,
    value: &str,
    kind: &'static str,
) -> Option<Uuid> {
    (!value.is_empty()).then(|| name_within(fields, community, field, value, kind))
}

/// Reads a whole date.
fn date(fields: &mut Fields, field: &str, value: &Option<Date>) -> Option<NaiveDate> {
    fields.check(field, value.is_some(), "required");
    optional_date(fields, field, value)
}

/// Reads a whole date, if there is one.
pub(super) fn optional_date(
    fields: &mut Fields,
    field: &str,
    value: &Option<Date>,
) -> Option<NaiveDate> {
    let Date { year, month, day } = value.as_ref()?;
    let date = match (u32::try_from(*month), u32::try_from(*day)) {
        (Ok(month), Ok(day)) if (1..=9999).contains(year) => {
            NaiveDate::from_ymd_opt(*year, month, day)
        }
        _ => None,
    };
    let why = format!("not a date: {year}-{month}-{day}");
    fields.check(field, date.is_some(), why);
    date
}

/// The first and the last of some days.
pub(super) struct Span {
    pub start: NaiveDate,
    pub end: NaiveDate,
}

/// Reads `{prefix}start_date` and `{prefix}end_date`.
pub(super) fn span(
    fields: &mut Fields,
    prefix: &str,
    start: &Option<Date>,
    end: &Option<Date>,
) -> Span {
    let end_field = format!("{prefix}end_date");
    let start = date(fields, &format!("{prefix}start_date"), start);
    let end = date(fields, &end_field, end);
    if let (Some(start), Some(end)) = (start, end) {
        fields.check(&end_field, start <= end, "before start_date");
    }
    Span {
        start: start.unwrap_or_default(),
        end: end.unwrap_or_default(),
    }
}

pub(super) fn date_message(date: NaiveDate) -> Date {
    let small = |number: u32| i32::try_from(number).expect("a month or a day");
    Date {
        year: date.year(),
        month: small(date.month()),
        day: small(date.day()),
    }
}

/// A page that was asked for.
pub(super) struct Asked<T> {
    query: String,
    size: i64,
    after: Option<T>,
}

impl<T: DeserializeOwned + Serialize> Asked<T> {
    /// Reads `page_size` and `page_token`. `query` names the method and everything that filters.
    pub fn read(fields: &mut Fields, query: String, page_size: i32, page_token: &str) -> Self {
        Self {
            size: fields.page_size(page_size),
            after: runtime::decode_page_token(fields, &query, page_token),
            query,
        }
    }

    /// Asks the store for one row more than was asked for: it tells whether there is another page.
    pub fn page(&mut self) -> Page<T> {
        Page {
            after: self.after.take(),
            limit: self.size + 1,
        }
    }

    /// Cuts the rows to the page and makes the token of the next one.
    pub fn cut<R>(&self, mut rows: Vec<R>, cursor: impl Fn(&R) -> T) -> (Vec<R>, String) {
        let size = usize::try_from(self.size).expect("from 1 to 1,000");
        if rows.len() <= size {
            return (rows, String::new());
        }
        rows.truncate(size);
        let token = rows
            .last()
            .map(|last| runtime::encode_page_token(&self.query, &cursor(last)));
        (rows, token.unwrap_or_default())
    }
}

/// Reads a message that must be there.
pub(super) fn required<T: Default>(fields: &mut Fields, field: &str, value: Option<T>) -> T {
    fields.check(field, value.is_some(), "required");
    value.unwrap_or_default()
}

/// Ends the reading and keeps what was read.
pub(super) fn checked<T>(fields: Fields, read: T) -> Result<T, Status> {
    fields.finish()?;
    Ok(read)
}
