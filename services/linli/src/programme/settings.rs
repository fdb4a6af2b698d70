//! `programme.toml`: who and when, the asset, the budget and the earning policy.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use proto::activity::v1::{self as act, earn_rule::Rate, multiplier::Condition};
use runtime::Problem;
use serde::Deserialize;

/// Where the settings are in a programme's folder.
pub const FILE: &str = "programme.toml";
/// How long a redemption can be reversed when the settings do not say.
const REVERSAL_DAYS: i32 = 7;
/// What the contracts take for an amount.
const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// The settings of a programme.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is known by; names the folder's ids.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub community: String,
    /// Where "local" is.
    pub time_zone: Tz,
    /// From when on it runs.
    pub starts: DateTime<Utc>,
    /// When the figures are taken; nothing after it is applied.
    pub as_of: DateTime<Utc>,
    /// Code of its asset.
    pub asset: String,
    /// Decimal places of its asset.
    pub asset_exponent: i32,
    /// The most it may grant; nothing: no limit.
    pub budget: Option<i64>,
    /// How points are earned; nothing: not at all.
    pub policy: Option<act::Policy>,
    /// How many times 24 h a redemption can be reversed.
    pub reversal_days: i32,
}

impl Settings {
    /// Reads and checks the settings of a folder.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| Problem::new(format!("can't read {}: {error}", path.display())))?;
        parse(&text).map_err(|why| Problem::new(format!("{}{why}", path.display())))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    programme: ProgrammeSection,
    asset: AssetSection,
    #[serde(default)]
    budget: BudgetSection,
    #[serde(default)]
    expiry: ExpirySection,
    #[serde(default)]
    earn: Vec<EarnSection>,
    #[serde(default)]
    multiplier: Vec<MultiplierSection>,
    #[serde(default)]
    cap: Vec<CapSection>,
    #[serde(default)]
    redemption: RedemptionSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgrammeSection {
    id: String,
    name: String,
    community: String,
    time_zone: String,
    starts: String,
    as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetSection {
    code: String,
    exponent: i32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct BudgetSection {
    issuable: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ExpirySection {
    months: Option<i32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RedemptionSection {
    reversal_days: Option<i32>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Source {
    Service,
    Report,
    #[serde(rename = "*")]
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarnSection {
    source: Source,
    category: String,
    urgency: Option<String>,
    per_hour: Option<i64>,
    fixed: Option<i64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RoleWord {
    Member,
    Leader,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MultiplierSection {
    factor: String,
    day_of_month: Option<i32>,
    role: Option<RoleWord>,
    category: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Period {
    Day,
    Month,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapSection {
    source: Source,
    period: Period,
    limit: i64,
}

/// The text after the file's name when something is wrong: ` line 3: …` or `: …`.
type Why = String;

fn parse(text: &str) -> Result<Settings, Why> {
    let sections: Sections = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!(" line {line}")).unwrap_or_default();
        format!("{place}: {}", error.message())
    })?;
    let policy = policy(&sections)?;
    let ProgrammeSection {
        id,
        name,
        community,
        time_zone,
        starts,
        as_of,
    } = sections.programme;
    let (starts, as_of) = (instant("starts", &starts)?, instant("as_of", &as_of)?);
    check(
        starts <= as_of,
        "programme.as_of",
        "is before programme.starts",
    )?;
    for (key, text) in [
        ("programme.id", &id),
        ("programme.name", &name),
        ("programme.community", &community),
    ] {
        check(!text.trim().is_empty(), key, "is empty")?;
    }
    let AssetSection { code, exponent } = sections.asset;
    check(
        is_asset_code(&code),
        "asset.code",
        "must be 1 to 16 of A-Z, a-z, 0-9, \"-\" and \"_\"",
    )?;
    check(
        (0..=9).contains(&exponent),
        "asset.exponent",
        "must be from 0 to 9",
    )?;
    let budget = sections.budget.issuable;
    check(
        budget.is_none_or(|budget| (1..=MAX_AMOUNT).contains(&budget)),
        "budget.issuable",
        "must be from 1 to 10^15",
    )?;
    let reversal_days = sections.redemption.reversal_days.unwrap_or(REVERSAL_DAYS);
    check(
        (0..=3650).contains(&reversal_days),
        "redemption.reversal_days",
        "must be from 0 to 3650",
    )?;
    Ok(Settings {
        time_zone: time_zone.parse().map_err(|_| {
            format!(": programme.time_zone is no IANA name like Asia/Shanghai: {time_zone:?}")
        })?,
        id,
        name,
        community,
        starts,
        as_of,
        asset: code,
        asset_exponent: exponent,
        budget,
        policy,
        reversal_days,
    })
}

/// Nothing is earned without a rule, so then there is no policy, whatever else is set.
fn policy(sections: &Sections) -> Result<Option<act::Policy>, Why> {
    let months = sections.expiry.months;
    check(
        months.is_none_or(|months| (0..=1200).contains(&months)),
        "expiry.months",
        "must be from 0 to 1200",
    )?;
    let policy = act::Policy {
        earn_rules: numbered("earn", &sections.earn, earn_rule)?,
        multipliers: numbered("multiplier", &sections.multiplier, multiplier)?,
        caps: numbered("cap", &sections.cap, cap)?,
        expiry_months: months,
    };
    Ok(Some(policy).filter(|policy| !policy.earn_rules.is_empty()))
}

fn numbered<S, T>(
    name: &str,
    sections: &[S],
    convert: impl Fn(&S) -> Result<T, &'static str>,
) -> Result<Vec<T>, Why> {
    sections
        .iter()
        .enumerate()
        .map(|(index, section)| {
            convert(section).map_err(|why| format!(": {name} {}: {why}", index + 1))
        })
        .collect()
}

fn earn_rule(section: &EarnSection) -> Result<act::EarnRule, &'static str> {
    if section.category.is_empty() {
        return Err("category is empty");
    }
    let urgency = section.urgency.clone().unwrap_or_default();
    let (source, rate) = match (section.source, section.per_hour, section.fixed) {
        (Source::Service, Some(points), None) => {
            if !["", "*"].contains(&urgency.as_str()) {
                return Err("a service has no urgency");
            }
            (act::EarnSource::Service, Rate::PerHour(points))
        }
        (Source::Report, None, Some(points)) => (act::EarnSource::Report, Rate::Fixed(points)),
        (Source::Service, ..) => return Err("a service earns per_hour, and nothing else"),
        (Source::Report, ..) => return Err("a report earns fixed, and nothing else"),
        (Source::Any, ..) => return Err("source must be service or report"),
    };
    let (Rate::PerHour(points) | Rate::Fixed(points)) = rate;
    if !(0..=1_000_000_000).contains(&points) {
        return Err("it must earn from 0 to 10^9");
    }
    Ok(act::EarnRule {
        source: source.into(),
        category: section.category.clone(),
        urgency,
        rate: Some(rate),
    })
}

fn multiplier(section: &MultiplierSection) -> Result<act::Multiplier, &'static str> {
    if !is_factor(&section.factor) {
        return Err("factor must be from 0 to 1000 with at most 3 places, as in \"1.5\"");
    }
    let condition = match (section.day_of_month, section.role, &section.category) {
        (Some(day), None, None) if (1..=31).contains(&day) => Condition::DayOfMonth(day),
        (Some(_), None, None) => return Err("day_of_month must be from 1 to 31"),
        (None, Some(role), None) => Condition::Role(
            match role {
                RoleWord::Member => act::ServiceRole::Member,
                RoleWord::Leader => act::ServiceRole::Leader,
            }
            .into(),
        ),
        (None, None, Some(category)) => Condition::Category(category.clone()),
        _ => return Err("it takes one of day_of_month, role and category"),
    };
    Ok(act::Multiplier {
        factor: section.factor.clone(),
        condition: Some(condition),
    })
}

fn cap(section: &CapSection) -> Result<act::Cap, &'static str> {
    if !(0..=MAX_AMOUNT).contains(&section.limit) {
        return Err("limit must be from 0 to 10^15");
    }
    let source = match section.source {
        Source::Service => act::EarnSource::Service,
        Source::Report => act::EarnSource::Report,
        Source::Any => act::EarnSource::Unspecified,
    };
    let period = match section.period {
        Period::Day => act::CapPeriod::Day,
        Period::Month => act::CapPeriod::Month,
    };
    Ok(act::Cap {
        source: source.into(),
        period: period.into(),
        limit: section.limit,
    })
}

fn instant(key: &str, text: &str) -> Result<DateTime<Utc>, Why> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| {
            format!(": programme.{key} is not a time like 2024-01-01T00:00:00+08:00: {text:?}")
        })
}

fn check(holds: bool, key: &str, why: &str) -> Result<(), Why> {
    if holds {
        Ok(())
    } else {
        Err(format!(": {key} {why}"))
    }
}

fn is_asset_code(code: &str) -> bool {
    (1..=16).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_factor(text: &str) -> bool {
    let (whole, places) = match text.split_once('.') {
        None => (text, "0"),
        Some(parts) => parts,
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (true, true) = (digits(whole), digits(places) && places.len() <= 3) else {
        return false;
    };
    match whole.parse::<u32>() {
        Ok(1000) => places.bytes().all(|byte| byte == b'0'),
        Ok(whole) => whole < 1000,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
