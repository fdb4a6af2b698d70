//! Every method, asked by every role about its own, a neighbour's and another community's data: exactly those get in whom the contract names.

mod of_event;
mod of_payout;
mod of_report;
mod of_service;
mod of_settlement;
mod of_till;
mod of_wish;

use http::StatusCode;
use http_body_util::BodyExt;
use journeys::{
    Member, Merchant, World, send,
    web::{Web, post},
    wire,
};
use prost_reflect::MethodDescriptor;
use proto::{
    activity::v1 as act,
    ledger::v1::{self as led, AccountKind},
};
use runtime::{Callers, Holder, Role, Roles};
use serde_json::{Value, json};

/// A corner of the community: people and shops that have to do with each other, and with nobody else.
struct Corner {
    team: String,
    member: Member,
    merchant: Merchant,
    offer: String,
    store: String,
    terminal: String,
    redemption: String,
    handle: String,
    card: String,
    record: String,
    grant: String,
    report: String,
    /// The member may confirm it for whose it is.
    wish: String,
    /// The member's own, of that wish.
    pledge: String,
    /// Of the redemption, so it changed the accounts of both.
    entry: String,
    hold: String,
    dispatch: String,
    /// To the team.
    errand: String,
}

impl Corner {
    async fn new(world: &World, number: &str) -> Self {
        let team = act::CreateTeamRequest {
            parent: world.community_name(),
            team: Some(act::Team {
                number: number.to_owned(),
                display_name: "Team".to_owned(),
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        let team = send!(world.clients.activity, create_team, team)
            .unwrap()
            .name;
        let member = world.volunteer().of_team(&team).register().await;
        let grant = world.earn(&member, 60).await;
        let merchant = world.merchant().await;
        let offer = world.offer(&merchant).active().await;
        let order = world.order(&member, &offer, 1);
        let redemption = world.redeem(order).await.unwrap();
        let (store, terminal) = world.pair(&merchant).await;
        let report = world.reported(world.report(&member, "litter")).await;
        let [wish, pledge, dispatch, errand] = of_wish::things(world, &member, &team).await;
        Self {
            report: report.name,
            wish,
            pledge,
            handle: world.handle(&member, &merchant).await,
            card: world.card(&member).await.card.unwrap().name,
            dispatch,
            errand,
            store,
            terminal,
            team,
            offer: offer.name,
            hold: format!("{}/holds/{}", world.community_name(), world.id()),
            record: grant.service_record,
            grant: grant.name,
            entry: redemption.entry,
            redemption: redemption.name,
            member,
            merchant,
        }
    }

    /// The account that is a role's own here.
    fn account(&self, world: &World, role: Option<Role>) -> String {
        match role {
            Some(Role::Merchant | Role::Terminal) => {
                world.account_name(AccountKind::Merchant, Some(self.merchant.id))
            }
            _ => world.account_name(AccountKind::Member, Some(self.member.id)),
        }
    }
}

/// A request that is about a corner.
fn request(world: &World, corner: &Corner, method: &str, role: Option<Role>) -> Value {
    let parent = world.community_name();
    let programme = world.programme_name();
    let revision = format!("{programme}/policyRevisions/{}", world.id());
    let (member, merchant) = (&corner.member.name, &corner.merchant.name);
    let account = corner.account(world, role);
    let mut request = match method {
        "CreateAsset" => json!({"parent": parent, "asset": {"code": "points"}}),
        "CreateAccount" => json!({
            "parent": parent, "accountId": world.id(),
            "account": {"programme": programme, "asset": "points", "kind": "ACCOUNT_KIND_MEMBER", "minBalance": 0},
        }),
        "GetAccount" => json!({"name": account}),
        "GetAccountBalance" => json!({"name": account, "sequence": 1}),
        "UpdateAccountLimits" => json!({"name": account, "minBalance": 0}),
        "PostTransfers" => json!({"parent": parent, "transfers": [{
            "requestId": world.id(), "amount": 1, "debitAccount": account,
            "creditAccount": world.account_name(AccountKind::Expired, None),
        }]}),
        "CreateHold" => json!({
            "parent": parent, "amount": 1, "debitAccount": account, "expireTime": "2027-01-01T00:00:00Z",
            "creditAccount": world.account_name(AccountKind::Expired, None),
        }),
        "GetHold" | "ReleaseHold" => json!({"name": corner.hold}),
        "CaptureHold" => json!({"name": corner.hold, "amount": 1}),
        "ReverseEntry" => json!({"name": corner.entry, "amount": 1}),
        "GetEntry" | "GetInclusionProof" => json!({"name": corner.entry}),
        "ListEntries" | "ListExpiringLots" => json!({"parent": parent, "account": account}),
        "CreateProgramme" => json!({
            "parent": parent,
            "programme": {"displayName": "Other", "asset": "points", "timeZone": "Asia/Shanghai"},
        }),
        "GetProgramme" | "GetProgrammeSummary" => json!({"name": programme}),
        "CreatePolicyRevision" => json!({"parent": programme, "policy": {"earnRules": [
            {"source": "EARN_SOURCE_SERVICE", "category": "*", "perHour": 1},
        ]}}),
        "ActivatePolicyRevision" | "DiscardPolicyRevision" | "GetPolicyRevision" => {
            json!({"name": revision})
        }
        "ListPolicyRevisions" => json!({"parent": programme}),
        "SimulatePolicy" => json!({
            "parent": programme,
            "policy": {"earnRules": [{"source": "EARN_SOURCE_SERVICE", "category": "*", "perHour": 1}]},
            "startDate": {"year": 2026, "month": 2, "day": 1}, "endDate": {"year": 2026, "month": 3, "day": 1},
        }),
        "ComparePolicyRevisions" => json!({"name": revision, "base": revision}),
        "ListNotices" => json!({"parent": member}),
        "MarkNoticesRead" => {
            json!({"parent": member, "names": [format!("{member}/notices/{}", world.id())]})
        }
        "GetNoticePreferences" | "SetNoticePreferences" => {
            json!({"name": format!("{member}/noticePreferences")})
        }
        "CreateTeam" => json!({
            "parent": parent,
            "team": {"number": world.id()[24..], "displayName": "Team"},
        }),
        "CreateMember" => json!({
            "parent": parent,
            "member": {"kind": "MEMBER_KIND_RESIDENT", "displayName": "Ada"},
        }),
        "GetMember" => json!({"name": member}),
        "RevealMember" | "EraseMember" => json!({"name": member, "reason": "no"}),
        "ListHourEntries" => json!({"parent": member}),
        "GetGrant" | "ExplainGrant" => json!({"name": corner.grant}),
        "ListGrants" => json!({"parent": programme, "member": member}),
        "CreateMerchant" => json!({
            "parent": parent,
            "merchant": {"number": world.id()[24..], "displayName": "Shop"},
        }),
        "GetMerchant" | "SuspendMerchant" | "ResumeMerchant" | "TerminateMerchant"
        | "GetMerchantSummary" => json!({"name": merchant}),
        "CreateAgreement" => json!({"parent": merchant, "agreement": {
            "startDate": {"year": 2026, "month": 1, "day": 1}, "endDate": {"year": 2026, "month": 2, "day": 1},
        }}),
        "ListAgreements" => json!({"parent": merchant}),
        "CreateOffer" => json!({"parent": parent, "offer": {
            "merchant": merchant, "programme": programme, "title": "Tea", "points": 1, "audience": "AUDIENCE_ALL",
            "startDate": {"year": 2026, "month": 1, "day": 1}, "endDate": {"year": 2026, "month": 2, "day": 1},
        }}),
        "GetOffer" | "SubmitOffer" | "ReturnOffer" | "ActivateOffer" | "PauseOffer"
        | "ResumeOffer" | "EndOffer" => json!({"name": corner.offer}),
        "ReviseOffer" => json!({"name": corner.offer, "points": 7}),
        "AdjustOfferStock" => json!({"name": corner.offer, "delta": 1}),
        "HoldRedemption" | "Redeem" => {
            let (field, payer) = match role {
                Some(Role::Merchant | Role::Terminal) => ("memberHandle", &corner.handle),
                _ => ("member", member),
            };
            json!({
                "parent": parent, field: payer, "offer": corner.offer, "quantity": 1, "validateOnly": true,
            })
        }
        "CaptureRedemption" | "ReleaseRedemption" | "GetRedemption" => {
            json!({"name": corner.redemption})
        }
        "ReverseRedemption" => {
            json!({"name": corner.redemption, "reason": "no", "operator": "C1"})
        }
        // The redemption's id is that of the call that made it.
        "CancelRedemptionByRequestId" => {
            let id = corner.redemption.rsplit('/').next();
            return json!({"parent": parent, "requestId": id});
        }
        "ListRedemptions" => match role {
            Some(Role::Merchant | Role::Terminal) => {
                json!({"parent": parent, "merchant": merchant})
            }
            _ => json!({"parent": parent, "member": member, "merchant": merchant}),
        },
        "CreateAdjustment" => json!({"parent": parent, "adjustment": {
            "programme": programme, "points": {"member": member, "amount": 1}, "reason": "no",
        }}),
        "ApproveAdjustment" | "DeclineAdjustment" | "GetAdjustment" => {
            json!({"name": format!("{parent}/adjustments/{}", world.id())})
        }
        "ListAdjustments" => json!({"parent": programme}),
        of_reports if of_reports.contains("Report") || of_reports == "SuggestDuplicates" => {
            of_report::request(world, (&corner.report, member), of_reports)
        }
        "ListAccounts"
        | "StreamTransfers"
        | "WatchEntries"
        | "ListExpirySchedule"
        | "SweepExpired"
        | "GetTrialBalance"
        | "GetCheckpoint"
        | "GetConsistencyProof"
        | "ListAuditEntries"
        | "ListProgrammes"
        | "ListTeams"
        | "ListMembers"
        | "ListMerchants"
        | "ListOffers" => {
            json!({"parent": parent})
        }
        other => of_event::request(world, corner, other, role)
            .or_else(|| of_settlement::request(world, merchant, other))
            .or_else(|| of_payout::request(world, member, other))
            .or_else(|| of_till::request(world, corner, other))
            .or_else(|| of_service::request(world, (&corner.record, member), other))
            .unwrap_or_else(|| of_wish::request(world, corner, other, role)),
    };
    let fields = request.as_object_mut().unwrap();
    fields.insert("requestId".to_owned(), json!(world.id()));
    request
}

/// Asks, and returns why it was not let in, if it was not.
async fn ask(
    world: &World,
    web: &Web,
    method: &MethodDescriptor,
    mut body: Value,
) -> Option<String> {
    if method.input().get_field_by_json_name("requestId").is_none() {
        body.as_object_mut().unwrap().remove("requestId");
    }
    let service = method.parent_service();
    let url = format!(
        "{}/{}/{}",
        world.url(method),
        service.full_name(),
        method.name()
    );
    let (head, mut answer) = web
        .begin(post(&url, "application/json", body.to_string()))
        .await
        .into_parts();
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&head.status);
    // Of a stream of requests the first one names the community, when the answer has begun; a stream of answers goes on for ever.
    if !refused && !method.is_client_streaming() {
        return None;
    }
    let mut bytes = Vec::new();
    while let Some(frame) = answer.frame().await {
        bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    let mut error: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if !refused {
        error = error["error"].take();
        // PERMISSION_DENIED
        if error["code"] != 7 {
            return None;
        }
    }
    let info = error["details"].as_array().unwrap().iter();
    let mut reasons = info.filter_map(|detail| detail["reason"].as_str());
    Some(reasons.next().unwrap().to_owned())
}

#[tokio::test]
async fn every_method_lets_in_whom_its_contract_names_and_nobody_else() {
    let world = World::start().await;
    let (own, neighbour) = (
        Corner::new(&world, "T1").await,
        Corner::new(&world, "T2").await,
    );
    let mut asked = 0;
    for role in Role::ALL.map(Some).into_iter().chain([None]) {
        let web = match role {
            None => Web::default(),
            Some(role) => Web::with_token(&world.token(&Holder {
                subject: role.name().to_owned(),
                roles: Roles::from(role),
                communities: vec![world.community.to_string()],
                resources: vec![
                    own.member.name.clone(),
                    own.team.clone(),
                    own.merchant.name.clone(),
                    own.terminal.clone(),
                ],
            })),
        };
        for method in wire::all_methods() {
            let name = method.name();
            let callers = Callers::of(&method).unwrap();
            let has = |roles: Roles| role.is_some_and(|role| roles.has(role));
            let denied = |let_in: bool, reason: &str| (!let_in).then(|| reason.to_owned());
            let stranger = match role {
                None => "TOKEN_MISSING",
                Some(_) if has(callers.own) || has(callers.community) => "",
                Some(_) => "ROLE_NOT_ALLOWED",
            };
            let not = |reason: &'static str| {
                if stranger.is_empty() {
                    reason
                } else {
                    stranger
                }
            };

            let mine = request(&world, &own, name, role);
            let elsewhere = mine
                .to_string()
                .replace(&world.community.to_string(), &world.id().to_string());
            let elsewhere: Value = serde_json::from_str(&elsewhere).unwrap();
            let theirs = request(&world, &neighbour, name, role);
            let is_let_in = callers.anyone || has(callers.own) || has(callers.community);
            let who = role.map_or("nobody", Role::name);

            let got = ask(&world, &web, &method, mine).await;
            assert_eq!(got, denied(is_let_in, stranger), "{name} by {who}, own");
            let got = ask(&world, &web, &method, theirs).await;
            let everyones = callers.anyone || has(callers.community);
            assert_eq!(
                got,
                denied(everyones, not("NOT_YOURS")),
                "{name} by {who}, a neighbour's"
            );
            let got = ask(&world, &web, &method, elsewhere).await;
            let reason = not("NOT_YOUR_COMMUNITY");
            assert_eq!(
                got,
                denied(callers.anyone, reason),
                "{name} by {who}, elsewhere"
            );
            asked += 1;
        }
    }
    assert!(asked > 600, "{asked}");
}

#[tokio::test]
async fn who_may_only_see_their_own_does_not_learn_what_there_is() {
    let world = World::start().await;
    let own = Corner::new(&world, "T1").await;
    let nothing = |name: &str| {
        let (kind, _) = name.rsplit_once('/').unwrap();
        format!("{kind}/{}", world.id())
    };
    let nowhere = Corner {
        team: nothing(&own.team),
        offer: nothing(&own.offer),
        store: nothing(&own.store),
        terminal: nothing(&own.terminal),
        redemption: nothing(&own.redemption),
        handle: nothing(&own.handle),
        card: nothing(&own.card),
        record: nothing(&own.record),
        grant: nothing(&own.grant),
        report: nothing(&own.report),
        entry: format!("{}/entries/999999", world.community_name()),
        hold: nothing(&own.hold),
        wish: nothing(&own.wish),
        pledge: nothing(&own.pledge),
        dispatch: nothing(&own.dispatch),
        errand: nothing(&own.errand),
        member: Member {
            id: world.id().parse().unwrap(),
            name: nothing(&own.member.name),
            number: String::new(),
        },
        merchant: Merchant {
            id: world.id().parse().unwrap(),
            name: nothing(&own.merchant.name),
        },
    };
    for role in [Role::Member, Role::Leader, Role::Merchant, Role::Terminal] {
        let web = Web::with_token(&world.token(&Holder {
            resources: vec![
                own.member.name.clone(),
                own.team.clone(),
                own.merchant.name.clone(),
                own.terminal.clone(),
            ],
            ..Holder::everywhere("wx-1", [role])
        }));
        for method in wire::all_methods() {
            let name = method.name();
            if !Callers::of(&method).unwrap().own.has(role) {
                continue;
            }
            let request = request(&world, &nowhere, name, Some(role));
            let got = ask(&world, &web, &method, request).await;
            // To cancel a call that has not come is what that method is for.
            let wanted = (name != "CancelRedemptionByRequestId").then(|| "NOT_YOURS".to_owned());
            assert_eq!(got, wanted, "{name} by {}", role.name());
        }
        // Lists are of one's own or of nobody's.
        for (name, kind) in [
            ("ListEntries", Role::Member),
            ("ListPledges", Role::Member),
            ("ListDispatches", Role::Member),
            ("ListDispatches", Role::Leader),
            ("ListExpiringLots", Role::Member),
            ("ListServiceRecords", Role::Leader),
            ("ListReports", Role::Member),
            ("ListRedemptions", Role::Terminal),
            ("ListStatements", Role::Merchant),
        ] {
            let method = wire::method(name);
            if role == kind {
                let all = json!({"parent": world.community_name()});
                let got = ask(&world, &web, &method, all).await;
                assert_eq!(got.as_deref(), Some("NOT_YOURS"), "{name} of all");
            }
        }
    }
}

#[tokio::test]
async fn who_pays_and_who_is_paid_do_not_see_each_others_balance() {
    let world = World::start().await;
    let corner = Corner::new(&world, "T1").await;
    let get = led::GetEntryRequest {
        name: corner.entry.clone(),
    };
    let whole = send!(world.clients.ledger, get_entry, get.clone()).unwrap();
    assert_eq!((whole.debit_balance, whole.credit_balance), (50, 10));
    assert_eq!(whole.allocations.len(), 1);
    let seen_by = async |role: Role, own: &str| {
        let holder = Holder {
            resources: vec![own.to_owned()],
            ..Holder::everywhere("x", [role])
        };
        let client = world.clients.of(holder).ledger;
        let entry = send!(client, get_entry, get.clone()).unwrap();
        let account = corner.account(&world, Some(role));
        let statement = led::ListEntriesRequest {
            parent: world.community_name(),
            account,
            ..Default::default()
        };
        let listed = send!(client, list_entries, statement).unwrap().entries;
        assert_eq!(listed.last(), Some(&entry));
        entry
    };

    let member = seen_by(Role::Member, &corner.member.name).await;
    let merchant = seen_by(Role::Merchant, &corner.merchant.name).await;

    let hidden = led::Entry {
        credit_balance: 0,
        ..whole.clone()
    };
    assert_eq!(member, hidden);
    let hidden = led::Entry {
        debit_balance: 0,
        allocations: vec![],
        ..whole
    };
    assert_eq!(merchant, hidden);
}
