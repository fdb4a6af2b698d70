//! Reads the fields of a request into values of their own types, and collects everything that is wrong on the way,
//! so that a caller is told of all mistakes at once. A value returned after a violation is a stand-in: `finish` first.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tonic::Status;
use uuid::Uuid;

use crate::{
    Access,
    status::{Violation, invalid},
};

/// What the names of everything begin with.
const COMMUNITIES: &str = "communities";
const PAGE_SIZE: i64 = 50;
const MAX_PAGE_SIZE: i64 = 1000;
/// How much of a wrong value is quoted back.
const MAX_QUOTED: usize = 60;

/// The fields of one request.
#[derive(Debug)]
pub struct Fields {
    domain: &'static str,
    access: Access,
    violations: Vec<Violation>,
    /// A community was named that the caller may not see.
    denied: bool,
}

impl Fields {
    /// Starts with nothing wrong; `domain` is the error domain of the service. Whatever community is named has to be one that `access` sees.
    pub fn new(domain: &'static str, access: &Access) -> Self {
        Self {
            domain,
            access: access.clone(),
            violations: Vec::new(),
            denied: false,
        }
    }

    /// Records a violation of `field` when not `ok`.
    pub fn check(&mut self, field: &str, ok: bool, why: impl Into<String>) {
        if !ok {
            self.fail(field, why);
        }
    }

    /// Records a violation of `field`.
    pub fn fail(&mut self, field: &str, why: impl Into<String>) {
        self.violations.push(Violation {
            field: field.to_owned(),
            description: why.into(),
        });
    }

    /// Reads the fields of one item of a list; what is wrong with them is named under the item, which is told only then.
    pub fn item<T>(&mut self, item: impl Fn() -> String, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.violations.len();
        let value = read(self);
        for violation in &mut self.violations[before..] {
            violation.field = format!("{}.{}", item(), violation.field);
        }
        value
    }

    /// Reads a required UUID in its one canonical form.
    pub fn uuid(&mut self, field: &str, value: &str) -> Uuid {
        if value.is_empty() {
            self.fail(field, "required");
            return Uuid::nil();
        }
        canonical_uuid(value).unwrap_or_else(|| {
            let why = format!("not a UUID (lower case, with hyphens): {}", quoted(value));
            self.fail(field, why);
            Uuid::nil()
        })
    }

    /// Reads a UUID that may be left empty.
    pub fn optional_uuid(&mut self, field: &str, value: &str) -> Option<Uuid> {
        (!value.is_empty()).then(|| self.uuid(field, value))
    }

    /// Reads `request_id`, which makes a mutating call harmless to repeat.
    pub fn request_id(&mut self, value: &str) -> Uuid {
        let before = self.violations.len();
        let id = self.uuid("request_id", value);
        let read = self.violations.len() == before;
        self.check("request_id", !read || !id.is_nil(), "must not be all zeros");
        id
    }

