//! How tills, cards and codes are asked about.

use journeys::World;
use serde_json::{Value, json};

use super::Corner;

/// A request about a shop's tills, or what members show there; nothing, when the method is about something else.
pub(super) fn request(world: &World, corner: &Corner, method: &str) -> Option<Value> {
    let (parent, programme) = (world.community_name(), world.programme_name());
    let (member, merchant) = (&corner.member.name, &corner.merchant.name);
    let request = match method {
        "CreateStore" => json!({
            "parent": merchant,
            "store": {"number": world.id()[24..], "displayName": "Corner"},
        }),
        "ListStores" | "ListTerminals" => json!({"parent": merchant}),
        "CreatePairingCode" => json!({"parent": corner.store}),
        "PairTerminal" => json!({"parent": parent, "code": "0000-0000", "displayName": "Till"}),
        "RotateTerminalKey" | "GetTerminal" => json!({"name": corner.terminal}),
        "RevokeTerminal" => json!({"name": corner.terminal, "reason": "no"}),
        "CreateMemberCode" | "CreateMemberCard" | "ListMemberCards" => json!({"parent": member}),
        "ResolveMemberCode" => {
            json!({"parent": parent, "merchant": merchant, "code": "770000000000000008"})
        }
        "CreateOfflineCodes" => {
            json!({"parent": member, "programme": programme, "count": 1, "points": 1})
        }
        "ListOfflineCodes" => json!({"parent": member}),
        "SubmitOfflineRedemption" => json!({
            "parent": parent, "code": "lo1.A", "offer": corner.offer, "quantity": 1, "redeemTime": "2026-01-01T00:00:00Z",
        }),
        "ResetMemberCardPin" | "RevokeMemberCard" => json!({"name": corner.card}),
        "GetVerifierKey" | "GetOfflineCodeKeys" => json!({}),
        _ => return None,
    };
    Some(request)
}
