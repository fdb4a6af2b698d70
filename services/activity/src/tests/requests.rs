//! The contract's own side: every wrong field is named, lists go on where they stopped, nothing personal leaves.

use proto::activity::v1::{self as pb, activity_service_server::ActivityService};
use runtime::{Client, acquainted, asked, asked_by};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::*;
use crate::rpc::Service;

const GOOD: &str = "0190f5fe-7c00-7a00-8000-000000000001";

fn wrong_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(runtime::reason_of(status).as_deref(), Some("INVALID_FIELD"));
    let request = status.get_details_bad_request().unwrap();
    request
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

macro_rules! refuses {
    ($service:ident.$rpc:ident($request:expr) for $($field:literal),+ $(,)?) => {
        let status = $service.$rpc(asked($request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), [$($field),+], stringify!($rpc));
    };
}

#[tokio::test]
async fn empty_requests_are_refused_with_the_fields_they_lack() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    refuses!(service.create_programme(pb::CreateProgrammeRequest::default())
        for "parent", "request_id", "programme", "programme.asset", "programme.time_zone", "programme.display_name");
    refuses!(service.get_programme(pb::GetProgrammeRequest::default()) for "name");
    refuses!(service.list_programmes(pb::ListProgrammesRequest::default()) for "parent");
    refuses!(service.get_programme_summary(pb::GetProgrammeSummaryRequest::default()) for "name");
    refuses!(service.create_policy_revision(pb::CreatePolicyRevisionRequest::default())
        for "parent", "request_id", "policy", "policy.earn_rules");
    refuses!(service.activate_policy_revision(pb::ActivatePolicyRevisionRequest::default()) for "name", "request_id");
    refuses!(service.discard_policy_revision(pb::DiscardPolicyRevisionRequest::default()) for "name", "request_id");
    refuses!(service.get_policy_revision(pb::GetPolicyRevisionRequest::default()) for "name");
    refuses!(service.list_policy_revisions(pb::ListPolicyRevisionsRequest::default()) for "parent");
    refuses!(service.create_team(pb::CreateTeamRequest::default())
        for "parent", "request_id", "team", "team.number", "team.display_name");
    refuses!(service.list_teams(pb::ListTeamsRequest::default()) for "parent");
    refuses!(service.create_member(pb::CreateMemberRequest::default())
        for "parent", "request_id", "member", "member.kind", "member.display_name");
    refuses!(service.get_member(pb::GetMemberRequest::default()) for "name");
    refuses!(service.list_members(pb::ListMembersRequest::default()) for "parent");
    refuses!(service.list_hour_entries(pb::ListHourEntriesRequest::default()) for "parent");
    refuses!(service.create_service_record(pb::CreateServiceRecordRequest::default())
        for "parent", "request_id", "service_record", "service_record.programme", "service_record.member",
            "service_record.role", "service_record.category", "service_record.activity", "service_record.start_time",
            "service_record.end_time");
    refuses!(service.verify_service_record(pb::VerifyServiceRecordRequest::default()) for "name", "request_id");
    refuses!(service.reject_service_record(pb::RejectServiceRecordRequest::default())
        for "name", "request_id", "reason");
    refuses!(service.revoke_service_record(pb::RevokeServiceRecordRequest::default())
        for "name", "request_id", "reason");
    refuses!(service.get_service_record(pb::GetServiceRecordRequest::default()) for "name");
    refuses!(service.list_service_records(pb::ListServiceRecordsRequest::default()) for "parent");
    refuses!(service.get_grant(pb::GetGrantRequest::default()) for "name");
    refuses!(service.list_grants(pb::ListGrantsRequest::default()) for "parent");
    refuses!(service.explain_grant(pb::ExplainGrantRequest::default()) for "name");
}

#[tokio::test]
async fn wrong_values_are_refused_by_name() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let parent = format!("communities/{GOOD}");
    let programme = pb::Programme {
        display_name: "x".repeat(121),
        asset: "积分".to_owned(),
        asset_exponent: 10,
        time_zone: "Asia/Peking".to_owned(),
        budget: Some(0),
        ..pb::Programme::default()
    };
    refuses!(service.create_programme(pb::CreateProgrammeRequest {
        parent: parent.clone(),
        programme_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        programme: Some(programme),
        request_id: GOOD.to_uppercase(),
    }) for "request_id", "programme_id", "programme.asset", "programme.asset_exponent", "programme.time_zone",
        "programme.budget", "programme.display_name");
    let member = pb::Member {
        number: "11010519491231002X".to_owned(),
        kind: 99,
        team: "communities/0190f5fe-7c00-7a00-8000-000000000002/teams/0190f5fe-7c00-7a00-8000-000000000003".to_owned(),
        birth_year: 2025,
        display_name: "王\n小明".to_owned(),
        phone: "call me".to_owned(),
        ..pb::Member::default()
    };
    refuses!(service.create_member(pb::CreateMemberRequest {
        parent: parent.clone(),
        member_id: "abc".to_owned(),
        member: Some(member),
        request_id: GOOD.to_owned(),
    }) for "member_id", "member.number", "member.kind", "member.team", "member.birth_year", "member.display_name",
        "member.phone");
    refuses!(service.list_service_records(pb::ListServiceRecordsRequest {
        parent,
        member: "members/7".to_owned(),
        state: 9,
        page_size: -1,
        page_token: "x".to_owned(),
    }) for "member", "state", "page_size", "page_token");
}