    /// Reads a resource name: `["communities", "members"]` takes `communities/{uuid}/members/{uuid}`.
    pub fn name<const N: usize>(
        &mut self,
        field: &str,
        value: &str,
        pattern: [&'static str; N],
    ) -> [Uuid; N] {
        if value.is_empty() {
            self.fail(field, "required");
            return [Uuid::nil(); N];
        }
        let read = resource_name(value, pattern);
        if let Some([community, ..]) = read.as_ref().map(|ids| &ids[..])
            && pattern[0] == COMMUNITIES
        {
            self.denied |= !self.access.sees(*community);
        }
        read.unwrap_or_else(|| {
            let form: Vec<String> = pattern
                .iter()
                .map(|kind| format!("{kind}/{{uuid}}"))
                .collect();
            self.fail(
                field,
                format!("not of the form {}: {}", form.join("/"), quoted(value)),
            );
            [Uuid::nil(); N]
        })
    }

    /// Reads a required line of text, without the spaces around it.
    pub fn text(&mut self, field: &str, value: &str, max_chars: usize) -> String {
        let text = self.optional_text(field, value, max_chars);
        self.check(field, !text.is_empty(), "required");
        text
    }

    /// Reads a line of text that may be left empty, without the spaces around it.
    pub fn optional_text(&mut self, field: &str, value: &str, max_chars: usize) -> String {
        let text = value.trim();
        let length = text.chars().count();
        if length > max_chars {
            self.fail(
                field,
                format!("at most {max_chars} characters, not {length}"),
            );
        }
        self.check(
            field,
            !text.chars().any(char::is_control),
            "no control characters or line breaks",
        );
        text.to_owned()
    }

    /// Reads a phone number that may be left empty. The value is not repeated in the violation: errors are logged by clients.
    pub fn optional_phone(&mut self, field: &str, value: &str) -> String {
        let phone = value.trim();
        let digits = phone.bytes().filter(u8::is_ascii_digit).count();
        let plain = phone
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+- ".contains(&byte));
        let is_phone = plain && digits >= 5 && phone.len() <= 20;
        let why = "5 to 20 digits, \"+\", \"-\" and spaces";
        self.check(field, phone.is_empty() || is_phone, why);
        phone.to_owned()
    }

    /// Reads the number by which somebody is kept, which may be left empty and must not be that of an identity card.
    pub fn optional_number(&mut self, field: &str, value: &str) -> Option<String> {
        let number = self.optional_text(field, value, 32);
        let mut characters = number.bytes().rev();
        let last = characters
            .next()
            .is_some_and(|byte| byte.is_ascii_digit() || byte.eq_ignore_ascii_case(&b'x'));
        let is_identity_card =
            number.len() == 18 && last && characters.all(|byte| byte.is_ascii_digit());
        let why = "looks like an identity-card number";
        self.check(field, !is_identity_card, why);
        (!number.is_empty()).then_some(number)
    }

    /// Reads a number between `min` and `max`, both allowed.
    pub fn range(&mut self, field: &str, value: i64, min: i64, max: i64) -> i64 {
        if !(min..=max).contains(&value) {
            self.fail(field, format!("from {min} to {max}, not {value}"));
        }
        value
    }

    /// Reads a required time from 1970 to 9999, cut to microseconds.
    pub fn time(&mut self, field: &str, value: &Option<prost_types::Timestamp>) -> DateTime<Utc> {
        match self.optional_time(field, value) {
            Some(time) => time,
            None => {
                self.check(field, value.is_some(), "required");
                DateTime::UNIX_EPOCH
            }
        }
    }

    /// Reads a time from 1970 to 9999 that may be left out, cut to microseconds.
    pub fn optional_time(
        &mut self,
        field: &str,
        value: &Option<prost_types::Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let value = value.as_ref()?;
        let time = from_timestamp(value);
        self.check(field, time.is_some(), "not a time from 1970 to 9999");
        time
    }

    /// Reads `page_size`: 0 means 50, more than 1000 means 1000.
    pub fn page_size(&mut self, value: i32) -> i64 {
        self.check("page_size", value >= 0, format!("0 or more, not {value}"));
        match i64::from(value) {
            0 => PAGE_SIZE,
            size => size.clamp(1, MAX_PAGE_SIZE),
        }
    }

    /// Reads a required enum value; 0 (unspecified) and unknown numbers are violations.
    pub fn enumeration<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<E> {
        if value == 0 {
            self.fail(field, "required");
            return None;
        }
        let known = E::try_from(value).ok();
        self.check(field, known.is_some(), format!("unknown value {value}"));
        known
    }

    /// Ends the reading: PERMISSION_DENIED for a community that the caller may not see, INVALID_ARGUMENT with every violation.
    pub fn finish(self) -> Result<(), Status> {
        if self.denied {
            return Err(self.access.not_your_community());
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(invalid(self.domain, self.violations))
        }
    }
}

/// The protobuf form of a time.
pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    // chrono counts a leap second as nanoseconds beyond 999,999,999, protobuf has none.
    let nanos = at.timestamp_subsec_nanos().min(999_999_999);
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(nanos).expect("less than a thousand million"),
    }
}

