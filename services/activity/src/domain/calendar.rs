//! Local days, months and midnights of a programme's time zone. Cut-offs fall on local midnight, and where the clocks
//! skip it, on the first instant after.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The local date of an instant.
pub fn local_date(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// The first day of a date's month.
pub fn month_start(date: NaiveDate) -> NaiveDate {
    date.with_day(1).expect("every month has a first day")
}

/// When a grant made now expires: local midnight on the first day of the month that is `months` + 1 after the present
/// one. `None` beyond the calendar.
pub fn expiry(now: DateTime<Utc>, months: u32, zone: Tz) -> Option<DateTime<Utc>> {
    let month = month_start(local_date(now, zone));
    let day = month.checked_add_months(Months::new(months.checked_add(1)?))?;
    first_instant(day, zone)
}

/// A local day, from its first instant to that of the next one; the end of time, beyond the calendar.
pub fn day_span(day: NaiveDate, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    span(Some(day), day.succ_opt(), zone)
}

/// A local month, in the same way.
pub fn month_span(day: NaiveDate, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    let first = month_start(day);
    span(Some(first), first.checked_add_months(Months::new(1)), zone)
}

fn span(
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    zone: Tz,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let instant = |day: Option<NaiveDate>| {
        day.and_then(|day| first_instant(day, zone))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    (instant(from), instant(to))
}

/// The first instant of a local day, or after it when the clocks skip the whole day; the earlier one when there are two
/// midnights.
pub fn first_instant(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = day.and_time(NaiveTime::MIN);
    // No zone has ever skipped more than a day. By the second, for some old gaps do not end on a full minute.
    let limit = midnight.checked_add_days(Days::new(2))?;
    let mut local = midnight;
    while local <= limit {
        if let Some(instant) = zone.from_local_datetime(&local).earliest() {
            return Some(instant.with_timezone(&Utc));
        }
        local += TimeDelta::seconds(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_expires_at_the_first_local_midnight_after_its_months() {
        let cases = "
            Made in May, valid for six months beyond it.
            Asia/Shanghai 2024-05-19T04:00:00Z 6 2024-11-30T16:00:00Z
            The local month counts: it is already June in Shanghai.
            Asia/Shanghai 2024-05-31T16:00:00Z 6 2024-12-31T16:00:00Z
            Asia/Shanghai 2024-05-31T15:59:59Z 6 2024-11-30T16:00:00Z
            Month ends of different lengths, over a leap day and a new year.
            Asia/Shanghai 2024-01-31T12:00:00Z 0 2024-01-31T16:00:00Z
            Asia/Shanghai 2024-01-31T12:00:00Z 1 2024-02-29T16:00:00Z
            UTC 2023-12-31T23:59:59Z 12 2025-01-01T00:00:00Z
            Summer time begins and ends between grant and expiry.
            Europe/Berlin 2024-02-10T12:00:00Z 1 2024-03-31T22:00:00Z
            Europe/Berlin 2024-09-10T12:00:00Z 1 2024-10-31T23:00:00Z
            Clocks went from 00:00 to 01:00: there is no midnight.
            America/Asuncion 2017-09-10T12:00:00Z 0 2017-10-01T04:00:00Z
            Clocks went back over midnight: the earlier one of two.
            America/Havana 2015-10-10T12:00:00Z 0 2015-11-01T04:00:00Z";
        let mut tried = 0;
        for case in cases
            .lines()
            .map(str::trim)
            .filter(|line| line.ends_with('Z'))
        {
            let [zone, now, months, expires] =
                case.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let expiry = expiry(at(now), months.parse().unwrap(), zone.parse().unwrap());
            assert_eq!(expiry, Some(at(expires)), "{case}");
            tried += 1;
        }
        assert_eq!(tried, 10);
    }

    #[test]
    fn a_midnight_that_the_clocks_skip_is_the_first_instant_after() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        // Sao Paulo went from 23:59:59 to 01:00.
        let sao_paulo = first_instant(day("2018-11-04"), Tz::America__Sao_Paulo);
        assert_eq!(sao_paulo, Some(at("2018-11-04T03:00:00Z")));
        // Samoa skipped the whole day.
        let apia = first_instant(day("2011-12-30"), Tz::Pacific__Apia);
        assert_eq!(apia, Some(at("2011-12-30T10:00:00Z")));
    }

    proptest! {
        #[test]
        fn an_expiry_is_in_the_future_and_on_the_first_of_its_month(
            seconds in 0..4_102_444_800_i64, months in 0..1200_u32, zone in 0..chrono_tz::TZ_VARIANTS.len(),
        ) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let expires = expiry(now, months, zone).unwrap();
            prop_assert!(expires > now);
            let local = expires.with_timezone(&zone);
            prop_assert_eq!(local.day(), 1);
            let before = (expires - TimeDelta::seconds(1)).with_timezone(&zone);
            prop_assert!(before.date_naive() < local.date_naive());
            let month = month_start(local_date(now, zone)) + Months::new(months + 1);
            prop_assert_eq!(month_start(local.date_naive()), month);
        }
    }
}
