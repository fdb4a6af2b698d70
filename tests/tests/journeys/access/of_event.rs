//! How the streams of events are asked, and what other services tell.

use journeys::World;
use runtime::Role;
use serde_json::{Value, json};

use super::Corner;

/// A request that is about a member, or about a shop for who stands there; nothing for methods of others.
pub(super) fn request(
    world: &World,
    corner: &Corner,
    method: &str,
    role: Option<Role>,
) -> Option<Value> {
    let (parent, member) = (world.community_name(), &corner.member.name);
    Some(match method {
        "WatchActivityEvents" | "WatchWishEvents" => json!({"parent": parent, "member": member}),
        "WatchRedemptionEvents" => match role {
            Some(Role::Merchant | Role::Terminal) => {
                json!({"parent": parent, "merchant": corner.merchant.name})
            }
            _ => json!({"parent": parent, "member": member}),
        },
        "RecordNotices" => json!({"parent": parent, "notices": [{
            "id": world.id(), "member": member,
            "cardChanged": {"memberCard": corner.card, "kind": "CARD_EVENT_KIND_BLOCKED"},
        }]}),
        _ => return None,
    })
}
