//! What refusals of problem reports are called.

use tonic::Code;

use super::error::{Naming, of};
use crate::domain::refusal::{ReportRefusal, Resource};

/// The code, the reason, the Chinese text and the values of a refusal.
pub(super) fn naming(refusal: &ReportRefusal) -> Naming {
    let told = |reason, text_zh, metadata| Naming {
        code: Code::FailedPrecondition,
        reason,
        text_zh,
        metadata,
    };
    let with = |report, more: &[(&'static str, String)]| {
        let mut metadata = of(Resource::Report, report);
        metadata.extend_from_slice(more);
        metadata
    };
    match refusal {
        ReportRefusal::AmountOutOfRange { report } => told(
            "AMOUNT_OUT_OF_RANGE",
            format!("上报 {report} 的积分超出可计算的范围"),
            with(report, &[]),
        ),
        ReportRefusal::CategoryUnknown { category } => Naming {
            code: Code::InvalidArgument,
            reason: "CATEGORY_UNKNOWN",
            text_zh: format!("类别 {category} 不在该项目的上报类别中"),
            metadata: vec![("category", category.clone())],
        },
        ReportRefusal::ReportingSuspended { member, until } => {
            let until = until.to_rfc3339();
            told(
                "REPORTING_SUSPENDED",
                format!("因多次恶意上报，{until} 前不能上报；紧急情况仍可上报"),
                [of(Resource::Member, member), vec![("until", until)]].concat(),
            )
        }
        ReportRefusal::SelfTriage { report } => told(
            "SELF_TRIAGE",
            format!("上报 {report} 不能由上报人本人受理"),
            with(report, &[]),
        ),
        ReportRefusal::NotEarlier { report, other } => told(
            "NOT_EARLIER",
            format!("上报 {other} 不早于上报 {report}，先报者得积分"),
            with(report, &[("other", other.to_string())]),
        ),
        ReportRefusal::NotAnOriginal { other, state } => told(
            "NOT_AN_ORIGINAL",
            format!("上报 {other} 的状态是 {state}，不能作为重复上报的原件"),
            with(other, &[("state", state.clone())]),
        ),
        ReportRefusal::OriginalUndecided { other } => told(
            "NOT_AN_ORIGINAL",
            format!("上报 {other} 尚未受理，请先处理该上报"),
            with(other, &[("state", "SUBMITTED".to_owned())]),
        ),
        ReportRefusal::ReopenWindowClosed { report, until } => {
            let until = until.to_rfc3339();
            told(
                "REOPEN_WINDOW_CLOSED",
                format!("上报 {report} 的重新处理期限已于 {until} 结束，请重新上报"),
                with(report, &[("until", until)]),
            )
        }
        ReportRefusal::DetailLimit { report, limit } => told(
            "DETAIL_LIMIT",
            format!("上报 {report} 已补充 {limit} 次，不能再补充"),
            with(report, &[("limit", limit.to_string())]),
        ),
    }
}
