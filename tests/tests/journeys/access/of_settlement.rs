//! How settlement is asked about a merchant.

use journeys::World;
use serde_json::{Value, json};

/// A request about a merchant's statements; nothing, when the method is not of settlement.
pub(super) fn request(world: &World, merchant: &str, method: &str) -> Option<Value> {
    let parent = world.community_name();
    let settled = format!("{merchant}/programmes/{}", world.programme);
    let statement = format!("{settled}/statements/2026-03-02");
    let request = match method {
        "GetDailyStatement" | "ConfirmStatement" => json!({"name": statement}),
        "ListStatements" => json!({"parent": parent, "merchant": merchant}),
        "ListStatementEntries" => json!({"parent": statement}),
        "DisputeEntry" => json!({"name": statement, "line": 1, "reason": "no"}),
        "AcceptDispute" => {
            json!({"name": statement, "line": 1, "points": 1, "resolution": "yes"})
        }
        "DeclineDispute" => json!({"name": statement, "line": 1, "resolution": "no"}),
        "PayStatement" => json!({"name": statement, "paymentReference": "T1"}),
        "DownloadStatements" => json!({
            "parent": settled, "format": "FILE_FORMAT_CSV",
            "startDate": {"year": 2026, "month": 3, "day": 1}, "endDate": {"year": 2026, "month": 3, "day": 2},
        }),
        _ => return None,
    };
    Some(request)
}
