//! Dates.

use chrono::{Datelike, NaiveDate};
use proto::google::r#type::Date;
use runtime::Fields;

/// Reads a date that may be left out.
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
    fields.check(field, date.is_some(), "not a date");
    date
}

/// The protobuf form of a date.
pub(super) fn date_message(date: NaiveDate) -> Date {
    let small = |part: u32| i32::try_from(part).expect("months and days are small");
    Date {
        year: date.year(),
        month: small(date.month()),
        day: small(date.day()),
    }
}
