//! Programmes.

use std::time::Duration;

use proto::activity::v1 as pb;
use runtime::{Access, Deadline, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Place, call, chosen_id, community, fields, required, resource};
use crate::{
    Activity,
    domain::{
        Community,
        money::{CASH, CASH_EXPONENT},
        programme::Programme,
    },
    programme::NewProgramme,
};

/// How long the ledger may take to open a programme's accounts, when the caller has more time.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreateProgrammeRequest>,
) -> Result<pb::Programme, Status> {
    let timeout = Deadline::of(&request).remaining(LEDGER_TIMEOUT);
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateProgramme", &request);
    let id = chosen_id(&mut fields, "programme_id", &request.programme_id);
    let programme = required(&mut fields, "programme", request.programme);
    let new = new_programme(&mut fields, id, &programme);
    fields.finish()?;
    let programme = activity.create_programme(&call, new, timeout).await?;
    Ok(encode(programme))
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetProgrammeRequest>,
) -> Result<pb::Programme, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "programmes");
    fields.finish()?;
    Ok(encode(activity.get_programme(community, id).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListProgrammesRequest>,
) -> Result<pb::ListProgrammesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let query = format!("ListProgrammes {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = activity
        .list_programmes(community, after, place.size)
        .await?;
    Ok(pb::ListProgrammesResponse {
        next_page_token: place.next_page_token(&page),
        programmes: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn get_summary(
    activity: &Activity,
    request: Request<pb::GetProgrammeSummaryRequest>,
) -> Result<pb::ProgrammeSummary, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "programmes");
    fields.finish()?;
    let summary = activity.get_programme_summary(community, id).await?;
    Ok(pb::ProgrammeSummary {
        granted: summary.granted,
        awaiting_budget: summary.awaiting,
        grants: summary.grants,
        service_minutes: summary.service_minutes,
        unposted_grants: summary.unposted_grants,
    })
}

fn new_programme(fields: &mut Fields, id: Option<Uuid>, programme: &pb::Programme) -> NewProgramme {
    let asset = &programme.asset;
    let is_code = (1..=16).contains(&asset.len())
        && asset
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    fields.check(
        "programme.asset",
        is_code,
        "1 to 16 of A–Z, a–z, 0–9, \"-\", \"_\"",
    );
    let exponent = fields.range(
        "programme.asset_exponent",
        i64::from(programme.asset_exponent),
        0,
        9,
    );
    let is_fen = *asset != CASH || exponent == i64::from(CASH_EXPONENT);
    fields.check(
        "programme.asset_exponent",
        is_fen,
        "CNY is counted in fen: 2",
    );
    let time_zone = programme.time_zone.parse();
    fields.check(
        "programme.time_zone",
        time_zone.is_ok(),
        "not an IANA time zone, as in Asia/Shanghai",
    );
    if let Some(budget) = programme.budget {
        fields.range("programme.budget", budget, 1, i64::MAX);
    }
    let usual = Programme::USUAL_SECOND_PERSON_DAYS;
    let second_person_days = programme.second_person_days.unwrap_or(usual);
    let days = i64::from(second_person_days);
    fields.range("programme.second_person_days", days, 0, 3650);
    let expiry_notice_days = notice_days(fields, &programme.expiry_notice_days);
    NewProgramme {
        id,
        expiry_notice_days,
        second_person_days,
        display_name: fields.text("programme.display_name", &programme.display_name, 120),
        asset: asset.clone(),
        exponent: i16::try_from(exponent).unwrap_or_default(),
        time_zone: time_zone.unwrap_or(chrono_tz::Tz::UTC),
        budget: programme.budget,
    }
}

/// Largest first.
fn notice_days(fields: &mut Fields, days: &[i32]) -> Vec<i32> {
    const FIELD: &str = "programme.expiry_notice_days";
    if days.is_empty() {
        return Programme::USUAL_EXPIRY_NOTICE_DAYS.to_vec();
    }
    let why = format!("at most 10 of them, not {}", days.len());
    fields.check(FIELD, days.len() <= 10, why);
    for (index, days) in days.iter().enumerate() {
        fields.range(&format!("{FIELD}[{index}]"), i64::from(*days), 1, 366);
    }
    let mut sorted = days.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    fields.check(FIELD, sorted.len() == days.len(), "none may be there twice");
    sorted
}

fn encode(programme: Programme) -> pb::Programme {
    pb::Programme {
        name: name(programme.community, programme.id),
        display_name: programme.display_name,
        asset: programme.asset,
        asset_exponent: i32::from(programme.exponent),
        time_zone: programme.time_zone.name().to_owned(),
        budget: programme.budget,
        second_person_days: Some(programme.second_person_days),
        expiry_notice_days: programme.expiry_notice_days,
        create_time: Some(runtime::timestamp(programme.created_at)),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/programmes/{id}", community.0)
}
