//! What a policy says, read and written.

use proto::activity::v1::{self as pb, earn_rule::Rate, multiplier};
use runtime::Fields;

use crate::{
    domain::policy::{Cap, Condition, EarnRule, Factor, Multiplier, Period, Policy, Source},
    rpc::service_record::{encode_role, read_role},
};

const MAX_RATE: i64 = 1_000_000_000;
const MAX_LIMIT: i64 = 1_000_000_000_000_000;

/// Reads a policy; what can't be read is a violation and left out.
pub(in crate::rpc) fn read(fields: &mut Fields, policy: &pb::Policy) -> Policy {
    let counts = [
        ("policy.earn_rules", policy.earn_rules.len(), 1, 100),
        ("policy.multipliers", policy.multipliers.len(), 0, 100),
        ("policy.caps", policy.caps.len(), 0, 20),
    ];
    for (field, count, least, most) in counts {
        let why = format!("{least} to {most} of them, not {count}");
        fields.check(field, (least..=most).contains(&count), why);
    }
    if let Some(months) = policy.expiry_months {
        fields.range("policy.expiry_months", i64::from(months), 0, 1200);
    }
    let at = |list: &str, index: usize| format!("policy.{list}[{index}]");
    Policy {
        earn_rules: (policy.earn_rules.iter().enumerate())
            .filter_map(|(index, rule)| read_rule(fields, &at("earn_rules", index), rule))
            .collect(),
        multipliers: (policy.multipliers.iter().enumerate())
            .filter_map(|(index, multiplier)| {
                read_multiplier(fields, &at("multipliers", index), multiplier)
            })
            .collect(),
        caps: (policy.caps.iter().enumerate())
            .filter_map(|(index, cap)| read_cap(fields, &at("caps", index), cap))
            .collect(),
        expiry_months: policy
            .expiry_months
            .and_then(|months| u32::try_from(months).ok()),
    }
}

fn read_rule(fields: &mut Fields, at: &str, rule: &pb::EarnRule) -> Option<EarnRule> {
    let source = fields.enumeration(&format!("{at}.source"), rule.source)?;
    let category = fields.text(&format!("{at}.category"), &rule.category, 60);
    let urgency = fields.optional_text(&format!("{at}.urgency"), &rule.urgency, 20);
    match (source, rule.rate) {
        (pb::EarnSource::Service, Some(Rate::PerHour(per_hour))) => {
            fields.range(&format!("{at}.per_hour"), per_hour, 0, MAX_RATE);
            let any = urgency.is_empty() || urgency == "*";
            fields.check(
                &format!("{at}.urgency"),
                any,
                "only reports have an urgency",
            );
            Some(EarnRule::Service { category, per_hour })
        }
        (pb::EarnSource::Report, Some(Rate::Fixed(fixed))) => {
            fields.range(&format!("{at}.fixed"), fixed, 0, MAX_RATE);
            Some(EarnRule::Report {
                category,
                urgency,
                fixed,
            })
        }
        (pb::EarnSource::Service, Some(Rate::Fixed(_)) | None) => {
            fields.fail(
                &format!("{at}.per_hour"),
                "required for services, instead of fixed",
            );
            None
        }
        (pb::EarnSource::Report, Some(Rate::PerHour(_)) | None) => {
            fields.fail(
                &format!("{at}.fixed"),
                "required for reports, instead of per_hour",
            );
            None
        }
        (pb::EarnSource::Unspecified, _) => None,
    }
}

