//! What looks odd in a programme's services: from where on, and how it is told. An anomaly is a hint for a person to look; nothing is decided by one.

use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::calendar::{day_span, local_date, month_start};

/// From where on something is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// More than this …
    pub burst_minutes: i32,
    /// … within so many.
    pub burst_window_minutes: i32,
    pub identical_members: i32,
    /// More than this.
    pub long_day_minutes: i32,
    pub one_person_percent: i32,
    pub one_person_minutes: i32,
    /// More than this.
    pub late_percent: i32,
    pub late_minutes: i32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            burst_minutes: 60 * 60,
            burst_window_minutes: 10,
            identical_members: 30,
            long_day_minutes: 10 * 60,
            one_person_percent: 80,
            one_person_minutes: 20 * 60,
            late_percent: 50,
            late_minutes: 10 * 60,
        }
    }
}

/// What is odd; lists go by this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    RecordingBurst,
    VerificationBurst,
    IdenticalTimes,
    LongDay,
    OnePerson,
    LateRecording,
}

impl AnomalyKind {
    /// Every kind, in order.
    pub const ALL: [Self; 6] = [
        Self::RecordingBurst,
        Self::VerificationBurst,
        Self::IdenticalTimes,
        Self::LongDay,
        Self::OnePerson,
        Self::LateRecording,
    ];
}

/// Where a list of anomalies goes on: behind the one of this kind, that ended then, under this key.
pub type Cursor = (AnomalyKind, DateTime<Utc>, String);

/// Something odd, with the figures that make it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub kind: AnomalyKind,
    /// What tells it from others of its kind that end at the same instant.
    pub key: String,
    /// Who recorded or verified.
    pub subject: Option<String>,
    pub member: Option<Uuid>,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub minutes: i64,
    /// Of how many minutes they are a part.
    pub total_minutes: i64,
    pub members: i64,
    pub records: i64,
    /// The first ten of them by id.
    pub record_ids: Vec<Uuid>,
}

/// The local days to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    pub start: NaiveDate,
    /// Included.
    pub end: NaiveDate,
}

impl DateRange {
    /// How many days there are at most behind the first one.
    pub const MOST_DAYS: u64 = 366;
    /// How many days before the last one it begins, when nobody says otherwise.
    const USUAL_DAYS: u64 = 91;

    /// What is asked for, with what is left out filled in: up to today, and what is usual before.
    pub fn asked(start: Option<NaiveDate>, end: Option<NaiveDate>, today: NaiveDate) -> Self {
        let most = |start: NaiveDate| {
            let days = Days::new(Self::MOST_DAYS);
            start.checked_add_days(days).unwrap_or(NaiveDate::MAX)
        };
        let end = end.unwrap_or_else(|| match start {
            Some(start) => today.clamp(start, most(start)),
            None => today,
        });
        let usual = || end.checked_sub_days(Days::new(Self::USUAL_DAYS));
        let start = start.or_else(usual).unwrap_or(NaiveDate::MIN);
        Self { start, end }
    }

    /// The month of a day.
    pub fn month(date: NaiveDate) -> Self {
        let start = month_start(date);
        let next = start.checked_add_months(Months::new(1));
        Self {
            start,
            end: next.map_or(NaiveDate::MAX, |next| next - TimeDelta::days(1)),
        }
    }

    /// Which of the days a day is; the first is 1.
    pub fn number(self, day: NaiveDate) -> i32 {
        let number = (day - self.start).num_days() + 1;
        i32::try_from(number).expect("a calendar has fewer days than i32 numbers")
    }

    /// The day of a number.
    pub fn day(self, number: i32) -> NaiveDate {
        let days = TimeDelta::days(i64::from(number) - 1);
        self.start.checked_add_signed(days).unwrap_or(self.end)
    }

    /// Each day from its first instant to that of the next.
    pub fn days(self, zone: Tz) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let days = self.start.iter_days();
        days.take_while(|day| *day <= self.end)
            .map(|day| day_span(day, zone))
            .collect()
    }
}

impl Anomaly {
    /// The whole in a Chinese sentence.
    pub fn text_zh(&self, zone: Tz) -> String {
        let (from, to) = self.times(zone);
        let (minutes, total) = (hours_zh(self.minutes), hours_zh(self.total_minutes));
        let (members, records) = (self.members, self.records);
        let subject = self.subject.as_deref().unwrap_or_default();
        match self.kind {
            AnomalyKind::RecordingBurst => format!(
                "{subject} 在 {from} 至 {to} 之间为 {members} 人记录了 {records} 次服务，共{minutes}。"
            ),
            AnomalyKind::VerificationBurst => format!(
                "{subject} 在 {from} 至 {to} 之间核定了 {members} 人的 {records} 次服务，共{minutes}。"
            ),
            AnomalyKind::IdenticalTimes => format!(
                "{subject} 记录的 {members} 人的服务起止时间完全相同：{from} 至 {to}，共{minutes}。"
            ),
            AnomalyKind::LongDay => {
                let day = local_date(self.started_at, zone);
                format!("该成员 {day} 一天内有 {records} 次服务，共{minutes}。")
            }
            AnomalyKind::OnePerson => format!(
                "{subject} 一人记录并核定了该成员{total}中的{minutes}（{}%），共 {records} 次服务。",
                self.percent()
            ),
            AnomalyKind::LateRecording => format!(
                "{subject} 记录的{total}中有{minutes}（{}%）为补录，共 {records} 次服务，{members} 人。",
                self.percent()
            ),
        }
    }