#[tokio::test]
async fn a_policy_names_the_rule_that_is_wrong() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let service_rule = pb::EarnRule {
        source: pb::EarnSource::Service.into(),
        category: "*".to_owned(),
        urgency: "red".to_owned(),
        rate: Some(pb::earn_rule::Rate::PerHour(-1)),
    };
    let fixed_service = pb::EarnRule {
        urgency: String::new(),
        rate: Some(pb::earn_rule::Rate::Fixed(1)),
        ..service_rule.clone()
    };
    let nothing = pb::EarnRule::default();
    let multiplier = |factor: &str, condition| pb::Multiplier {
        factor: factor.to_owned(),
        condition,
    };
    use pb::multiplier::Condition;
    refuses!(service.create_policy_revision(pb::CreatePolicyRevisionRequest {
        parent: format!("communities/{GOOD}/programmes/{GOOD}"),
        policy: Some(pb::Policy {
            earn_rules: vec![service_rule, fixed_service, nothing],
            multipliers: vec![
                multiplier("1.5000", Some(Condition::DayOfMonth(32))),
                multiplier("1", None),
                multiplier("1", Some(Condition::Role(0))),
                multiplier("1", Some(Condition::Category(String::new()))),
            ],
            caps: vec![pb::Cap { source: 7, period: 0, limit: -1 }],
            expiry_months: Some(1201),
        }),
        request_id: GOOD.to_owned(),
    }) for "policy.expiry_months", "policy.earn_rules[0].per_hour", "policy.earn_rules[0].urgency",
        "policy.earn_rules[1].per_hour", "policy.earn_rules[2].source", "policy.multipliers[0].factor",
        "policy.multipliers[0].day_of_month", "policy.multipliers[1]", "policy.multipliers[2].role",
        "policy.multipliers[3].category", "policy.caps[0].source", "policy.caps[0].limit", "policy.caps[0].period");
}

#[tokio::test]
async fn a_service_ends_after_it_began_within_a_day_and_not_in_the_future() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let community = world.community.0;
    let record = |start_seconds: i64, seconds: i64| pb::CreateServiceRecordRequest {
        parent: format!("communities/{community}"),
        service_record_id: String::new(),
        service_record: Some(pb::ServiceRecord {
            programme: format!("communities/{community}/programmes/{}", world.programme),
            member: format!("communities/{community}/members/{GOOD}"),
            role: pb::ServiceRole::Member.into(),
            category: "patrol".to_owned(),
            activity: "night round".to_owned(),
            start_time: Some(runtime::timestamp(
                start() + TimeDelta::seconds(start_seconds),
            )),
            end_time: Some(runtime::timestamp(
                start() + TimeDelta::seconds(start_seconds + seconds),
            )),
            ..pb::ServiceRecord::default()
        }),
        request_id: world.ids.next().to_string(),
    };
    for (began, lasted) in [(-3600, 0), (-3600, -1), (-90_000, 86_401), (-3600, 3601)] {
        refuses!(service.create_service_record(record(began, lasted)) for "service_record.end_time");
    }
    let status = service
        .create_service_record(asked(record(-86_400, 86_400)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        runtime::reason_of(&status).as_deref(),
        Some("RESOURCE_NOT_FOUND")
    );
}

#[tokio::test]
async fn lists_go_on_where_they_stopped_and_only_for_their_own_query() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(world.member().await.number);
    }
    let parent = format!("communities/{}", world.community.0);
    let mut request = pb::ListMembersRequest {
        parent,
        page_size: 2,
        ..pb::ListMembersRequest::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = service
            .list_members(asked(request.clone()))
            .await
            .unwrap()
            .into_inner();
        assert!(page.members.len() <= 2);
        seen.extend(page.members.into_iter().map(|member| member.number));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    seen.sort();
    assert_eq!(seen, expected);

    let teams = pb::ListTeamsRequest {
        parent: request.parent,
        page_token: request.page_token,
        ..pb::ListTeamsRequest::default()
    };
    refuses!(service.list_teams(teams) for "page_token");
}

