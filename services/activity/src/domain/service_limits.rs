//! How much service may be recorded and may count, and what has to be shown for it. Everything that a programme does not say has a default in here.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    anomaly::Thresholds,
    calendar::{day_span, local_date, month_span},
    refusal::{EvidenceReason, QuotaPeriod, Refusal},
    report_rules::Changed,
    service_record::{Capacity, ServiceRecord},
};

/// From an instant, included, to another, not included.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// The longest local day there is: 25 hours, when clocks are put back.
const LONGEST_DAY: i32 = 25 * 60;

/// How a programme takes services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceSettings {
    /// What a local day of a member may hold, in all programmes, when a service of this one is verified.
    pub member_day_minutes: i32,
    /// Of one leader, or of one member who records for themselves.
    pub leader_quota: Quota,
    /// Of one of the staff.
    pub staff_quota: Quota,
    /// Longer ones need evidence; `None`: none does.
    pub evidence_over_minutes: Option<i32>,
    /// Those recorded later than so many hours after they ended need evidence; `None`: none does.
    pub evidence_late_hours: Option<i32>,
    pub thresholds: Thresholds,
}

/// The settings of a programme, and who set them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsOf {
    pub community: Community,
    pub programme: Uuid,
    /// 1, 2, 3 … within the programme; 0: nobody has set any.
    pub revision: i32,
    pub settings: ServiceSettings,
    /// Nobody: these are the defaults.
    pub changed: Option<Changed>,
}

/// How many minutes one caller may record; `None`: as many as they like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    pub day_minutes: Option<i32>,
    pub month_minutes: Option<i32>,
}

/// The local day and the local month in which something is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingPeriods {
    pub day: Span,
    pub month: Span,
}

/// What one caller has recorded in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedMinutes {
    pub day: i64,
    pub month: i64,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            member_day_minutes: LONGEST_DAY,
            leader_quota: Quota::default(),
            staff_quota: Quota::default(),
            evidence_over_minutes: None,
            evidence_late_hours: None,
            thresholds: Thresholds::default(),
        }
    }
}

impl RecordingPeriods {
    /// Those of an instant.
    pub fn at(now: DateTime<Utc>, zone: Tz) -> Self {
        let today = local_date(now, zone);
        Self {
            day: day_span(today, zone),
            month: month_span(today, zone),
        }
    }
}

impl Quota {
    /// Whether there is none.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses a record of more minutes than are left.
    pub fn require(
        &self,
        record: &ServiceRecord,
        recorded: RecordedMinutes,
        periods: RecordingPeriods,
    ) -> Result<(), Refusal> {
        let limits = [
            (
                QuotaPeriod::Day,
                self.day_minutes,
                recorded.day,
                periods.day.1,
            ),
            (
                QuotaPeriod::Month,
                self.month_minutes,
                recorded.month,
                periods.month.1,
            ),
        ];
        for (period, limit, recorded, reset_at) in limits {
            let Some(limit) = limit.map(i64::from) else {
                continue;
            };
            let left = limit.saturating_sub(recorded).max(0);
            if record.minutes > left {
                return Err(Refusal::RecorderQuotaExceeded {
                    programme: record.programme,
                    period,
                    limit_minutes: limit,
                    left_minutes: left,
                    minutes: record.minutes,
                    reset_at,
                });
            }
        }
        Ok(())
    }
}

impl ServiceSettings {
    /// The quota of those who record in a capacity.
    pub fn quota(&self, capacity: Capacity) -> Quota {
        match capacity {
            Capacity::Member | Capacity::Leader => self.leader_quota,
            Capacity::Staff => self.staff_quota,
        }
    }

    /// Refuses a record that has no evidence and needs some.
    pub fn require_evidence(&self, record: &ServiceRecord) -> Result<(), Refusal> {
        if !record.evidence.is_empty() {
            return Ok(());
        }
        let is_long = |most: i32| record.minutes > i64::from(most);
        let is_late =
            |hours: i32| record.created_at - record.ended_at > TimeDelta::hours(hours.into());
        let why = if self.evidence_over_minutes.is_some_and(is_long) {
            EvidenceReason::Long
        } else if self.evidence_late_hours.is_some_and(is_late) {
            EvidenceReason::Late
        } else {
            return Ok(());
        };
        Err(Refusal::EvidenceRequired {
            record: record.id,
            why,
        })
    }

