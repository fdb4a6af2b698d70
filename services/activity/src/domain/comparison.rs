//! What differs between two policies, part by part. Parts are the same part when what they are for is the same; then a value may differ, or their place
//! among those that both policies have.

use chrono::NaiveDate;

use super::{
    explain::{multiplier_en, multiplier_zh},
    policy::{Cap, Condition, Deed, EarnRule, Effort, Multiplier, Period, Policy, Source},
    service_record::Role,
};

/// How a part differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Added,
    Removed,
    Changed,
    /// The same value at another place among those that both have.
    Moved,
}

/// A part of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Rule(EarnRule),
    Multiplier(Multiplier),
    Cap(Cap),
    /// `None`: never.
    ExpiryMonths(Option<u32>),
}

/// A part with its position from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub index: usize,
    pub part: Part,
}

/// One difference; at least one side is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: Kind,
    pub before: Option<Placed>,
    pub after: Option<Placed>,
    pub example: Option<Example>,
}

/// A made-up hour of service, and what it earns before caps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub category: String,
    pub role: Role,
    pub day_of_month: u32,
    pub before: i64,
    pub after: i64,
}

impl Example {
    /// How long it lasts.
    pub const MINUTES: i64 = 60;
}

/// Compares two policies: first rules, then multipliers, caps, expiry.
pub fn compare(before: &Policy, after: &Policy) -> Vec<Difference> {
    let mut all = differences(
        &before.earn_rules,
        &after.earn_rules,
        rule_key,
        Part::Rule,
        true,
    );
    all.extend(differences(
        &before.multipliers,
        &after.multipliers,
        |multiplier| multiplier.when.clone(),
        Part::Multiplier,
        false,
    ));
    all.extend(differences(
        &before.caps,
        &after.caps,
        |cap| (cap.source, cap.period),
        Part::Cap,
        true,
    ));
    if before.expiry_months != after.expiry_months {
        let placed = |months| Placed {
            index: 0,
            part: Part::ExpiryMonths(months),
        };
        all.push(Difference {
            kind: Kind::Changed,
            before: Some(placed(before.expiry_months)),
            after: Some(placed(after.expiry_months)),
            example: None,
        });
    }
    for difference in &mut all {
        difference.example = example(difference, before, after);
    }
    all
}

/// An empty urgency is any.
fn rule_key(rule: &EarnRule) -> (Source, String, String) {
    match rule {
        EarnRule::Service { category, .. } => (Source::Service, category.clone(), String::new()),
        EarnRule::Report {
            category, urgency, ..
        } => {
            let urgency = if urgency.is_empty() { "*" } else { urgency };
            (Source::Report, category.clone(), urgency.to_owned())
        }
    }
}

fn differences<T: Clone + PartialEq, K: PartialEq>(
    before: &[T],
    after: &[T],
    key: impl Fn(&T) -> K,
    part: impl Fn(T) -> Part,
    order_matters: bool,
) -> Vec<Difference> {
    let placed = |list: &[T], index: usize| {
        list.get(index).cloned().map(|value| Placed {
            index,
            part: part(value),
        })
    };
    let difference = |kind, before, after| Difference {
        kind,
        before,
        after,
        example: None,
    };
    // Of several parts for the same thing, the first is the first.
    let mut taken = vec![false; before.len()];
    let mut pairs: Vec<(usize, Option<usize>)> = Vec::with_capacity(after.len());
    for (index, value) in after.iter().enumerate() {
        let old = (0..before.len()).find(|old| !taken[*old] && key(&before[*old]) == key(value));
        if let Some(old) = old {
            taken[old] = true;
        }
        pairs.push((index, old));
    }
    let mut in_order: Vec<usize> = pairs.iter().filter_map(|(_, old)| *old).collect();
    in_order.sort_unstable();
    let mut in_order = in_order.into_iter();
    let mut all = Vec::new();
    for (index, old) in pairs {
        let new = placed(after, index);
        let Some(old) = old else {
            all.push(difference(Kind::Added, None, new));
            continue;
        };
        // All multipliers that match apply, so their order says nothing.
        let stays = in_order.next() == Some(old) || !order_matters;
        let is_same = before[old] == after[index];
        let kind = match (is_same, stays) {
            (true, true) => continue,
            (true, false) => Kind::Moved,
            (false, _) => Kind::Changed,
        };
        all.push(difference(kind, placed(before, old), new));
    }
    let removed = (0..before.len()).filter(|old| !taken[*old]);
    all.extend(removed.map(|old| difference(Kind::Removed, placed(before, old), None)));
    all
}

