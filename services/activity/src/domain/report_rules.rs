//! The rules by which a programme takes problem reports: categories, target times, radius, reopening, strikes, numbers to call. Everything that a
//! programme does not say has a default in here.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, ReportRefusal},
    report::{Emergency, Urgency, Visibility},
};

/// All rules of a programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// None: anything can be reported.
    pub categories: Vec<Category>,
    pub targets: Targets,
    pub duplicate_radius_metres: i32,
    pub reopen_days: i32,
    pub strike_limit: i32,
    pub suspension_days: i32,
    /// Those that differ from the configured ones.
    pub emergency_numbers: Vec<(Emergency, String)>,
}

/// The rules of a programme, and who set them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesOf {
    pub community: Community,
    pub programme: Uuid,
    pub rules: Rules,
    /// Nobody: these are the defaults.
    pub changed: Option<Changed>,
}

/// Who set rules, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub by: String,
    pub at: DateTime<Utc>,
}

/// Something that can be reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub code: String,
    pub text_zh: String,
    pub text_en: String,
    pub urgency: Urgency,
    pub involves_persons: bool,
    pub visibility: Visibility,
    pub emergency: Option<Emergency>,
    /// `None`: the programme's.
    pub duplicate_radius_metres: Option<i32>,
}

/// How soon somebody should have looked, and mended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub triage_seconds: i64,
    pub resolve_seconds: i64,
}

/// A target for each urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    pub red: Target,
    pub yellow: Target,
    pub blue: Target,
}

/// What a report keeps of the rules it was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub targets: Targets,
    pub reopen_days: i32,
}

impl Target {
    const fn hours(triage: i64, resolve: i64) -> Self {
        Self {
            triage_seconds: triage * 3600,
            resolve_seconds: resolve * 3600,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            categories: Vec::new(),
            targets: Targets::default(),
            duplicate_radius_metres: 100,
            reopen_days: 7,
            strike_limit: 3,
            suspension_days: 30,
            emergency_numbers: Vec::new(),
        }
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            red: Target::hours(2, 24),
            yellow: Target::hours(24, 72),
            blue: Target::hours(72, 7 * 24),
        }
    }
}

impl Targets {
    /// The target of an urgency.
    pub fn of(&self, urgency: Urgency) -> Target {
        match urgency {
            Urgency::Red => self.red,
            Urgency::Yellow => self.yellow,
            Urgency::Blue => self.blue,
        }
    }

    /// The same, to be set.
    pub fn of_mut(&mut self, urgency: Urgency) -> &mut Target {
        match urgency {
            Urgency::Red => &mut self.red,
            Urgency::Yellow => &mut self.yellow,
            Urgency::Blue => &mut self.blue,
        }
    }
}

impl Category {
    /// One that the programme has no list for: nobody said whether persons are involved.
    fn unlisted(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            text_zh: String::new(),
            text_en: String::new(),
            urgency: Urgency::Blue,
            involves_persons: false,
            visibility: Visibility::Redacted,
            emergency: None,
            duplicate_radius_metres: None,
        }
    }
}

impl Rules {
    /// What is usual for a category; one that is not on the programme's list is refused.
    pub fn category(&self, code: &str) -> Result<Category, Refusal> {
        if self.categories.is_empty() {
            return Ok(Category::unlisted(code));
        }
        let known = self.categories.iter().find(|known| known.code == code);
        known.cloned().ok_or_else(|| {
            let category = code.to_owned();
            ReportRefusal::CategoryUnknown { category }.into()
        })
    }

    /// How near two reports of a category have to be to be one.
    pub fn radius_metres(&self, code: &str) -> i32 {
        let known = self.categories.iter().find(|known| known.code == code);
        let own = known.and_then(|known| known.duplicate_radius_metres);
        own.unwrap_or(self.duplicate_radius_metres)
    }

    /// What a report made now keeps of them.
    pub fn terms(&self) -> Terms {
        Terms {
            targets: self.targets,
            reopen_days: self.reopen_days,
        }
    }

    /// The number to call: the programme's own, or the configured one.
    pub fn number<'a>(&'a self, kind: Emergency, configured: &'a EmergencyNumbers) -> &'a str {
        let own = self.emergency_numbers.iter().find(|(own, _)| *own == kind);
        own.map_or(configured.of(kind), |(_, number)| number)
    }
}

/// The numbers to call where a programme says nothing else, as the configuration has them: `crime=110,fire=119,medical=120,traffic=122`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyNumbers {
    crime: String,
    fire: String,
    medical: String,
    traffic: String,
}

impl EmergencyNumbers {
    /// Those of mainland China: what the configuration has when it says nothing else.
    pub const NATIONAL: &str = "crime=110,fire=119,medical=120,traffic=122";

    fn of(&self, kind: Emergency) -> &str {
        match kind {
            Emergency::Crime => &self.crime,
            Emergency::Fire => &self.fire,
            Emergency::Medical => &self.medical,
            Emergency::Traffic => &self.traffic,
        }
    }
}

impl Default for EmergencyNumbers {
    fn default() -> Self {
        Self::NATIONAL
            .parse()
            .expect("the national numbers can be read")
    }
}