/// The protobuf form of a length of time, which may be negative.
pub fn duration(length: TimeDelta) -> prost_types::Duration {
    prost_types::Duration {
        seconds: length.num_seconds(),
        nanos: length.subsec_nanos(),
    }
}

/// Reads a length of time that is not negative; `None` when it is or is malformed.
pub fn from_duration(value: &prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(value.seconds).ok()?, nanos))
}

fn from_timestamp(value: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    /// 9999-12-31T23:59:59Z, the last second of protobuf's range.
    const LAST: i64 = 253_402_300_799;
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    if !(0..=LAST).contains(&value.seconds) {
        return None;
    }
    Some(DateTime::from_timestamp(value.seconds, nanos)?.trunc_subsecs(6))
}

fn resource_name<const N: usize>(value: &str, pattern: [&str; N]) -> Option<[Uuid; N]> {
    let mut segments = value.split('/');
    let mut ids = [Uuid::nil(); N];
    for (id, kind) in ids.iter_mut().zip(pattern) {
        if segments.next()? != kind {
            return None;
        }
        *id = canonical_uuid(segments.next()?)?;
    }
    segments.next().is_none().then_some(ids)
}

/// One id has one spelling: otherwise two names could mean one thing.
fn canonical_uuid(value: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(value).ok()?;
    (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == value).then_some(id)
}