/// An hour of service that a rule or multiplier is about.
fn example(difference: &Difference, before: &Policy, after: &Policy) -> Option<Example> {
    let placed = difference.after.as_ref().or(difference.before.as_ref())?;
    let plain = |category: &str| (category.to_owned(), Role::Member, 2);
    let (category, role, day_of_month) = match &placed.part {
        Part::Rule(EarnRule::Service { category, .. }) => plain(category),
        Part::Multiplier(multiplier) => match &multiplier.when {
            Condition::DayOfMonth(day) => ("*".to_owned(), Role::Member, *day),
            Condition::Role(role) => ("*".to_owned(), *role, 2),
            Condition::Category(category) => plain(category),
        },
        Part::Rule(EarnRule::Report { .. }) | Part::Cap(_) | Part::ExpiryMonths(_) => return None,
    };
    let deed = Deed {
        category: &category,
        effort: Effort::Service {
            role,
            minutes: Example::MINUTES,
        },
        // A month of 31 days.
        local_date: NaiveDate::from_ymd_opt(2024, 1, day_of_month)?,
    };
    let earned = |policy: &Policy| policy.earn(&deed, &[]).ok().map(|earned| earned.desired);
    let (before, after) = (earned(before)?, earned(after)?);
    Some(Example {
        category: category.clone(),
        role,
        day_of_month,
        before,
        after,
    })
}

impl Difference {
    /// The difference in a Chinese sentence.
    pub fn text_zh(&self) -> String {
        let (before, after) = self.sides(Part::text_zh);
        match self.kind {
            Kind::Added => format!("新增：{after}"),
            Kind::Removed => format!("删除：{before}"),
            Kind::Changed => format!("更改：{before} → {after}"),
            Kind::Moved => format!(
                "顺序变动：{after}（第 {} 条 → 第 {} 条）",
                self.old_place(),
                self.new_place()
            ),
        }
    }

    /// The same in English.
    pub fn text_en(&self) -> String {
        let (before, after) = self.sides(Part::text_en);
        match self.kind {
            Kind::Added => format!("added: {after}"),
            Kind::Removed => format!("removed: {before}"),
            Kind::Changed => format!("changed: {before} → {after}"),
            Kind::Moved => format!(
                "moved: {after} (from place {} to {})",
                self.old_place(),
                self.new_place()
            ),
        }
    }

    fn sides(&self, text: impl Fn(&Part) -> String) -> (String, String) {
        let side = |placed: &Option<Placed>| {
            let placed = placed.as_ref().map(|placed| text(&placed.part));
            placed.unwrap_or_default()
        };
        (side(&self.before), side(&self.after))
    }

    fn old_place(&self) -> usize {
        self.before.as_ref().map_or(0, |placed| placed.index + 1)
    }

    fn new_place(&self) -> usize {
        self.after.as_ref().map_or(0, |placed| placed.index + 1)
    }
}

impl Part {
    fn text_zh(&self) -> String {
        let any = |text: &str| match text {
            "*" | "" => "所有".to_owned(),
            text => text.to_owned(),
        };
        match self {
            Self::Rule(EarnRule::Service { category, per_hour }) => {
                format!("服务（{}）每小时 {per_hour}", any(category))
            }
            Self::Rule(EarnRule::Report {
                category,
                urgency,
                fixed,
            }) => format!("上报（{}，{}）每次 {fixed}", any(category), any(urgency)),
            Self::Multiplier(multiplier) => multiplier_zh(multiplier),
            Self::Cap(cap) => {
                let source = match cap.source {
                    None => "全部来源",
                    Some(Source::Service) => "服务",
                    Some(Source::Report) => "上报",
                };
                let period = match cap.period {
                    Period::Day => "每日",
                    Period::Month => "每月",
                };
                format!("{source}{period}上限 {}", cap.limit)
            }
            Self::ExpiryMonths(Some(months)) => format!("积分在发放当月之后 {months} 个月到期"),
            Self::ExpiryMonths(None) => "积分永不到期".to_owned(),
        }
    }

