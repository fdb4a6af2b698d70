//! Refusals of settlement, as [`super`] tells all others.

use tonic::Code;

use super::{numbers, upper};
use crate::domain::SettlementRefusal as Refusal;

pub(super) fn reason(refusal: &Refusal) -> (&'static str, Code) {
    match refusal {
        Refusal::StatementState { .. } | Refusal::DisputeState { .. } => {
            ("WRONG_STATE", Code::FailedPrecondition)
        }
        Refusal::StatementClosed { .. } => ("STATEMENT_CLOSED", Code::FailedPrecondition),
        Refusal::NoLine { .. } | Refusal::NoDispute { .. } => {
            ("RESOURCE_NOT_FOUND", Code::NotFound)
        }
        Refusal::DisputedBefore { .. } => ("RESOURCE_EXISTS", Code::AlreadyExists),
        Refusal::SecondPerson { .. } => ("SECOND_PERSON_REQUIRED", Code::FailedPrecondition),
        Refusal::TooLong { .. } => ("STATEMENT_TOO_LONG", Code::FailedPrecondition),
    }
}

pub(super) fn text_en(refusal: &Refusal) -> String {
    match refusal {
        Refusal::StatementState { date, state } => {
            format!("the statement of {date} is {}", upper(state.as_str()))
        }
        Refusal::StatementClosed { date, state } => format!(
            "the statement of {date} is {} and takes no disputes any more",
            upper(state.as_str())
        ),
        Refusal::NoLine { date, line } => format!("the statement of {date} has no line {line}"),
        Refusal::NoDispute { date, line } => {
            format!("line {line} of the statement of {date} is not disputed")
        }
        Refusal::DisputedBefore { date, line } => {
            format!("line {line} of the statement of {date} was disputed before")
        }
        Refusal::DisputeState { date, line, state } => format!(
            "the dispute of line {line} of the statement of {date} is {}",
            upper(state)
        ),
        Refusal::SecondPerson { date } => {
            format!("somebody else has to decide on the statement of {date}")
        }
        Refusal::TooLong { most } => {
            format!("a file takes at most {most} lines: ask for fewer days")
        }
    }
}

pub(super) fn text_zh(refusal: &Refusal) -> String {
    match refusal {
        Refusal::StatementState { date, state } => format!(
            "{date} 的对账单当前状态为 {},不能执行此操作",
            upper(state.as_str())
        ),
        Refusal::StatementClosed { date, .. } => {
            format!("{date} 的对账单已确认,不能再提出异议")
        }
        Refusal::NoLine { date, line } => format!("{date} 的对账单没有第 {line} 行"),
        Refusal::NoDispute { date, line } => format!("{date} 对账单第 {line} 行没有异议"),
        Refusal::DisputedBefore { date, line } => {
            format!("{date} 对账单第 {line} 行已提出过异议")
        }
        Refusal::DisputeState { date, line, .. } => {
            format!("{date} 对账单第 {line} 行的异议已处理完毕")
        }
        Refusal::SecondPerson { date } => format!("{date} 的对账单须由另一人处理"),
        Refusal::TooLong { most } => format!("一个文件最多 {most} 行,请缩短日期范围"),
    }
}

pub(super) fn metadata(refusal: &Refusal) -> Vec<(&'static str, String)> {
    let place = |date: &chrono::NaiveDate, line: &i32| {
        vec![
            ("business_date", date.to_string()),
            ("line", line.to_string()),
        ]
    };
    match refusal {
        Refusal::StatementState { date, state } | Refusal::StatementClosed { date, state } => {
            vec![
                ("business_date", date.to_string()),
                ("state", upper(state.as_str())),
            ]
        }
        Refusal::NoLine { date, line }
        | Refusal::NoDispute { date, line }
        | Refusal::DisputedBefore { date, line } => place(date, line),
        Refusal::DisputeState { date, line, state } => {
            let mut all = place(date, line);
            all.push(("state", upper(state)));
            all
        }
        Refusal::SecondPerson { date } => vec![("business_date", date.to_string())],
        Refusal::TooLong { most } => numbers([("most", *most)]),
    }
}