impl fmt::Display for EmergencyNumbers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            crime,
            fire,
            medical,
            traffic,
        } = self;
        write!(
            out,
            "crime={crime},fire={fire},medical={medical},traffic={traffic}"
        )
    }
}

/// Whether somebody can call this.
pub fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let known = |letter: char| letter.is_ascii_digit() || "+- ".contains(letter);
    (3..=20).contains(&digits) && text.len() <= 30 && text.chars().all(known)
}

impl FromStr for EmergencyNumbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pairs = || text.split(',').filter_map(|pair| pair.split_once('='));
        let number = |kind: &str| {
            let mut found = pairs().filter(|(found, _)| found.trim() == kind);
            match (found.next(), found.next()) {
                (Some((_, number)), None) if is_number(number.trim()) => {
                    Ok(number.trim().to_owned())
                }
                _ => Err(format!(
                    "one number to call for {kind}, as in {}",
                    Self::NATIONAL
                )),
            }
        };
        if text.split(',').count() != 4 {
            return Err(format!("four numbers, as in {}", Self::NATIONAL));
        }
        Ok(Self {
            crime: number("crime")?,
            fire: number("fire")?,
            medical: number("medical")?,
            traffic: number("traffic")?,
        })
    }
}

/// How a member stands as a reporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Abusive reports since the last suspension.
    pub strikes: i32,
    pub suspended_until: Option<DateTime<Utc>>,
}

impl Standing {
    /// One more abusive report: at the limit the member can't report for a time, and the count begins anew.
    pub fn strike(&self, rules: &Rules, now: DateTime<Utc>) -> Self {
        let strikes = self.strikes.saturating_add(1);
        if strikes < rules.strike_limit {
            return Self {
                strikes,
                ..self.clone()
            };
        }
        let until = now + TimeDelta::days(rules.suspension_days.into());
        Self {
            strikes: 0,
            suspended_until: self.suspended_until.max(Some(until)),
        }
    }

    /// Until when the member can't report.
    pub fn suspended(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.suspended_until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_to_call_are_read_as_they_are_shown_and_nothing_else_is() {
        let national = EmergencyNumbers::default();
        assert_eq!(national.to_string(), EmergencyNumbers::NATIONAL);
        assert_eq!(national.of(Emergency::Fire), "119");
        for wrong in [
            "",
            "crime=110,fire=119,medical=120",
            "crime=110,fire=119,medical=120,traffic=",
            "crime=110,fire=119,medical=120,traffic=call us",
            "crime=110,crime=110,medical=120,traffic=122",
            "crime=110,fire=119,medical=120,traffic=122,flood=12345",
        ] {
            assert!(wrong.parse::<EmergencyNumbers>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_programmes_own_number_counts_before_the_configured_one() {
        let rules = Rules {
            emergency_numbers: vec![(Emergency::Medical, "021-120".to_owned())],
            ..Rules::default()
        };
        let configured = EmergencyNumbers::default();
        assert_eq!(rules.number(Emergency::Medical, &configured), "021-120");
        assert_eq!(rules.number(Emergency::Crime, &configured), "110");
    }

    #[test]
    fn a_category_brings_what_is_usual_and_an_unknown_one_is_refused_by_a_list_alone() {
        let listed = Category {
            visibility: Visibility::Private,
            duplicate_radius_metres: Some(30),
            ..Category::unlisted("quarrel")
        };
        let rules = Rules {
            categories: vec![listed.clone()],
            ..Rules::default()
        };
        assert_eq!(rules.category("quarrel"), Ok(listed));
        assert_eq!(
            (rules.radius_metres("quarrel"), rules.radius_metres("x")),
            (30, 100)
        );
        let category = "litter".to_owned();
        let refused = rules.category("litter");
        assert_eq!(
            refused,
            Err(ReportRefusal::CategoryUnknown { category }.into())
        );
        let any = Rules::default().category("litter").unwrap();
        assert_eq!(any.visibility, Visibility::Redacted);
    }

    #[test]
    fn every_so_many_strikes_are_a_suspension_which_ends_by_the_clock() {
        let rules = Rules {
            strike_limit: 2,
            suspension_days: 10,
            ..Rules::default()
        };
        let now = DateTime::UNIX_EPOCH;
        let day = TimeDelta::days(1);
        let once = Standing::default().strike(&rules, now);
        assert_eq!((once.strikes, once.suspended(now)), (1, None));
        let twice = once.strike(&rules, now);
        assert_eq!(
            (twice.strikes, twice.suspended(now)),
            (0, Some(now + day * 10))
        );
        assert_eq!(twice.suspended(now + day * 10), None);
        let more = twice.strike(&rules, now + day).strike(&rules, now + day);
        assert_eq!(more.suspended(now + day), Some(now + day * 11));
        // Rules that became milder shorten nothing.
        let mild = Rules {
            suspension_days: 1,
            strike_limit: 1,
            ..rules
        };
        assert_eq!(more.strike(&mild, now), more);
    }

    #[test]
    fn rules_of_before_take_the_defaults_of_what_is_new() {
        let kept: Rules = serde_json::from_str(r#"{"reopen_days": 3}"#).unwrap();
        let expected = Rules {
            reopen_days: 3,
            ..Rules::default()
        };
        assert_eq!(kept, expected);
    }
}
