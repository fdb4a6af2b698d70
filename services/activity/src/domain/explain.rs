//! A grant's arithmetic in words, from what was kept when it was decided. Nothing is worked out again.

use chrono::NaiveDate;

use super::{
    calendar::local_date,
    grant::{Grant, GrantState},
    policy::{Arithmetic, CapStep, Condition, EarnRule, Multiplier, Period, Source},
    programme::Programme,
    service_record::Role,
};

/// A grant with everything its explanation needs.
#[derive(Debug, Clone)]
pub struct Explained {
    pub grant: Grant,
    pub arithmetic: Arithmetic,
    pub programme: Programme,
    /// Of the policy revision.
    pub revision_number: Option<i32>,
}

impl Explained {
    /// The whole in a few Chinese sentences.
    pub fn text_zh(&self) -> String {
        let mut sentences = vec![format!("服务 {} 分钟", self.arithmetic.minutes)];
        if self.programme.require_cash().is_ok() {
            sentences.push("现金奖励，以下按分计算".to_owned());
        }
        match (self.revision_number, &self.arithmetic.rule) {
            (None, _) => sentences.push("当时没有生效的积分规则".to_owned()),
            (Some(number), None) => {
                sentences.push(format!("第 {number} 版规则中没有适用的条目"));
            }
            (Some(number), Some((index, rule))) => {
                let (category, per_hour) = service_rate(rule);
                let category = if category == "*" {
                    "所有类别"
                } else {
                    category
                };
                let position = index + 1;
                sentences.push(format!(
                    "适用第 {number} 版规则第 {position} 条（{category}）：每小时 {per_hour}"
                ));
                sentences.extend(self.arithmetic.multipliers.iter().map(multiplier_zh));
                let (formula, desired) = (self.formula(per_hour), self.arithmetic.desired);
                sentences.push(format!("{formula}，向下取整得 {desired}"));
            }
        }
        sentences.extend(self.arithmetic.caps.iter().map(cap_zh));
        if let Some(left) = self.arithmetic.budget_left {
            sentences.push(format!("此前预算剩余 {left}"));
        }
        sentences.push(self.outcome_zh());
        sentences.join("。") + "。"
    }

    /// The same in English.
    pub fn text_en(&self) -> String {
        let mut sentences = vec![format!("Served {} minutes", self.arithmetic.minutes)];
        if self.programme.require_cash().is_ok() {
            sentences.push("A reward in money, worked out in fen".to_owned());
        }
        match (self.revision_number, &self.arithmetic.rule) {
            (None, _) => sentences.push("No earning policy was in force".to_owned()),
            (Some(number), None) => sentences.push(format!("No rule of revision {number} applies")),
            (Some(number), Some((index, rule))) => {
                let (category, per_hour) = service_rate(rule);
                let category = if category == "*" {
                    "all categories"
                } else {
                    category
                };
                let position = index + 1;
                sentences.push(format!(
                    "Rule {position} of revision {number} ({category}) gives {per_hour} an hour"
                ));
                sentences.extend(self.arithmetic.multipliers.iter().map(multiplier_en));
                let (formula, desired) = (self.formula(per_hour), self.arithmetic.desired);
                sentences.push(format!("{formula}, rounded down: {desired}"));
            }
        }
        sentences.extend(self.arithmetic.caps.iter().map(cap_en));
        if let Some(left) = self.arithmetic.budget_left {
            sentences.push(format!("{left} was left of the budget"));
        }
        sentences.push(self.outcome_en());
        sentences.join(". ") + "."
    }

