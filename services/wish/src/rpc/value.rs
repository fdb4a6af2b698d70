//! Ceilings of what wishes may be worth.

use proto::wish::v1 as pb;
use runtime::{Access, Deadline, timestamp};
use tonic::{Request, Status};

use super::{
    call, fields, required, resource,
    wish::{PROGRAMMES, read_value},
};
use crate::{Wishes, domain::value::ValueCeilings};

pub(super) async fn set(
    wishes: &Wishes,
    request: Request<pb::SetValueCeilingsRequest>,
) -> Result<pb::ValueCeilings, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let asked = required(&mut fields, "ceilings", request.ceilings.clone());
    let name = &asked.programme;
    let (community, programme) = resource(&mut fields, "ceilings.programme", name, PROGRAMMES);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &name[..]);
    let call = call(&access, about, request_id, "SetValueCeilings", &request);
    let ceilings = ValueCeilings {
        individual: read_value(&mut fields, "ceilings.individual", asked.individual),
        common: read_value(&mut fields, "ceilings.common", asked.common),
        ..ValueCeilings::none(community, programme)
    };
    fields.finish()?;
    let set = wishes.set_value_ceilings(&call, ceilings, deadline).await?;
    Ok(encode(&set))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetValueCeilingsRequest>,
) -> Result<pb::ValueCeilings, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "programme", &request.programme, PROGRAMMES);
    fields.finish()?;
    let ceilings = wishes.get_value_ceilings(community, programme).await?;
    Ok(encode(&ceilings))
}

fn encode(ceilings: &ValueCeilings) -> pb::ValueCeilings {
    let (community, programme) = (ceilings.community.0, ceilings.programme);
    pb::ValueCeilings {
        programme: format!("communities/{community}/{PROGRAMMES}/{programme}"),
        individual: ceilings.individual,
        common: ceilings.common,
        update_time: ceilings.updated_at.map(timestamp),
    }
}
