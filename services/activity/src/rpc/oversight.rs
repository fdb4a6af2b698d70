//! What keeps hours honest.

use chrono::Datelike;
use proto::activity::v1::{self as pb, oversight_service_server::OversightService};
use runtime::{Access, Fields};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Place, call, fields, member, optional_enumeration, own, programme,
    public::{encode_date, optional_date},
    required, resource, service_record,
};
use crate::{
    Activity,
    domain::{
        Community,
        anomaly::{Anomaly, AnomalyKind, DateRange, Thresholds},
        calendar::local_date,
        call::Call,
        programme::Programme,
        service_limits::{Quota, ServiceSettings, SettingsOf},
    },
    oversight::{AnomalyFilter, LateCursor, PublicLateService},
};

/// What the names of settings end in: a programme has one of them.
const SINGLETON: &str = "/serviceSettings";
const MOST_MINUTES: i64 = 10_000_000;
/// A day when the clocks go back.
const LONGEST_DAY_MINUTES: i64 = 25 * 60;

/// The service as the contract names it.
pub(crate) struct OversightRpc(pub(crate) Activity);

#[tonic::async_trait]
impl OversightService for OversightRpc {
    async fn get_service_settings(
        &self,
        request: Request<pb::GetServiceSettingsRequest>,
    ) -> Result<Response<pb::ServiceSettings>, Status> {
        get_settings(&self.0, request).await.map(Response::new)
    }

    async fn set_service_settings(
        &self,
        request: Request<pb::SetServiceSettingsRequest>,
    ) -> Result<Response<pb::ServiceSettings>, Status> {
        set_settings(&self.0, request).await.map(Response::new)
    }

    async fn add_service_evidence(
        &self,
        request: Request<pb::AddServiceEvidenceRequest>,
    ) -> Result<Response<pb::ServiceRecord>, Status> {
        add_evidence(&self.0, request).await.map(Response::new)
    }

    async fn list_service_anomalies(
        &self,
        request: Request<pb::ListServiceAnomaliesRequest>,
    ) -> Result<Response<pb::ListServiceAnomaliesResponse>, Status> {
        list_anomalies(&self.0, request).await.map(Response::new)
    }

    async fn list_public_late_services(
        &self,
        request: Request<pb::ListPublicLateServicesRequest>,
    ) -> Result<Response<pb::ListPublicLateServicesResponse>, Status> {
        list_late(&self.0, request).await.map(Response::new)
    }
}

async fn get_settings(
    activity: &Activity,
    request: Request<pb::GetServiceSettingsRequest>,
) -> Result<pb::ServiceSettings, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, programme) = read_name(&mut fields, &request.get_ref().name);
    fields.finish()?;
    let found = activity.get_service_settings(community, programme).await?;
    Ok(encode_settings(found))
}

async fn set_settings(
    activity: &Activity,
    request: Request<pb::SetServiceSettingsRequest>,
) -> Result<pb::ServiceSettings, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = read_name(&mut fields, &request.name);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "SetServiceSettings", &request);
    let settings = required(&mut fields, "service_settings", request.service_settings);
    let settings = read_settings(&mut fields, &settings);
    let reason = Some(fields.text("reason", &request.reason, 200));
    fields.finish()?;
    let call = Call { reason, ..call };
    let set = activity
        .set_service_settings(&call, programme, settings)
        .await?;
    Ok(encode_settings(set))
}

async fn add_evidence(
    activity: &Activity,
    request: Request<pb::AddServiceEvidenceRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, "serviceRecords");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "AddServiceEvidence", &request);
    fields.check("evidence", !request.evidence.is_empty(), "required");
    let evidence = service_record::read_evidence(&mut fields, "evidence", &request.evidence);
    fields.finish()?;
    if access.is_limited() {
        let record = activity.find_service_record(community, id).await?;
        let member = record.map(|record| record.member);
        own::found(activity, &access, community, member).await?;
    }
    let record = activity.add_service_evidence(&call, id, evidence).await?;
    Ok(service_record::encode(record))
}

async fn list_anomalies(
    activity: &Activity,
    request: Request<pb::ListServiceAnomaliesRequest>,
) -> Result<pb::ListServiceAnomaliesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    let filter = AnomalyFilter {
        community,
        programme,
        kind: read_kind(&mut fields, request.kind),
        start: optional_date(&mut fields, "start_date", &request.start_date),
        end: optional_date(&mut fields, "end_date", &request.end_date),
    };
    if let (Some(start), Some(end)) = (filter.start, filter.end) {
        let days = (end - start).num_days();
        let most = DateRange::MOST_DAYS;
        let fits = u64::try_from(days).is_ok_and(|days| days <= most);
        let why = format!("from start_date to {most} days after it, not {end}");
        fields.check("end_date", fits, why);
    }
    let query = format!("ListServiceAnomalies {filter:?}");
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.clone();
    let (programme, page) = activity
        .list_service_anomalies(filter, after, place.size)
        .await?;
    let next_page_token = place.next_page_token(&page);
    let anomalies = page.items.into_iter();
    Ok(pb::ListServiceAnomaliesResponse {
        anomalies: anomalies
            .map(|anomaly| encode_anomaly(&programme, anomaly))
            .collect(),
        next_page_token,
    })
}