    fn outcome_zh(&self) -> String {
        let amount = self.programme.money(self.grant.amount).text_zh();
        let outcome = match self.grant.state {
            GrantState::Empty if self.programme.require_cash().is_ok() => {
                "结果：没有奖励可发".to_owned()
            }
            GrantState::Empty => "结果：没有积分可发".to_owned(),
            GrantState::AwaitingBudget => format!("结果：{amount} 等待预算"),
            GrantState::Pending => format!("结果：发放 {amount}，正在入账"),
            GrantState::Posted => format!("结果：发放 {amount}，已入账"),
            GrantState::Revoking => format!("结果：发放的 {amount} 正在撤回"),
            GrantState::Revoked => {
                let revoked = self.programme.money(self.grant.revoked_amount).text_zh();
                format!("结果：{amount} 已撤销，收回 {revoked}")
            }
        };
        match self.expiry_date() {
            Some(date) => format!("{outcome}，{date} 到期"),
            None => outcome,
        }
    }

    fn outcome_en(&self) -> String {
        let amount = self.programme.money(self.grant.amount).text_en();
        let outcome = match self.grant.state {
            GrantState::Empty => "Nothing is granted".to_owned(),
            GrantState::AwaitingBudget => format!("{amount} wait for budget"),
            GrantState::Pending => {
                format!("{amount} are granted and on their way to the account")
            }
            GrantState::Posted => format!("{amount} are granted and in the account"),
            GrantState::Revoking => format!("{amount} are being taken back"),
            GrantState::Revoked => {
                let revoked = self.programme.money(self.grant.revoked_amount).text_en();
                format!("{amount} are revoked; {revoked} could be taken back")
            }
        };
        match self.expiry_date() {
            Some(date) => format!("{outcome}; they expire on {date}"),
            None => outcome,
        }
    }

    /// `200 × 10 × 1.5 × 1.4 ÷ 60`.
    fn formula(&self, per_hour: i64) -> String {
        let factors = self
            .arithmetic
            .multipliers
            .iter()
            .map(|multiplier| multiplier.factor.to_string());
        let mut terms = vec![self.arithmetic.minutes.to_string(), per_hour.to_string()];
        terms.extend(factors);
        terms.join(" × ") + " ÷ 60"
    }

    fn expiry_date(&self) -> Option<NaiveDate> {
        self.grant
            .expires_at
            .map(|at| local_date(at, self.programme.time_zone))
    }
}

fn cap_zh(step: &CapStep) -> String {
    let source = match step.cap.source {
        None => "全部来源",
        Some(Source::Service) => "服务",
        Some(Source::Report) => "上报",
    };
    let period = match step.cap.period {
        Period::Day => "每日",
        Period::Month => "每月",
    };
    let CapStep {
        period_start,
        used,
        before,
        after,
        ..
    } = step;
    let effect = if after == before {
        format!("{after} 不变")
    } else {
        format!("{before} 减为 {after}")
    };
    format!(
        "{source}{period}上限 {}（自 {period_start} 起已得 {used}）：{effect}",
        step.cap.limit
    )
}

fn cap_en(step: &CapStep) -> String {
    let source = match step.cap.source {
        None => "all sources",
        Some(Source::Service) => "services",
        Some(Source::Report) => "reports",
    };
    let period = match step.cap.period {
        Period::Day => "day",
        Period::Month => "month",
    };
    let CapStep {
        period_start,
        used,
        before,
        after,
        ..
    } = step;
    let effect = if after == before {
        format!("{after} stays")
    } else {
        format!("{before} becomes {after}")
    };
    format!(
        "Cap of {} a {period} for {source}, {used} used since {period_start}: {effect}",
        step.cap.limit
    )
}

fn service_rate(rule: &EarnRule) -> (&str, i64) {
    match rule {
        EarnRule::Service { category, per_hour } => (category, *per_hour),
        EarnRule::Report {
            category, fixed, ..
        } => (category, *fixed),
    }
}

fn multiplier_zh(multiplier: &Multiplier) -> String {
    let factor = multiplier.factor;
    match &multiplier.when {
        Condition::DayOfMonth(day) => format!("每月 {day} 日乘以 {factor}"),
        Condition::Role(Role::Leader) => format!("带队者乘以 {factor}"),
        Condition::Role(Role::Member) => format!("参加者乘以 {factor}"),
        Condition::Category(category) => format!("类别 {category} 乘以 {factor}"),
    }
}

