//! How payouts are asked about.

use journeys::World;
use serde_json::{Value, json};

/// A request about a programme's payouts or a member's part in them; nothing, when the method is not of payouts.
pub(super) fn request(world: &World, member: &str, method: &str) -> Option<Value> {
    let programme = world.programme_name();
    let payout = format!("{}/payouts/{}", world.community_name(), world.id());
    let request = match method {
        "CreatePayout" => json!({"parent": programme, "cutoffTime": "2026-01-01T00:00:00Z"}),
        "ListPayouts" | "ListPublicRewards" => json!({"parent": programme}),
        "GetPayout" => json!({"name": payout}),
        "ListPayoutLines" => json!({"parent": payout}),
        "ExportPayout" => {
            json!({"name": payout, "format": "PAYOUT_FORMAT_CSV", "reason": "no"})
        }
        "ConfirmPayout" => json!({"name": payout, "hash": "0"}),
        "CancelPayout" => json!({"name": payout, "reason": "no"}),
        "GetCashBalance" => json!({"name": member, "programme": programme}),
        "GetPublicRewards" => {
            json!({"name": programme, "date": {"year": 2026, "month": 3, "day": 1}})
        }
        _ => return None,
    };
    Some(request)
}