async fn list_late(
    activity: &Activity,
    request: Request<pb::ListPublicLateServicesRequest>,
) -> Result<pb::ListPublicLateServicesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let programme = resource(&mut fields, "parent", &request.parent, "programmes");
    let date = optional_date(&mut fields, "date", &request.date);
    let query = format!("ListPublicLateServices {} {date:?}", request.parent);
    let page = (request.page_size, &request.page_token[..]);
    let place: Place<LateCursor> = Place::read(&mut fields, query, page);
    if let Some((day, _)) = &place.after {
        let is_date = (1..=9999).contains(&day.year());
        fields.check(
            "page_token",
            is_date,
            "not a next_page_token of this method",
        );
    }
    fields.finish()?;
    let (programme, page) = activity
        .list_public_late_services(programme, date, place.after.clone(), place.size)
        .await?;
    let next_page_token = place.next_page_token(&page);
    let services = page.items.into_iter();
    Ok(pb::ListPublicLateServicesResponse {
        services: services
            .map(|service| encode_late(&programme, service))
            .collect(),
        next_page_token,
    })
}

fn read_name(fields: &mut Fields, name: &str) -> (Community, Uuid) {
    match name.strip_suffix(SINGLETON) {
        Some(programme) => resource(fields, "name", programme, "programmes"),
        None if name.is_empty() => resource(fields, "name", name, "programmes"),
        None => {
            let form = "not of the form communities/{uuid}/programmes/{uuid}/serviceSettings";
            fields.fail("name", form);
            (Community(Uuid::nil()), Uuid::nil())
        }
    }
}

fn read_settings(fields: &mut Fields, settings: &pb::ServiceSettings) -> ServiceSettings {
    let at = |field: &str| format!("service_settings.{field}");
    let usual = ServiceSettings::default();
    let leader_quota = settings.leader_quota.unwrap_or_default();
    let staff_quota = settings.staff_quota.unwrap_or_default();
    ServiceSettings {
        member_day_minutes: number(
            fields,
            &at("member_day_minutes"),
            settings.member_day_minutes,
            (1, LONGEST_DAY_MINUTES),
        )
        .unwrap_or(usual.member_day_minutes),
        leader_quota: read_quota(fields, &at("leader_quota"), leader_quota),
        staff_quota: read_quota(fields, &at("staff_quota"), staff_quota),
        evidence_over_minutes: number(
            fields,
            &at("evidence_over_minutes"),
            settings.evidence_over_minutes,
            (0, 1_440),
        ),
        evidence_late_hours: number(
            fields,
            &at("evidence_late_hours"),
            settings.evidence_late_hours,
            (0, 87_600),
        ),
        thresholds: read_thresholds(
            fields,
            &at("anomaly_thresholds"),
            settings.anomaly_thresholds.unwrap_or_default(),
        ),
    }
}

fn read_quota(fields: &mut Fields, field: &str, quota: pb::RecorderQuota) -> Quota {
    let mut minutes =
        |part: &str, value| number(fields, &format!("{field}.{part}"), value, (1, MOST_MINUTES));
    Quota {
        day_minutes: minutes("day_minutes", quota.day_minutes),
        month_minutes: minutes("month_minutes", quota.month_minutes),
    }
}

fn read_thresholds(
    fields: &mut Fields,
    field: &str,
    thresholds: pb::AnomalyThresholds,
) -> Thresholds {
    let usual = Thresholds::default();
    let mut read = |part: &str, value: Option<i32>, range: (i64, i64), usual: i32| {
        number(fields, &format!("{field}.{part}"), value, range).unwrap_or(usual)
    };
    Thresholds {
        burst_minutes: read(
            "burst_minutes",
            thresholds.burst_minutes,
            (1, MOST_MINUTES),
            usual.burst_minutes,
        ),
        burst_window_minutes: read(
            "burst_window_minutes",
            thresholds.burst_window_minutes,
            (1, 1_440),
            usual.burst_window_minutes,
        ),
        identical_members: read(
            "identical_members",
            thresholds.identical_members,
            (1, 100_000),
            usual.identical_members,
        ),
        long_day_minutes: read(
            "long_day_minutes",
            thresholds.long_day_minutes,
            (1, LONGEST_DAY_MINUTES),
            usual.long_day_minutes,
        ),
        one_person_percent: read(
            "one_person_percent",
            thresholds.one_person_percent,
            (1, 100),
            usual.one_person_percent,
        ),
        one_person_minutes: read(
            "one_person_minutes",
            thresholds.one_person_minutes,
            (1, MOST_MINUTES),
            usual.one_person_minutes,
        ),
        late_percent: read(
            "late_percent",
            thresholds.late_percent,
            (0, 100),
            usual.late_percent,
        ),
        late_minutes: read(
            "late_minutes",
            thresholds.late_minutes,
            (1, MOST_MINUTES),
            usual.late_minutes,
        ),
    }
}

