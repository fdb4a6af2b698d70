//! How services and the oversight of them are asked about.

use journeys::World;
use serde_json::{Value, json};

/// A request about a service record, its member or all of a programme; nothing, when the method is not about services.
pub(super) fn request(
    world: &World,
    (record, member): (&str, &str),
    method: &str,
) -> Option<Value> {
    let (parent, programme) = (world.community_name(), world.programme_name());
    let settings = format!("{programme}/serviceSettings");
    let request = match method {
        "CreateServiceRecord" => json!({"parent": parent, "serviceRecord": {
            "programme": programme, "member": member, "role": "SERVICE_ROLE_MEMBER", "category": "care",
            "activity": "A walk", "startTime": "2026-03-01T01:00:00Z", "endTime": "2026-03-01T02:00:00Z",
        }}),
        "VerifyServiceRecord" | "GetServiceRecord" => json!({"name": record}),
        "RejectServiceRecord" | "RevokeServiceRecord" => {
            json!({"name": record, "reason": "no"})
        }
        "ListServiceRecords" => json!({"parent": parent, "member": member}),
        "AddServiceEvidence" => json!({"name": record, "evidence": ["photos/1"]}),
        "GetServiceSettings" => json!({"name": settings}),
        "SetServiceSettings" => json!({"name": settings, "serviceSettings": {}, "reason": "no"}),
        "ListServiceAnomalies" | "ListPublicLateServices" => json!({"parent": programme}),
        _ => return None,
    };
    Some(request)
}