    /// The same in English.
    pub fn text_en(&self, zone: Tz) -> String {
        let (from, to) = self.times(zone);
        let (minutes, total) = (hours_en(self.minutes), hours_en(self.total_minutes));
        let (members, records) = (self.members, self.records);
        let subject = self.subject.as_deref().unwrap_or_default();
        match self.kind {
            AnomalyKind::RecordingBurst => format!(
                "{subject} recorded {records} services of {members} members, {minutes} in all, from {from} to {to}."
            ),
            AnomalyKind::VerificationBurst => format!(
                "{subject} verified {records} services of {members} members, {minutes} in all, from {from} to {to}."
            ),
            AnomalyKind::IdenticalTimes => format!(
                "{subject} recorded services of {members} members that all last from {from} to {to}, {minutes} in all."
            ),
            AnomalyKind::LongDay => {
                let day = local_date(self.started_at, zone);
                format!("{day} of the member holds {minutes} in {records} services.")
            }
            AnomalyKind::OnePerson => format!(
                "{subject} alone recorded and verified {minutes} of the member's {total} ({}%), {records} services.",
                self.percent()
            ),
            AnomalyKind::LateRecording => format!(
                "{minutes} of the {total} that {subject} recorded ({}%) were recorded late: {records} services of {members} members.",
                self.percent()
            ),
        }
    }

    fn times(&self, zone: Tz) -> (String, String) {
        let local =
            |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
        (local(self.started_at), local(self.ended_at))
    }

    /// What part of the whole it is, in hundredths, rounded down.
    fn percent(&self) -> i128 {
        i128::from(self.minutes) * 100 / i128::from(self.total_minutes.max(1))
    }
}

fn hours_zh(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!(" {minutes} 分钟"),
        (hours, 0) => format!(" {hours} 小时"),
        (hours, minutes) => format!(" {hours} 小时 {minutes} 分钟"),
    }
}

fn hours_en(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_out_of_a_range_is_up_to_today_and_a_quarter_before() {
        let today = day("2026-04-30");
        let asked = |start: Option<&str>, end: Option<&str>| {
            let range = DateRange::asked(start.map(day), end.map(day), today);
            (range.start.to_string(), range.end.to_string())
        };
        let range = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        assert_eq!(asked(None, None), range("2026-01-29", "2026-04-30"));
        assert_eq!(
            asked(None, Some("2025-04-01")),
            range("2024-12-31", "2025-04-01")
        );
        let recent = asked(Some("2026-04-01"), None);
        assert_eq!(recent, range("2026-04-01", "2026-04-30"));
        let long = asked(Some("2020-01-01"), None);
        assert_eq!(long, range("2020-01-01", "2021-01-01"));
        let coming = asked(Some("2027-01-01"), None);
        assert_eq!(coming, range("2027-01-01", "2027-01-01"));
    }

    #[test]
    fn the_days_of_a_month_are_numbered() {
        let month = DateRange::month(day("2024-02-29"));
        assert_eq!(
            (month.start, month.end),
            (day("2024-02-01"), day("2024-02-29"))
        );
        for (number, date) in [
            (1, "2024-02-01"),
            (29, "2024-02-29"),
            (30, "2024-03-01"),
            (0, "2024-01-31"),
        ] {
            assert_eq!(
                (month.number(day(date)), month.day(number)),
                (number, day(date))
            );
        }
        let last = DateRange::month(NaiveDate::MAX);
        assert_eq!(last.day(last.number(last.end)), NaiveDate::MAX);
    }

    #[test]
    fn the_days_of_a_range_follow_each_other_without_a_gap() {
        let range = DateRange {
            start: day("2026-10-24"),
            end: day("2026-10-26"),
        };
        let days = range.days(Tz::Europe__Berlin);
        let hours: Vec<i64> = days
            .iter()
            .map(|(from, to)| (*to - *from).num_hours())
            .collect();
        assert_eq!(hours, [24, 25, 24]);
        assert!(days.windows(2).all(|pair| pair[0].1 == pair[1].0));
    }

    #[test]
    fn an_anomaly_is_told_with_its_figures_in_local_time() {
        let anomaly = Anomaly {
            kind: AnomalyKind::RecordingBurst,
            key: "L1".to_owned(),
            subject: Some("L1".to_owned()),
            member: None,
            started_at: "2026-03-01T16:00:00Z".parse().unwrap(),
            ended_at: "2026-03-01T16:02:00Z".parse().unwrap(),
            minutes: 3665,
            total_minutes: 3665,
            members: 12,
            records: 13,
            record_ids: vec![],
        };
        let zone = Tz::Asia__Shanghai;
        assert_eq!(
            anomaly.text_en(zone),
            "L1 recorded 13 services of 12 members, 61 h 5 min in all, from 2026-03-02 00:00 to 2026-03-02 00:02."
        );
        assert_eq!(
            anomaly.text_zh(zone),
            "L1 在 2026-03-02 00:00 至 2026-03-02 00:02 之间为 12 人记录了 13 次服务，共 61 小时 5 分钟。"
        );
        let share = Anomaly {
            kind: AnomalyKind::LateRecording,
            minutes: 620,
            total_minutes: 900,
            ..anomaly
        };
        assert_eq!(
            share.text_en(zone),
            "10 h 20 min of the 15 h that L1 recorded (68%) were recorded late: 13 services of 12 members."
        );
        assert_eq!(
            share.text_zh(zone),
            "L1 记录的 15 小时中有 10 小时 20 分钟（68%）为补录，共 13 次服务，12 人。"
        );
    }
}