    /// Refuses a record that one of its local days has no room for beside what is verified of its member.
    pub fn require_room(
        &self,
        record: &ServiceRecord,
        zone: Tz,
        verified: &[Span],
    ) -> Result<(), Refusal> {
        let limit = TimeDelta::minutes(self.member_day_minutes.into());
        let own = (record.started_at, record.ended_at);
        for date in local_dates(own, zone) {
            let day = day_span(date, zone);
            let part = overlap(own, day);
            let used = verified
                .iter()
                .fold(TimeDelta::zero(), |sum, span| sum + overlap(*span, day));
            if !part.is_zero() && used + part > limit {
                return Err(Refusal::MemberDayExceeded {
                    record: record.id,
                    date,
                    limit_minutes: limit.num_minutes(),
                    left_minutes: (limit - used).num_minutes().max(0),
                });
            }
        }
        Ok(())
    }
}

/// The local days that a record has a part in, as one span.
pub fn whole_days(record: &ServiceRecord, zone: Tz) -> Span {
    let mut days = local_dates((record.started_at, record.ended_at), zone);
    let first = days.next().map(|day| day_span(day, zone));
    let last = days.last().map(|day| day_span(day, zone)).or(first);
    let own = (record.started_at, record.ended_at);
    (first.unwrap_or(own).0, last.unwrap_or(own).1)
}

fn local_dates((from, to): Span, zone: Tz) -> impl Iterator<Item = NaiveDate> {
    let last = local_date(to - TimeDelta::microseconds(1), zone);
    let first = local_date(from, zone);
    first.iter_days().take_while(move |day| *day <= last)
}

