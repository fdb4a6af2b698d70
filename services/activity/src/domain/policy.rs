//! What a policy says and what a deed earns under it: the first rule that matches, all multipliers that match, rounded
//! down once, then the caps in order. Exact arithmetic; a result out of range is refused, never wrapped.

use std::{fmt, str::FromStr};

use chrono::{Datelike, NaiveDate};
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::{calendar::month_start, service_record::Role};

/// One immutable text of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub earn_rules: Vec<EarnRule>,
    pub multipliers: Vec<Multiplier>,
    pub caps: Vec<Cap>,
    /// `None`: grants never expire.
    pub expiry_months: Option<u32>,
}

/// What kind of deed earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Source {
    Service,
    Report,
}

/// How much a deed earns before multipliers and caps. A category or urgency of `*` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum EarnRule {
    Service {
        category: String,
        per_hour: i64,
    },
    Report {
        category: String,
        urgency: String,
        fixed: i64,
    },
}

/// A factor on what a deed earns, under one condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multiplier {
    pub factor: Factor,
    pub when: Condition,
}

/// When a multiplier applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The deed's local date is this day of its month.
    DayOfMonth(u32),
    Role(Role),
    Category(String),
}

/// The most a member may be granted in a local period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// `None`: every source together.
    pub source: Option<Source>,
    pub period: Period,
    pub limit: i64,
}

/// Over what a cap counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Month,
}

/// A decimal from 0 to 1000 with up to 3 places, kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Factor {
    thousandths: u32,
}

/// A verified service or an accepted report, as a policy sees it.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    pub category: &'a str,
    pub effort: Effort<'a>,
    /// Of the start of a service, or of when a report was submitted, in the programme's time zone.
    pub local_date: NaiveDate,
}

/// What a deed took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort<'a> {
    Service { role: Role, minutes: i64 },
    Report { urgency: &'a str },
}

impl<'a> Effort<'a> {
    /// What kind of deed it is.
    pub fn source(self) -> Source {
        match self {
            Self::Service { .. } => Source::Service,
            Self::Report { .. } => Source::Report,
        }
    }

    /// A report has none.
    fn role(self) -> Option<Role> {
        match self {
            Self::Service { role, .. } => Some(role),
            Self::Report { .. } => None,
        }
    }

    /// A report has none.
    fn minutes(self) -> i64 {
        match self {
            Self::Service { minutes, .. } => minutes,
            Self::Report { .. } => 0,
        }
    }

    /// A service has none.
    fn urgency(self) -> Option<&'a str> {
        match self {
            Self::Service { .. } => None,
            Self::Report { urgency } => Some(urgency),
        }
    }
}

/// What an earlier grant of the member counts for caps.
#[derive(Debug, Clone)]
pub struct Counted {
    pub source: Source,
    pub local_date: NaiveDate,
    pub amount: i64,
}

/// Every step of a grant's arithmetic, kept so that it can be explained and is never worked out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arithmetic {
    /// 0 of a report.
    pub minutes: i64,
    /// Of a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<String>,
    /// Position from 0 of the rule that matched, and the rule.
    pub rule: Option<(i32, EarnRule)>,
    /// Those that matched.
    pub multipliers: Vec<Multiplier>,
    /// Before caps.
    pub desired: i64,
    /// Of the caps that count the deed's source, in order.
    pub caps: Vec<CapStep>,
    /// After caps.
    pub capped: i64,
    /// What was left of the budget before this grant; `None`: no limit.
    pub budget_left: Option<i64>,
}

/// What a cap did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapStep {
    pub cap: Cap,
    /// First local day of the period.
    pub period_start: NaiveDate,
    /// What counted in the period before.
    pub used: i64,
    pub before: i64,
    pub after: i64,
}

/// A number left the range of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl Policy {
    /// Works out what a deed earns; `earlier` are the member's grants of at least the deed's local month. The budget is
    /// not looked at here.
    pub fn earn(&self, deed: &Deed<'_>, earlier: &[Counted]) -> Result<Arithmetic, OutOfRange> {
        let rule = self.rule_for(deed);
        let multipliers: Vec<Multiplier> = self
            .multipliers
            .iter()
            .filter(|multiplier| multiplier.when.holds(deed))
            .cloned()
            .collect();
        let base = rule.map(|(_, rule)| rule.base(deed.effort));
        let desired = product(base.unwrap_or_default(), &multipliers).ok_or(OutOfRange)?;
        let mut capped = desired;
        let mut caps = Vec::with_capacity(self.caps.len());
        let source = deed.effort.source();
        for cap in self.caps.iter().filter(|cap| cap.counts(source)) {
            let step = cap.apply(capped, deed.local_date, earlier)?;
            capped = step.after;
            caps.push(step);
        }
        Ok(Arithmetic {
            rule: rule.map(|(index, rule)| (index, rule.clone())),
            multipliers,
            desired,
            caps,
            capped,
            ..Arithmetic::without_policy(deed.effort)
        })
    }

    fn rule_for(&self, deed: &Deed<'_>) -> Option<(i32, &EarnRule)> {
        (0..)
            .zip(&self.earn_rules)
            .find(|(_, rule)| rule.matches(deed))
    }
}