fn read_multiplier(
    fields: &mut Fields,
    at: &str,
    multiplier: &pb::Multiplier,
) -> Option<Multiplier> {
    let factor: Option<Factor> = match multiplier.factor.parse() {
        Ok(factor) => Some(factor),
        Err(why) => {
            fields.fail(&format!("{at}.factor"), why);
            None
        }
    };
    let when =
        match &multiplier.condition {
            Some(multiplier::Condition::DayOfMonth(day)) => {
                let day = fields.range(&format!("{at}.day_of_month"), i64::from(*day), 1, 31);
                u32::try_from(day).ok().map(Condition::DayOfMonth)
            }
            Some(multiplier::Condition::Role(role)) => {
                read_role(fields, &format!("{at}.role"), *role).map(Condition::Role)
            }
            Some(multiplier::Condition::Category(category)) => Some(Condition::Category(
                fields.text(&format!("{at}.category"), category, 60),
            )),
            None => {
                fields.fail(at, "needs a condition: day_of_month, role or category");
                None
            }
        };
    Some(Multiplier {
        factor: factor?,
        when: when?,
    })
}

fn read_cap(fields: &mut Fields, at: &str, cap: &pb::Cap) -> Option<Cap> {
    let source = super::super::optional_enumeration(fields, &format!("{at}.source"), cap.source);
    let source = match source {
        Some(pb::EarnSource::Service) => Some(Source::Service),
        Some(pb::EarnSource::Report) => Some(Source::Report),
        Some(pb::EarnSource::Unspecified) | None => None,
    };
    let limit = fields.range(&format!("{at}.limit"), cap.limit, 0, MAX_LIMIT);
    let period = match fields.enumeration(&format!("{at}.period"), cap.period)? {
        pb::CapPeriod::Day => Period::Day,
        pb::CapPeriod::Month => Period::Month,
        pb::CapPeriod::Unspecified => return None,
    };
    Some(Cap {
        source,
        period,
        limit,
    })
}

/// Writes a policy.
pub(super) fn encode(policy: &Policy) -> pb::Policy {
    pb::Policy {
        earn_rules: policy.earn_rules.iter().map(encode_rule).collect(),
        multipliers: policy.multipliers.iter().map(encode_multiplier).collect(),
        caps: policy.caps.iter().map(encode_cap).collect(),
        expiry_months: policy
            .expiry_months
            .and_then(|months| i32::try_from(months).ok()),
    }
}

/// Writes a rule.
pub(in crate::rpc) fn encode_rule(rule: &EarnRule) -> pb::EarnRule {
    match rule {
        EarnRule::Service { category, per_hour } => pb::EarnRule {
            source: pb::EarnSource::Service.into(),
            category: category.clone(),
            urgency: String::new(),
            rate: Some(Rate::PerHour(*per_hour)),
        },
        EarnRule::Report {
            category,
            urgency,
            fixed,
        } => pb::EarnRule {
            source: pb::EarnSource::Report.into(),
            category: category.clone(),
            urgency: urgency.clone(),
            rate: Some(Rate::Fixed(*fixed)),
        },
    }
}

/// Writes a multiplier.
pub(in crate::rpc) fn encode_multiplier(multiplier: &Multiplier) -> pb::Multiplier {
    let condition = match &multiplier.when {
        Condition::DayOfMonth(day) => {
            multiplier::Condition::DayOfMonth(i32::try_from(*day).expect("a day is from 1 to 31"))
        }
        Condition::Role(role) => multiplier::Condition::Role(encode_role(*role)),
        Condition::Category(category) => multiplier::Condition::Category(category.clone()),
    };
    pb::Multiplier {
        factor: multiplier.factor.to_string(),
        condition: Some(condition),
    }
}

/// Writes a cap.
pub(in crate::rpc) fn encode_cap(cap: &Cap) -> pb::Cap {
    let source = match cap.source {
        None => pb::EarnSource::Unspecified,
        Some(Source::Service) => pb::EarnSource::Service,
        Some(Source::Report) => pb::EarnSource::Report,
    };
    let period = match cap.period {
        Period::Day => pb::CapPeriod::Day,
        Period::Month => pb::CapPeriod::Month,
    };
    pb::Cap {
        source: source.into(),
        period: period.into(),
        limit: cap.limit,
    }
}