fn multiplier_en(multiplier: &Multiplier) -> String {
    let factor = multiplier.factor;
    match &multiplier.when {
        Condition::DayOfMonth(day) => format!("Day {day} of the month: times {factor}"),
        Condition::Role(Role::Leader) => format!("Leaders: times {factor}"),
        Condition::Role(Role::Member) => format!("Members: times {factor}"),
        Condition::Category(category) => format!("Category {category}: times {factor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Community, policy::Cap};
    use chrono::DateTime;
    use uuid::Uuid;

    fn explained() -> Explained {
        let day = |text: &str| text.parse().unwrap();
        let id = Uuid::from_u128(1);
        Explained {
            revision_number: Some(3),
            arithmetic: Arithmetic {
                minutes: 200,
                rule: Some((
                    1,
                    EarnRule::Service {
                        category: "*".to_owned(),
                        per_hour: 10,
                    },
                )),
                multipliers: vec![
                    Multiplier {
                        factor: "1.5".parse().unwrap(),
                        when: Condition::DayOfMonth(19),
                    },
                    Multiplier {
                        factor: "1.4".parse().unwrap(),
                        when: Condition::Role(Role::Leader),
                    },
                ],
                desired: 70,
                caps: vec![CapStep {
                    cap: Cap {
                        source: Some(Source::Service),
                        period: Period::Day,
                        limit: 60,
                    },
                    period_start: day("2024-05-19"),
                    used: 5,
                    before: 70,
                    after: 55,
                }],
                capped: 55,
                budget_left: Some(27_500),
            },
            programme: Programme {
                community: Community(id),
                id,
                display_name: "积分".to_owned(),
                asset: "points".to_owned(),
                exponent: 0,
                time_zone: chrono_tz::Tz::Asia__Shanghai,
                budget: Some(27_500),
                second_person_days: 7,
                created_at: DateTime::UNIX_EPOCH,
            },
            grant: Grant {
                community: Community(id),
                id,
                programme: id,
                member: id,
                record: id,
                revision: Some(id),
                source: Source::Service,
                local_date: day("2024-05-19"),
                amount: 55,
                expires_at: Some("2024-11-30T16:00:00Z".parse().unwrap()),
                state: GrantState::Posted,
                counted: 55,
                entry_sequence: Some(7),
                revoked_amount: 0,
                created_at: DateTime::UNIX_EPOCH,
            },
        }
    }

    #[test]
    fn an_explanation_tells_every_step_with_its_numbers() {
        assert_eq!(
            explained().text_en(),
            "Served 200 minutes. Rule 2 of revision 3 (all categories) gives 10 an hour. Day 19 of the month: times \
             1.5. Leaders: times 1.4. 200 × 10 × 1.5 × 1.4 ÷ 60, rounded down: 70. Cap of 60 a day for services, 5 used \
             since 2024-05-19: 70 becomes 55. 27500 was left of the budget. 55 points are granted and in the account; \
             they expire on 2024-12-01."
        );
        assert_eq!(
            explained().text_zh(),
            "服务 200 分钟。适用第 3 版规则第 2 条（所有类别）：每小时 10。每月 19 日乘以 1.5。带队者乘以 1.4。200 × 10 × 1.5 × \
             1.4 ÷ 60，向下取整得 70。服务每日上限 60（自 2024-05-19 起已得 5）：70 减为 55。此前预算剩余 27500。结果：发放 55 \
             points，已入账，2024-12-01 到期。"
        );
    }

    #[test]
    fn nothing_in_force_is_said_so() {
        let mut explained = explained();
        explained.arithmetic = Arithmetic::without_policy(30);
        explained.revision_number = None;
        explained.grant.state = GrantState::Empty;
        explained.grant.expires_at = None;
        assert_eq!(
            explained.text_en(),
            "Served 30 minutes. No earning policy was in force. Nothing is granted."
        );
        assert_eq!(
            explained.text_zh(),
            "服务 30 分钟。当时没有生效的积分规则。结果：没有积分可发。"
        );
    }
}