fn overlap(one: Span, other: Span) -> TimeDelta {
    (one.1.min(other.1) - one.0.max(other.0)).max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::service_record::{RecordState, Role, whole_minutes};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn record(from: &str, to: &str) -> ServiceRecord {
        let (started_at, ended_at) = (at(from), at(to));
        ServiceRecord {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            programme: Uuid::from_u128(3),
            member: Uuid::from_u128(4),
            role: Role::Member,
            category: "patrol".to_owned(),
            activity: "night round".to_owned(),
            started_at,
            ended_at,
            minutes: whole_minutes(started_at, ended_at),
            state: RecordState::Pending,
            decided_by: None,
            decided_at: None,
            reason: None,
            grant: None,
            created_at: ended_at,
            recorded_by: Some("L1".to_owned()),
            recorded_as: Some(Capacity::Leader),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn a_quota_is_used_up_to_its_last_minute() {
        let quota = Quota {
            day_minutes: Some(300),
            month_minutes: Some(1000),
        };
        let zone = Tz::Asia__Shanghai;
        let hour = record("2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z");
        let periods = RecordingPeriods::at(at("2026-03-31T15:59:00Z"), zone);
        assert_eq!(
            periods.day,
            (at("2026-03-30T16:00:00Z"), at("2026-03-31T16:00:00Z"))
        );
        assert_eq!(
            periods.month,
            (at("2026-02-28T16:00:00Z"), at("2026-03-31T16:00:00Z"))
        );
        for (day, month, refused) in [
            (240, 940, None),
            (241, 940, Some((QuotaPeriod::Day, 59))),
            (300, 300, Some((QuotaPeriod::Day, 0))),
            (900, 900, Some((QuotaPeriod::Day, 0))),
            (0, 941, Some((QuotaPeriod::Month, 59))),
        ] {
            let said = quota.require(&hour, RecordedMinutes { day, month }, periods);
            let said = said.err().map(|refusal| match refusal {
                Refusal::RecorderQuotaExceeded {
                    period,
                    left_minutes,
                    reset_at,
                    ..
                } => {
                    assert_eq!(reset_at, at("2026-03-31T16:00:00Z"));
                    (period, left_minutes)
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(said, refused, "{day} {month}");
        }
        let much = RecordedMinutes {
            day: i64::MAX,
            month: i64::MAX,
        };
        assert_eq!(Quota::default().require(&hour, much, periods), Ok(()));
    }

    #[test]
    fn evidence_is_asked_for_what_is_long_or_late() {
        let settings = ServiceSettings {
            evidence_over_minutes: Some(60),
            evidence_late_hours: Some(24),
            ..ServiceSettings::default()
        };
        let hour = record("2026-03-02T01:00:00Z", "2026-03-02T02:00:59Z");
        assert_eq!(settings.require_evidence(&hour), Ok(()));
        let why = |record: &ServiceRecord| match settings.require_evidence(record) {
            Err(Refusal::EvidenceRequired { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let long = record("2026-03-02T01:00:00Z", "2026-03-02T02:01:00Z");
        assert_eq!(why(&long), EvidenceReason::Long);
        let late = |hours| ServiceRecord {
            created_at: hour.ended_at + hours,
            ..hour.clone()
        };
        assert!(
            settings
                .require_evidence(&late(TimeDelta::hours(24)))
                .is_ok()
        );
        let late = late(TimeDelta::hours(24) + TimeDelta::microseconds(1));
        assert_eq!(why(&late), EvidenceReason::Late);
        assert!(ServiceSettings::default().require_evidence(&late).is_ok());
        let shown = ServiceRecord {
            evidence: vec!["photo-1".to_owned()],
            ..late
        };
        assert!(settings.require_evidence(&shown).is_ok());
    }

    /// What is left of a day that refuses a record; nothing when there is room.
    fn full(
        zone: Tz,
        limit: i32,
        own: (&str, &str),
        verified: &[(&str, &str)],
    ) -> Option<(String, i64)> {
        let settings = ServiceSettings {
            member_day_minutes: limit,
            ..ServiceSettings::default()
        };
        let record = record(own.0, own.1);
        let verified: Vec<Span> = verified
            .iter()
            .map(|(from, to)| (at(from), at(to)))
            .collect();
        match settings.require_room(&record, zone, &verified) {
            Ok(()) => None,
            Err(Refusal::MemberDayExceeded {
                date, left_minutes, ..
            }) => Some((date.to_string(), left_minutes)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_service_over_midnight_counts_on_each_day_with_its_part() {
        let zone = Tz::Asia__Shanghai;
        // 22:00 to 06:00 in Shanghai: 2 hours and 6.
        let night = ("2026-03-02T14:00:00Z", "2026-03-02T22:00:00Z");
        assert_eq!(full(zone, 360, night, &[]), None);
        assert_eq!(
            full(zone, 359, night, &[]),
            Some(("2026-03-03".to_owned(), 359))
        );
        // 08:00 to 13:00 of the day on which it ends, and of the one on which it begins.
        let morning = ("2026-03-03T00:00:00Z", "2026-03-03T05:00:00Z");
        assert_eq!(full(zone, 660, night, &[morning]), None);
        assert_eq!(
            full(zone, 659, night, &[morning]),
            Some(("2026-03-03".to_owned(), 359))
        );
        let before = ("2026-03-02T00:00:00Z", "2026-03-02T11:00:00Z");
        assert_eq!(
            full(zone, 720, night, &[before]),
            Some(("2026-03-02".to_owned(), 60))
        );
        // One that ends at midnight has no part in the day that begins.
        let evening = ("2026-03-02T14:00:00Z", "2026-03-02T16:00:00Z");
        let all_day = ("2026-03-02T16:00:00Z", "2026-03-03T16:00:00Z");
        assert_eq!(full(zone, 1440, evening, &[all_day]), None);
    }

    #[test]
    fn a_day_is_as_long_as_the_clocks_make_it() {
        let zone = Tz::Europe__Berlin;
        // 25 hours on the last Sunday of October, 23 on that of March.
        let autumn = ("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z");
        let last = ("2026-10-25T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(full(zone, 1500, last, &[autumn]), None);
        assert_eq!(
            full(zone, 1440, last, &[autumn]),
            Some(("2026-10-25".to_owned(), 0))
        );
        // 24 hours from 23:30 have a part in three days.
        let three = record("2026-03-28T22:30:00Z", "2026-03-29T22:30:00Z");
        assert_eq!(
            whole_days(&three, zone),
            (at("2026-03-27T23:00:00Z"), at("2026-03-30T22:00:00Z"))
        );
        let three = ("2026-03-28T22:30:00Z", "2026-03-29T22:30:00Z");
        assert_eq!(full(zone, 1380, three, &[]), None);
        assert_eq!(
            full(zone, 1379, three, &[]),
            Some(("2026-03-29".to_owned(), 1379))
        );
        // Samoa skipped 30 December 2011: nothing is on it.
        let zone = Tz::Pacific__Apia;
        let over = ("2011-12-30T04:00:00Z", "2011-12-30T16:00:00Z");
        assert_eq!(full(zone, 360, over, &[]), None);
        let found = full(zone, 359, over, &[]);
        assert_eq!(found, Some(("2011-12-29".to_owned(), 359)));
    }
}