#[tokio::test]
async fn a_name_and_a_phone_number_come_in_and_never_go_out() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let request = pb::CreateMemberRequest {
        parent: format!("communities/{}", world.community.0),
        member: Some(pb::Member {
            kind: pb::MemberKind::Rider.into(),
            display_name: "欧阳小明".to_owned(),
            phone: "+86 139 8765 4321".to_owned(),
            ..pb::Member::default()
        }),
        request_id: world.ids.next().to_string(),
        ..pb::CreateMemberRequest::default()
    };

    let created = service
        .create_member(asked(request.clone()))
        .await
        .unwrap()
        .into_inner();
    let repeated = service
        .create_member(asked(request))
        .await
        .unwrap()
        .into_inner();

    assert_eq!(repeated, created);
    assert_eq!(
        (created.display_name.as_str(), created.phone.as_str()),
        ("", "")
    );
    assert_eq!(
        (created.masked_name.as_str(), created.masked_phone.as_str()),
        ("欧***", "*********4321")
    );
    assert_eq!(created.number, "V000001");
    let kept: Vec<String> = sqlx::query_scalar(
        "select concat(method, encode(fingerprint, 'escape'), answer, refusal) from activity.answer
        union all select concat(member) from activity.member",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    for row in kept {
        assert!(!row.contains("欧阳") && !row.contains("8765"), "{row}");
    }
}

#[tokio::test]
async fn refusals_carry_their_reason_and_their_values() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let verify = || pb::VerifyServiceRecordRequest {
        name: format!(
            "communities/{}/serviceRecords/{}",
            world.community.0, record.id
        ),
        request_id: world.ids.next().to_string(),
    };
    let own = service
        .verify_service_record(asked_by(&member.number, verify()))
        .await
        .unwrap_err();
    assert_eq!(
        (own.code(), runtime::reason_of(&own).as_deref()),
        (Code::FailedPrecondition, Some("SELF_VERIFICATION"))
    );

    let first = verify();
    let verified = service
        .verify_service_record(asked(first.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(verified.grant.starts_with("communities/"));
    let late = service
        .verify_service_record(asked(verify()))
        .await
        .unwrap_err();
    let info = late.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("WRONG_STATE", "activity.linli")
    );
    assert_eq!(info.metadata["state"], "VERIFIED");

    let reused = pb::VerifyServiceRecordRequest {
        name: format!("communities/{}/serviceRecords/{GOOD}", world.community.0),
        ..first
    };
    let status = service
        .verify_service_record(asked(reused))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        runtime::reason_of(&status).as_deref(),
        Some("REQUEST_ID_REUSED")
    );
}

#[tokio::test]
async fn a_grant_is_explained_with_every_step() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let member = world.member().await;
    let (_, grant) = world.granted(&member, 23, 7).await;
    let name = format!("communities/{}/grants/{}", world.community.0, grant.id);

    let explained = service
        .explain_grant(asked(pb::ExplainGrantRequest { name }))
        .await
        .unwrap()
        .into_inner();

    assert_eq!(
        (
            explained.rule_index,
            explained.minutes,
            explained.desired,
            explained.capped
        ),
        (Some(0), 420, 70, 60)
    );
    assert_eq!(
        (explained.caps[0].before, explained.caps[0].after),
        (70, 60)
    );
    assert_eq!(explained.caps[0].period_start, "2024-05-19");
    assert_eq!(explained.budget_left, Some(100));
    assert!(explained.text_zh.contains("70 减为 60"));
    assert_eq!(explained.grant.unwrap().amount, 60);
}

#[tokio::test]
async fn the_server_answers_over_grpc_and_ends_in_order() {
    use pb::activity_service_client::ActivityServiceClient;
    let world = World::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let tasks = tokio_util::task::TaskTracker::new();
    let listener = runtime::listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (authority, bearer) = acquainted();
    let server = world.activity.server();
    tasks.spawn(server.run(listener, authority, stop.clone()));
    world.activity.spawn_workers(&tasks, &stop);
    let mut client =
        ActivityServiceClient::new(Client::new(runtime::channel(&url).unwrap(), Some(bearer)));

    let name = format!(
        "communities/{}/programmes/{}",
        world.community.0, world.programme
    );
    let programme = client
        .get_programme(pb::GetProgrammeRequest { name: name.clone() })
        .await
        .unwrap();
    assert_eq!(programme.into_inner().name, name);
    let missing = name.replace(&world.programme.to_string(), GOOD);
    let status = client
        .get_programme(pb::GetProgrammeRequest { name: missing })
        .await
        .unwrap_err();
    assert_eq!(
        status.get_details_error_info().unwrap().metadata["id"],
        GOOD
    );
    assert!(
        status
            .get_details_localized_message()
            .unwrap()
            .message
            .contains("找不到项目")
    );

    drop(client);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
