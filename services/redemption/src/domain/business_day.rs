//! Days of a programme's time zone, from midnight to midnight.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

use super::Zone;

/// The longest stretch that a time zone's clocks have ever skipped.
const LONGEST_GAP: Days = Days::new(2);

impl Zone {
    /// The first instant of a day; where the clocks skip midnight, the first after it, and the earlier one when there are two midnights.
    /// Nothing beyond the calendar.
    pub fn start_of(self, date: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = date.and_time(NaiveTime::MIN);
        let limit = midnight.checked_add_days(LONGEST_GAP)?;
        let mut local = midnight;
        while local <= limit {
            if let Some(instant) = self.0.from_local_datetime(&local).earliest() {
                return Some(instant.with_timezone(&Utc));
            }
            local += TimeDelta::seconds(1);
        }
        None
    }

    /// The first instant after a day.
    pub fn end_of(self, date: NaiveDate) -> Option<DateTime<Utc>> {
        self.start_of(date.succ_opt()?)
    }

    /// The day that an instant belongs to. Where clocks that are set back at midnight show a date again, its day is over all the same.
    pub fn business_date(self, at: DateTime<Utc>) -> NaiveDate {
        let date = at.with_timezone(&self.0).date_naive();
        match (date.succ_opt(), self.end_of(date)) {
            (Some(next), Some(end)) if end <= at => next,
            _ => date,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::try_from(name.to_owned()).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_local_midnight_or_at_the_first_instant_after_it() {
        for (name, date, start) in [
            ("Asia/Shanghai", "2024-05-19", "2024-05-18T16:00:00Z"),
            ("Asia/Urumqi", "2024-05-19", "2024-05-18T18:00:00Z"),
            // The clocks went from 23:59:59 to 01:00:00.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            // They were set back at 24:00 to 23:00, so there were two midnights.
            ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"),
            // There was no 30 December.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ] {
            let date = date.parse().unwrap();
            assert_eq!(zone(name).start_of(date), Some(at(start)), "{name} {date}");
        }
    }

    #[test]
    fn the_microsecond_before_midnight_is_of_the_day_before() {
        let zone = zone("Asia/Shanghai");
        let midnight = at("2024-05-18T16:00:00Z");
        let before = midnight - TimeDelta::microseconds(1);
        assert_eq!(zone.business_date(before).to_string(), "2024-05-18");
        assert_eq!(zone.business_date(midnight).to_string(), "2024-05-19");
    }

    proptest! {
        #[test]
        fn every_instant_is_of_one_day_and_within_it(
            seconds in 0_i64..4_000_000_000,
            name in prop::sample::select(vec![
                "Asia/Shanghai", "America/Sao_Paulo", "Pacific/Apia", "Europe/Berlin", "America/Havana",
            ]),
        ) {
            let zone = zone(name);
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let date = zone.business_date(at);
            prop_assert!(zone.start_of(date).unwrap() <= at);
            prop_assert!(at < zone.end_of(date).unwrap());
        }
    }
}