/// Reads a number that may be left out.
fn number(
    fields: &mut Fields,
    field: &str,
    value: Option<i32>,
    (least, most): (i64, i64),
) -> Option<i32> {
    let value = value?;
    fields.range(field, i64::from(value), least, most);
    Some(value)
}

fn encode_settings(of: SettingsOf) -> pb::ServiceSettings {
    let (settings, thresholds) = (&of.settings, &of.settings.thresholds);
    let quota = |quota: Quota| {
        (!quota.is_unlimited()).then_some(pb::RecorderQuota {
            day_minutes: quota.day_minutes,
            month_minutes: quota.month_minutes,
        })
    };
    pb::ServiceSettings {
        name: programme::name(of.community, of.programme) + SINGLETON,
        revision: of.revision,
        member_day_minutes: Some(settings.member_day_minutes),
        leader_quota: quota(settings.leader_quota),
        staff_quota: quota(settings.staff_quota),
        evidence_over_minutes: settings.evidence_over_minutes,
        evidence_late_hours: settings.evidence_late_hours,
        anomaly_thresholds: Some(pb::AnomalyThresholds {
            burst_minutes: Some(thresholds.burst_minutes),
            burst_window_minutes: Some(thresholds.burst_window_minutes),
            identical_members: Some(thresholds.identical_members),
            long_day_minutes: Some(thresholds.long_day_minutes),
            one_person_percent: Some(thresholds.one_person_percent),
            one_person_minutes: Some(thresholds.one_person_minutes),
            late_percent: Some(thresholds.late_percent),
            late_minutes: Some(thresholds.late_minutes),
        }),
        change_time: of
            .changed
            .as_ref()
            .map(|changed| runtime::timestamp(changed.at)),
        changed_by: of.changed.map(|changed| changed.by).unwrap_or_default(),
    }
}

fn read_kind(fields: &mut Fields, value: i32) -> Option<AnomalyKind> {
    match optional_enumeration(fields, "kind", value)? {
        pb::ServiceAnomalyKind::RecordingBurst => Some(AnomalyKind::RecordingBurst),
        pb::ServiceAnomalyKind::VerificationBurst => Some(AnomalyKind::VerificationBurst),
        pb::ServiceAnomalyKind::IdenticalTimes => Some(AnomalyKind::IdenticalTimes),
        pb::ServiceAnomalyKind::LongDay => Some(AnomalyKind::LongDay),
        pb::ServiceAnomalyKind::OnePerson => Some(AnomalyKind::OnePerson),
        pb::ServiceAnomalyKind::LateRecording => Some(AnomalyKind::LateRecording),
        pb::ServiceAnomalyKind::Unspecified => None,
    }
}

fn encode_kind(kind: AnomalyKind) -> i32 {
    let kind = match kind {
        AnomalyKind::RecordingBurst => pb::ServiceAnomalyKind::RecordingBurst,
        AnomalyKind::VerificationBurst => pb::ServiceAnomalyKind::VerificationBurst,
        AnomalyKind::IdenticalTimes => pb::ServiceAnomalyKind::IdenticalTimes,
        AnomalyKind::LongDay => pb::ServiceAnomalyKind::LongDay,
        AnomalyKind::OnePerson => pb::ServiceAnomalyKind::OnePerson,
        AnomalyKind::LateRecording => pb::ServiceAnomalyKind::LateRecording,
    };
    kind.into()
}

fn encode_anomaly(programme: &Programme, anomaly: Anomaly) -> pb::ServiceAnomaly {
    let community = programme.community;
    let records = anomaly.record_ids.iter();
    pb::ServiceAnomaly {
        kind: encode_kind(anomaly.kind),
        member: anomaly
            .member
            .map(|id| member::name(community, id))
            .unwrap_or_default(),
        start_time: Some(runtime::timestamp(anomaly.started_at)),
        end_time: Some(runtime::timestamp(anomaly.ended_at)),
        minutes: anomaly.minutes,
        total_minutes: anomaly.total_minutes,
        members: anomaly.members,
        records: anomaly.records,
        service_records: records
            .map(|id| service_record::name(community, *id))
            .collect(),
        text_zh: anomaly.text_zh(programme.time_zone),
        text_en: anomaly.text_en(programme.time_zone),
        subject: anomaly.subject.unwrap_or_default(),
    }
}

fn encode_late(programme: &Programme, late: PublicLateService) -> pb::PublicLateService {
    let service = late.service;
    let service_date = local_date(service.started_at, programme.time_zone);
    pb::PublicLateService {
        masked_name: late.masked_name,
        service_date: Some(encode_date(service_date)),
        record_date: Some(encode_date(late.recorded_on)),
        minutes: service.minutes,
        category: service.category,
        recorded_as: service_record::encode_capacity(service.recorded_as),
        second_person: service.second_person,
    }
}
