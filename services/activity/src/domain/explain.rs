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
        let mut sentences = vec![self.deed_zh()];
        if self.programme.require_cash().is_ok() {
            sentences.push("现金奖励，以下按分计算".to_owned());
        }
        match (self.revision_number, &self.arithmetic.rule) {
            (None, _) => sentences.push("当时没有生效的积分规则".to_owned()),
            (Some(number), None) => {
                sentences.push(format!("第 {number} 版规则中没有适用的条目"));
            }
            (Some(number), Some((index, rule))) => {
                let (rate, position) = (rate_zh(rule), index + 1);
                sentences.push(format!("适用第 {number} 版规则第 {position} 条{rate}"));
                sentences.extend(self.arithmetic.multipliers.iter().map(multiplier_zh));
                let (formula, desired) = (self.formula(rule), self.arithmetic.desired);
                sentences.push(format!("{formula}，向下取整得 {desired}"));
            }
        }
        sentences.extend(self.arithmetic.caps.iter().map(cap_zh));
        if let Some(left) = self.arithmetic.budget_left {
            sentences.push(format!("此前预算剩余 {left}"));
        }
        sentences.extend(self.waiting_zh());
        sentences.push(self.outcome_zh());
        sentences.join("。") + "。"
    }

    /// The same in English.
    pub fn text_en(&self) -> String {
        let mut sentences = vec![self.deed_en()];
        if self.programme.require_cash().is_ok() {
            sentences.push("A reward in money, worked out in fen".to_owned());
        }
        match (self.revision_number, &self.arithmetic.rule) {
            (None, _) => sentences.push("No earning policy was in force".to_owned()),
            (Some(number), None) => sentences.push(format!("No rule of revision {number} applies")),
            (Some(number), Some((index, rule))) => {
                let (rate, position) = (rate_en(rule), index + 1);
                sentences.push(format!("Rule {position} of revision {number} {rate}"));
                sentences.extend(self.arithmetic.multipliers.iter().map(multiplier_en));
                let (formula, desired) = (self.formula(rule), self.arithmetic.desired);
                sentences.push(format!("{formula}, rounded down: {desired}"));
            }
        }
        sentences.extend(self.arithmetic.caps.iter().map(cap_en));
        if let Some(left) = self.arithmetic.budget_left {
            sentences.push(format!("{left} was left of the budget"));
        }
        sentences.extend(self.waiting_en());
        sentences.push(self.outcome_en());
        sentences.join(". ") + "."
    }

    fn waiting_zh(&self) -> Option<String> {
        if self.grant.state == GrantState::AwaitingBudget {
            return Some("预算不足，整笔等待；有预算后按原数额发放，有效期从发放时起算".to_owned());
        }
        let date = local_date(self.grant.granted_at?, self.programme.time_zone);
        Some(format!(
            "预算不足，等到 {date} 有预算后发放，有效期从该日起算"
        ))
    }

    fn waiting_en(&self) -> Option<String> {
        if self.grant.state == GrantState::AwaitingBudget {
            let text = "Budget is short: it waits, whole, and is granted as it stands once there is budget; its expiry counts from then";
            return Some(text.to_owned());
        }
        let date = local_date(self.grant.granted_at?, self.programme.time_zone);
        Some(format!(
            "It waited for budget until {date}; its expiry counts from then"
        ))
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

    fn deed_zh(&self) -> String {
        match &self.arithmetic.urgency {
            Some(urgency) => format!("上报一件{}", urgency_zh(urgency)),
            None => format!("服务 {} 分钟", self.arithmetic.minutes),
        }
    }

    fn deed_en(&self) -> String {
        match &self.arithmetic.urgency {
            Some(urgency) => format!("Reported a problem of urgency {urgency}"),
            None => format!("Served {} minutes", self.arithmetic.minutes),
        }
    }

    /// `200 × 10 × 1.5 × 1.4 ÷ 60`, or of a report `40 × 1.5`.
    fn formula(&self, rule: &EarnRule) -> String {
        let factors = self
            .arithmetic
            .multipliers
            .iter()
            .map(|multiplier| multiplier.factor.to_string());
        let (mut terms, end) = match rule {
            EarnRule::Service { per_hour, .. } => {
                let minutes = self.arithmetic.minutes.to_string();
                (vec![minutes, per_hour.to_string()], " ÷ 60")
            }
            EarnRule::Report { fixed, .. } => (vec![fixed.to_string()], ""),
        };
        terms.extend(factors);
        terms.join(" × ") + end
    }

    fn expiry_date(&self) -> Option<NaiveDate> {
        self.grant
            .expiry()
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

fn urgency_zh(urgency: &str) -> &str {
    match urgency {
        "red" => "红色问题",
        "yellow" => "黄色问题",
        "blue" => "蓝色问题",
        other => other,
    }
}

fn rate_zh(rule: &EarnRule) -> String {
    let all = |text: &str| if text == "*" { "所有类别" } else { text }.to_owned();
    match rule {
        EarnRule::Service { category, per_hour } => {
            format!("（{}）：每小时 {per_hour}", all(category))
        }
        EarnRule::Report {
            category,
            urgency,
            fixed,
        } => {
            let urgency = match &urgency[..] {
                "" | "*" => "所有问题",
                urgency => urgency_zh(urgency),
            };
            format!("（{}，{urgency}）：每件 {fixed}", all(category))
        }
    }
}

fn rate_en(rule: &EarnRule) -> String {
    let all = |text: &str| if text == "*" { "all categories" } else { text }.to_owned();
    match rule {
        EarnRule::Service { category, per_hour } => {
            format!("({}) gives {per_hour} an hour", all(category))
        }
        EarnRule::Report {
            category,
            urgency,
            fixed,
        } => {
            let urgency = match &urgency[..] {
                "" | "*" => "any urgency",
                urgency => urgency,
            };
            format!("({}, {urgency}) gives {fixed} a report", all(category))
        }
    }
}

pub(super) fn multiplier_zh(multiplier: &Multiplier) -> String {
    let factor = multiplier.factor;
    match &multiplier.when {
        Condition::DayOfMonth(day) => format!("每月 {day} 日乘以 {factor}"),
        Condition::Role(Role::Leader) => format!("带队者乘以 {factor}"),
        Condition::Role(Role::Member) => format!("参加者乘以 {factor}"),
        Condition::Category(category) => format!("类别 {category} 乘以 {factor}"),
    }
}

pub(super) fn multiplier_en(multiplier: &Multiplier) -> String {
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
    use crate::domain::{
        Community,
        policy::{Cap, Effort},
    };
    use chrono::DateTime;
    use uuid::Uuid;

    fn explained() -> Explained {
        let day = |text: &str| text.parse().unwrap();
        let id = Uuid::from_u128(1);
        Explained {
            revision_number: Some(3),
            arithmetic: Arithmetic {
                minutes: 200,
                urgency: None,
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
                expiry_notice_days: vec![30, 7, 1],
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
                granted_at: None,
                posting: 0,
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
    fn a_report_is_explained_by_its_urgency_and_what_it_is_worth() {
        let mut explained = explained();
        explained.arithmetic = Arithmetic {
            urgency: Some("red".to_owned()),
            minutes: 0,
            rule: Some((
                0,
                EarnRule::Report {
                    category: "hazard".to_owned(),
                    urgency: "red".to_owned(),
                    fixed: 40,
                },
            )),
            multipliers: vec![],
            desired: 40,
            caps: vec![],
            capped: 40,
            budget_left: None,
        };
        explained.grant.amount = 40;
        explained.grant.expires_at = None;
        assert_eq!(
            explained.text_en(),
            "Reported a problem of urgency red. Rule 1 of revision 3 (hazard, red) gives 40 a report. 40, rounded down: 40. 40 points \
             are granted and in the account."
        );
        assert_eq!(
            explained.text_zh(),
            "上报一件红色问题。适用第 3 版规则第 1 条（hazard，红色问题）：每件 40。40，向下取整得 40。结果：发放 40 points，已入账。"
        );
    }

    #[test]
    fn nothing_in_force_is_said_so() {
        let mut explained = explained();
        explained.arithmetic = Arithmetic::without_policy(Effort::Service {
            role: Role::Member,
            minutes: 30,
        });
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
