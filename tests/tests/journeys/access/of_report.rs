//! How the methods of problem reports are asked.

use journeys::World;
use serde_json::{Value, json};

/// A request that is about a report, or about its reporter.
pub(super) fn request(world: &World, (report, member): (&str, &str), method: &str) -> Value {
    let (parent, programme) = (world.community_name(), world.programme_name());
    match method {
        "CreateReport" => json!({"parent": parent, "report": {
            "programme": programme, "member": member, "category": "litter", "place": {"text": "Gate 3"},
        }}),
        "AddReportDetail" => json!({"name": report, "text": "more"}),
        "AcceptReport" | "SuggestDuplicates" | "StartReport" | "CloseReport" | "GetReport" => {
            json!({"name": report})
        }
        "RejectReport" | "HandBackReport" | "ReopenReport" => {
            json!({"name": report, "reason": "no"})
        }
        "MarkReportDuplicate" => json!({"name": report, "duplicateOf": report}),
        "ReferReport" => json!({"name": report, "referredTo": "12345", "note": "T1"}),
        "AssignReport" => json!({"name": report, "assignee": {"member": member}}),
        "AddReportProgress" | "ResolveReport" => json!({"name": report, "note": "so"}),
        "RateReport" => json!({"name": report, "rating": 5}),
        "SetReportVisibility" => json!({
            "name": report, "visibility": "REPORT_VISIBILITY_PRIVATE", "reason": "no",
        }),
        "ListReports" => json!({"parent": parent, "member": member}),
        "ListReportEvents" => json!({"parent": report}),
        "ListPublicReports" => json!({"parent": programme}),
        "GetReportSettings" => json!({"name": format!("{programme}/reportSettings")}),
        "SetReportSettings" => {
            json!({"name": format!("{programme}/reportSettings"), "reportSettings": {}})
        }
        other => panic!("say how {other} is asked"),
    }
}
