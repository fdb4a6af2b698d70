//! Requests about the audit log.

use proto::{access::v1 as access_pb, redemption::v1 as pb};
use runtime::{Access, timestamp};
use tonic::Status;

use super::{
    read::{self, Asked, fields},
    status,
};
use crate::{
    Redemption,
    call::CANCELLED,
    store::{self, AuditFilter},
};

pub(super) async fn list(
    service: &Redemption,
    access: &Access,
    request: pb::ListAuditEntriesRequest,
) -> Result<pb::ListAuditEntriesResponse, Status> {
    let mut fields = fields(access);
    let filter = AuditFilter {
        community: read::parent(&mut fields, &request.parent),
        subject: fields.optional_text("subject", &request.subject, 120),
        start: fields.optional_time("start_time", &request.start_time),
        end: fields.optional_time("end_time", &request.end_time),
    };
    let query = format!("ListAuditEntries {filter:?}");
    let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
    fields.finish()?;
    let rows = service.list_audit_entries(&filter, asked.page()).await?;
    let (rows, next_page_token) = asked.cut(rows, |row| (row.recorded_at, row.request_id));
    Ok(pb::ListAuditEntriesResponse {
        entries: rows.into_iter().map(message).collect(),
        next_page_token,
    })
}

fn message(asked: store::Asked) -> access_pb::AuditEntry {
    let roles = asked.roles.split(", ").filter_map(|role| {
        let name = format!("ROLE_{}", role.to_ascii_uppercase());
        access_pb::Role::from_str_name(&name)
    });
    let refusal = asked
        .refusal
        .as_ref()
        .map(|refusal| status::reason(refusal).0);
    access_pb::AuditEntry {
        request_id: asked.request_id.to_string(),
        method: match &asked.method[..] {
            CANCELLED => "CancelRedemptionByRequestId".to_owned(),
            _ => asked.method,
        },
        resource: asked.resource,
        subject: asked.subject,
        roles: roles.map(i32::from).collect(),
        refusal: refusal.unwrap_or_default().to_owned(),
        reason: String::new(),
        create_time: Some(timestamp(asked.recorded_at)),
    }
}