/// What a deed comes to before multipliers: a number of sixtieths, for what is paid by the hour is counted by the minute.
#[derive(Debug, Clone, Copy, Default)]
struct Base {
    units: i64,
    rate: i64,
}

impl EarnRule {
    fn matches(&self, deed: &Deed<'_>) -> bool {
        let is = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        match (self, deed.effort) {
            (Self::Service { category, .. }, Effort::Service { .. }) => is(category, deed.category),
            (
                Self::Report {
                    category, urgency, ..
                },
                Effort::Report { urgency: found },
            ) => is(category, deed.category) && (urgency.is_empty() || is(urgency, found)),
            (Self::Service { .. }, Effort::Report { .. })
            | (Self::Report { .. }, Effort::Service { .. }) => false,
        }
    }

    fn base(&self, effort: Effort<'_>) -> Base {
        match self {
            Self::Service { per_hour, .. } => Base {
                units: effort.minutes(),
                rate: *per_hour,
            },
            Self::Report { fixed, .. } => Base {
                units: 60,
                rate: *fixed,
            },
        }
    }
}

impl Arithmetic {
    /// What a deed earns when no policy is in force.
    pub fn without_policy(effort: Effort<'_>) -> Self {
        Self {
            minutes: effort.minutes(),
            urgency: effort.urgency().map(str::to_owned),
            rule: None,
            multipliers: Vec::new(),
            desired: 0,
            caps: Vec::new(),
            capped: 0,
            budget_left: None,
        }
    }
}

/// floor(units × rate × factor × factor … / 60), rounded down once.
fn product(base: Base, multipliers: &[Multiplier]) -> Option<i64> {
    let mut numerator = BigInt::from(base.units) * base.rate;
    let mut denominator = BigInt::from(60);
    for multiplier in multipliers {
        numerator *= multiplier.factor.thousandths;
        denominator *= 1000;
    }
    // Nothing is negative, so the division rounds down.
    (numerator / denominator).to_i64()
}

impl Condition {
    fn holds(&self, deed: &Deed<'_>) -> bool {
        match self {
            Self::DayOfMonth(day) => deed.local_date.day() == *day,
            Self::Role(role) => deed.effort.role() == Some(*role),
            Self::Category(category) => deed.category == category,
        }
    }
}

impl Cap {
    /// A cap on another source says nothing about a deed.
    fn counts(&self, source: Source) -> bool {
        self.source.is_none_or(|counted| counted == source)
    }

    fn apply(
        &self,
        before: i64,
        date: NaiveDate,
        earlier: &[Counted],
    ) -> Result<CapStep, OutOfRange> {
        let period_start = self.period.start(date);
        let used = earlier
            .iter()
            .filter(|grant| self.counts(grant.source))
            .filter(|grant| self.period.start(grant.local_date) == period_start)
            .try_fold(0_i64, |sum, grant| sum.checked_add(grant.amount))
            .ok_or(OutOfRange)?;
        // What counted under an earlier revision may be above this one's limit.
        let left = self.limit.saturating_sub(used).max(0);
        Ok(CapStep {
            cap: self.clone(),
            period_start,
            used,
            before,
            after: before.min(left),
        })
    }
}

impl Period {
    fn start(self, date: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => date,
            Self::Month => month_start(date),
        }
    }
}

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "decimal text from 0 to 1000 with at most 3 places, as in 1.5".to_owned();
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 4) || !digits(places, 3) {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let places: u32 = format!("{places:0<3}").parse().map_err(|_| wrong())?;
        let thousandths = whole * 1000 + places;
        if thousandths > 1_000_000 {
            return Err(wrong());
        }
        Ok(Self { thousandths })
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.thousandths / 1000, self.thousandths % 1000);
        out.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl TryFrom<String> for Factor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Factor> for String {
    fn from(factor: Factor) -> Self {
        factor.to_string()
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