fn quoted(value: &str) -> String {
    let cut: String = value.chars().take(MAX_QUOTED).collect();
    if cut.len() == value.len() {
        format!("{cut:?}")
    } else {
        format!("{cut:?}…")
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tonic_types::StatusExt;

    use super::*;

    const ID: &str = "0190a8c4-1f2e-7c3d-8e4f-5a6b7c8d9e0f";

    /// What is said about the fields that `read` reads.
    fn violations<T>(read: impl FnOnce(&mut Fields) -> T) -> Vec<String> {
        let mut fields = Fields::new("test.linli", &Access::everything("test"));
        read(&mut fields);
        match fields.finish() {
            Ok(()) => vec![],
            Err(status) => status
                .get_details_bad_request()
                .unwrap()
                .field_violations
                .into_iter()
                .map(|violation| format!("{}: {}", violation.field, violation.description))
                .collect(),
        }
    }

    #[test]
    fn a_good_request_is_read_into_values() {
        let id = Uuid::parse_str(ID).unwrap();
        let mut fields = Fields::new("test.linli", &Access::everything("test"));

        assert_eq!(fields.uuid("member_id", ID), id);
        assert_eq!(fields.optional_uuid("hold_id", ""), None);
        assert_eq!(fields.request_id(ID), id);
        let name = format!("communities/{ID}/members/{ID}");
        assert_eq!(
            fields.name("name", &name, ["communities", "members"]),
            [id, id]
        );
        assert_eq!(fields.text("title", "  扫雪 ", 2), "扫雪");
        assert_eq!(fields.optional_text("note", "", 2), "");
        assert_eq!(fields.range("points", 9, 1, 9), 9);
        assert_eq!(fields.page_size(0), 50);
        assert_eq!(fields.page_size(7), 7);
        assert_eq!(fields.page_size(5000), 1000);

        assert!(fields.finish().is_ok());
    }

    #[test]
    fn every_mistake_is_reported_with_its_field() {
        let said = violations(|fields| {
            fields.uuid("member_id", "abc");
            fields.range("points", 0, 1, 9);
            fields.text("title", " ", 5);
        });
        assert_eq!(
            said,
            [
                "member_id: not a UUID (lower case, with hyphens): \"abc\"",
                "points: from 1 to 9, not 0",
                "title: required",
            ]
        );
    }

    #[test]
    fn a_mistake_in_an_item_is_named_under_it() {
        let said = violations(|fields| {
            fields.range("points", 0, 1, 9);
            fields.item(
                || "items[3]".to_owned(),
                |fields| fields.range("points", 0, 1, 9),
            );
        });
        assert_eq!(
            said,
            [
                "points: from 1 to 9, not 0",
                "items[3].points: from 1 to 9, not 0"
            ]
        );
    }

    #[test]
    fn an_id_has_one_spelling() {
        let simple = ID.replace('-', "");
        let upper = ID.to_uppercase();
        let braced = format!("{{{ID}}}");
        for spelling in [
            &simple,
            &upper,
            &braced,
            &format!("urn:uuid:{ID}"),
            &format!("{ID} "),
        ] {
            assert_eq!(
                violations(|fields| fields.uuid("id", spelling)).len(),
                1,
                "{spelling}"
            );
        }
        let zeros = Uuid::nil().to_string();
        assert_eq!(
            violations(|fields| fields.request_id(&zeros)),
            ["request_id: must not be all zeros"]
        );
        assert_eq!(
            violations(|fields| fields.request_id("")),
            ["request_id: required"]
        );
    }

    #[test]
    fn a_name_of_another_form_is_refused() {
        for name in [
            format!("communities/{ID}"),
            format!("communities/{ID}/members/"),
            format!("communities/{ID}/members/{ID}/"),
            format!("communities/{ID}/accounts/{ID}"),
            format!("/communities/{ID}/members/{ID}"),
        ] {
            let said = violations(|fields| fields.name("name", &name, ["communities", "members"]));
            assert_eq!(said.len(), 1, "{name}");
            assert!(
                said[0].contains("communities/{uuid}/members/{uuid}"),
                "{said:?}"
            );
        }
    }

    #[test]
    fn a_long_wrong_value_is_not_sent_back_whole() {
        let said = violations(|fields| fields.uuid("id", &"雪".repeat(10_000)));
        assert!(said[0].chars().count() < 150);
    }

    #[test]
    fn text_is_one_line_of_limited_length() {
        assert_eq!(violations(|fields| fields.text("t", "a\nb", 9)).len(), 1);
        assert_eq!(
            violations(|fields| fields.text("t", "邻里邻", 2)),
            ["t: at most 2 characters, not 3"]
        );
    }

    #[test]
    fn times_are_cut_to_microseconds_and_checked() {
        let time = |seconds, nanos| Some(Timestamp { seconds, nanos });
        let mut fields = Fields::new("test.linli", &Access::everything("test"));
        let read = fields.time("at", &time(1_700_000_000, 123_456_789));
        assert_eq!(timestamp(read), time(1_700_000_000, 123_456_000).unwrap());

        for wrong in [
            time(-1, 0),
            time(0, -1),
            time(0, 1_000_000_000),
            time(253_402_300_800, 0),
        ] {
            assert_eq!(
                violations(|fields| fields.time("at", &wrong)).len(),
                1,
                "{wrong:?}"
            );
        }
        assert_eq!(
            violations(|fields| fields.time("at", &None)),
            ["at: required"]
        );
        assert!(violations(|fields| fields.optional_time("at", &None)).is_empty());
    }

    #[test]
    fn an_unspecified_or_unknown_enum_value_is_refused() {
        struct Season;
        impl TryFrom<i32> for Season {
            type Error = ();
            fn try_from(value: i32) -> Result<Self, ()> {
                (0..=4).contains(&value).then_some(Self).ok_or(())
            }
        }
        let read = |value| violations(|fields| fields.enumeration::<Season>("season", value));
        assert!(read(1).is_empty());
        assert_eq!(read(0), ["season: required"]);
        assert_eq!(read(5), ["season: unknown value 5"]);
    }

    #[test]
    fn durations_go_both_ways() {
        let length = TimeDelta::milliseconds(1500);
        assert_eq!(
            from_duration(&duration(length)),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(from_duration(&duration(-length)), None);
    }
}
