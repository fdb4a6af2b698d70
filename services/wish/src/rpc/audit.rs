//! The audit log.

use proto::{access::v1 as access_pb, wish::v1 as pb};
use runtime::Access;
use tonic::{Request, Status};

use super::{Place, community, error, fields};
use crate::{
    Wishes,
    store::answer::{Asked, AuditFilter},
};

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListAuditEntriesRequest>,
) -> Result<pb::ListAuditEntriesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let filter = AuditFilter {
        community: community(&mut fields, "parent", &request.parent),
        subject: fields.optional_text("subject", &request.subject, 120),
        start: fields.optional_time("start_time", &request.start_time),
        end: fields.optional_time("end_time", &request.end_time),
    };
    let query = format!("ListAuditEntries {filter:?}");
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let page = wishes
        .list_audit_entries(&filter, place.after, place.size)
        .await?;
    Ok(pb::ListAuditEntriesResponse {
        next_page_token: place.next_page_token(&page),
        entries: page.items.into_iter().map(encode).collect(),
    })
}

fn encode(asked: Asked) -> access_pb::AuditEntry {
    let roles = asked.roles.split(", ").filter_map(|role| {
        let name = format!("ROLE_{}", role.to_ascii_uppercase());
        access_pb::Role::from_str_name(&name)
    });
    let refusal = asked.refusal.as_ref().map(error::reason);
    access_pb::AuditEntry {
        request_id: asked.request_id.to_string(),
        method: asked.method,
        resource: asked.resource,
        subject: asked.subject,
        roles: roles.map(i32::from).collect(),
        refusal: refusal.unwrap_or_default().to_owned(),
        reason: asked.reason.unwrap_or_default(),
        create_time: Some(runtime::timestamp(asked.recorded_at)),
    }
}