    fn text_en(&self) -> String {
        let any = |text: &str| match text {
            "*" | "" => "all".to_owned(),
            text => text.to_owned(),
        };
        match self {
            Self::Rule(EarnRule::Service { category, per_hour }) => {
                format!("services ({}), {per_hour} an hour", any(category))
            }
            Self::Rule(EarnRule::Report {
                category,
                urgency,
                fixed,
            }) => format!(
                "reports ({}, {}), {fixed} each",
                any(category),
                any(urgency)
            ),
            Self::Multiplier(multiplier) => multiplier_en(multiplier),
            Self::Cap(cap) => {
                let source = match cap.source {
                    None => "all sources",
                    Some(Source::Service) => "services",
                    Some(Source::Report) => "reports",
                };
                let period = match cap.period {
                    Period::Day => "day",
                    Period::Month => "month",
                };
                format!("cap of {} a {period} for {source}", cap.limit)
            }
            Self::ExpiryMonths(Some(months)) => {
                format!("points expire {months} months after the month of their grant")
            }
            Self::ExpiryMonths(None) => "points never expire".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(category: &str, per_hour: i64) -> EarnRule {
        EarnRule::Service {
            category: category.to_owned(),
            per_hour,
        }
    }

    fn policy(rules: &[(&str, i64)]) -> Policy {
        Policy {
            earn_rules: rules
                .iter()
                .map(|(category, rate)| service(category, *rate))
                .collect(),
            multipliers: vec![],
            caps: vec![],
            expiry_months: Some(6),
        }
    }

    fn texts(before: &Policy, after: &Policy) -> Vec<String> {
        compare(before, after)
            .iter()
            .map(Difference::text_en)
            .collect()
    }

    #[test]
    fn the_same_policy_does_not_differ_from_itself() {
        let policy = policy(&[("care", 10), ("*", 5), ("*", 5)]);
        assert_eq!(compare(&policy, &policy), []);
    }

    #[test]
    fn rules_are_added_removed_changed_and_moved() {
        let before = policy(&[("care", 10), ("patrol", 8), ("*", 5), ("old", 1)]);
        let after = policy(&[("patrol", 8), ("care", 12), ("new", 3), ("*", 5)]);
        assert_eq!(
            texts(&before, &after),
            [
                "moved: services (patrol), 8 an hour (from place 2 to 1)",
                "changed: services (care), 10 an hour → services (care), 12 an hour",
                "added: services (new), 3 an hour",
                "removed: services (old), 1 an hour",
            ]
        );
        let differences = compare(&before, &after);
        let example = differences[1].example.as_ref().unwrap();
        assert_eq!((example.before, example.after), (10, 12));
        // Nobody else has a rule for it, so the rule for all had it.
        let added = differences[2].example.as_ref().unwrap();
        assert_eq!((added.before, added.after), (5, 3));
    }

    #[test]
    fn multipliers_caps_and_expiry_are_told_with_both_values() {
        let before = Policy {
            multipliers: vec![Multiplier {
                factor: "1.5".parse().unwrap(),
                when: Condition::Role(Role::Leader),
            }],
            caps: vec![Cap {
                source: None,
                period: Period::Day,
                limit: 60,
            }],
            ..policy(&[("*", 10)])
        };
        let after = Policy {
            multipliers: vec![Multiplier {
                factor: "2".parse().unwrap(),
                when: Condition::Role(Role::Leader),
            }],
            caps: vec![Cap {
                source: None,
                period: Period::Day,
                limit: 40,
            }],
            expiry_months: None,
            ..policy(&[("*", 10)])
        };
        assert_eq!(
            texts(&before, &after),
            [
                "changed: Leaders: times 1.5 → Leaders: times 2",
                "changed: cap of 60 a day for all sources → cap of 40 a day for all sources",
                "changed: points expire 6 months after the month of their grant → points never expire",
            ]
        );
        let differences = compare(&before, &after);
        let example = differences[0].example.as_ref().unwrap();
        assert_eq!(
            (example.role, example.before, example.after),
            (Role::Leader, 15, 20)
        );
        assert_eq!(
            differences[2].text_zh(),
            "更改：积分在发放当月之后 6 个月到期 → 积分永不到期"
        );
    }
}
