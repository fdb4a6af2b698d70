//! Every list, page by page: all items once, and tokens that belong to their query.

use chrono::TimeDelta;
use journeys::{
    World, date, refused, send,
    wire::{self, Wire},
};
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use proto::{
    activity::v1 as act,
    ledger::v1 as led,
    wish::v1::{self as wish, VisitGrade},
};
use tonic::Code;
use uuid::Uuid;

/// The id of the cash programme.
const CASH: Uuid = Uuid::from_u128(8);

/// A world with several of everything that can be listed.
async fn crowd() -> (World, String) {
    let (world, names, _) = crowd_with_saver().await;
    (world, names)
}

/// The same, and a member whose points expire in two months.
async fn crowd_with_saver() -> (World, String, String) {
    let world = World::start().await;
    world.programme(Uuid::from_u128(7), None).await;
    world.put_in_force(journeys::per_hour("*", 60)).await;
    for number in 1..=3 {
        let team = act::CreateTeamRequest {
            parent: world.community_name(),
            team: Some(act::Team {
                number: format!("T{number}"),
                display_name: "Red scarves".to_owned(),
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        send!(world.clients.activity, create_team, team).unwrap();
    }
    let mut savers = Vec::new();
    for months in [1, 6] {
        let policy = act::Policy {
            expiry_months: Some(months),
            ..journeys::per_hour("*", 60)
        };
        world.put_in_force(policy).await;
        let saver = world.volunteer().register().await;
        // A long day, recorded late.
        let start = world.clock.now() - TimeDelta::days(10);
        let grant = world.serve(world.service_at(&saver, start, 11 * 60)).await;
        world.posted(&grant.name).await;
        savers.push(saver.name);
    }
    for _ in 0..2 {
        let adjustment = act::CreateAdjustmentRequest {
            parent: world.community_name(),
            adjustment: Some(act::Adjustment {
                programme: world.programme_name(),
                change: Some(act::adjustment::Change::Budget(act::BudgetChange::default())),
                reason: "no limit any more".to_owned(),
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        send!(world.clients.activity, create_adjustment, adjustment).unwrap();
    }
    let (merchant, offer, member) = world.counter(50).await;
    world
        .agreement(&merchant, date(2025, 1, 1), date(2025, 12, 31))
        .await;
    world.offer(&merchant).draft().await;
    for _ in 0..2 {
        world.pair(&merchant).await;
    }
    for _ in 0..2 {
        world.card(&member).await;
        world.fetch(&member, 1, 1).await;
    }
    world.merchant().await;
    world.volunteer().register().await;
    world.earn(&member, 30).await;
    for _ in 0..3 {
        world.redeem(world.order(&member, &offer, 1)).await.unwrap();
    }
    for _ in 0..2 {
        let somebody = world.beneficiary(VisitGrade::Weekly).await;
        world.visit(&somebody.name, &member).await;
        // Due at once.
        world.beneficiary(VisitGrade::Quarterly).await;
        let drive = world.drive(3).await;
        world.allot(&drive, &somebody.name, 1).await.unwrap();
        let wish = world.open_wish(&somebody.name, 2).await;
        world.dispatch(&wish, &member).await;
    }
    world.clock.advance(TimeDelta::days(1));
    world.redeem(world.order(&member, &offer, 1)).await.unwrap();
    world.clock.advance(TimeDelta::days(1));
    world.closed(&merchant, "2026-03-03").await;
    for _ in 0..2 {
        let wish = world.wish_for(wish::WishUnit::Each, 3);
        let round = wish::CreateRoundRequest {
            parent: world.community_name(),
            round: Some(wish::Round {
                title: "Spring".to_owned(),
                wishes: vec![world.reviewed(wish.clone()).await.name],
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        send!(world.clients.wish, create_round, round).unwrap();
        let wish = world.published(wish).await;
        let pledge = world.pledge_of(&wish, &member, 1);
        world.pledge(pledge).await.unwrap();
    }
    let mut report = String::new();
    for _ in 0..2 {
        let made = world.reported(world.report(&member, "litter")).await;
        report = world.accept_report(&made).await.unwrap().name;
    }
    let names = format!("{}|{}|{report}", merchant.name, member.name);
    (world, names, savers.swap_remove(0))
}

/// A cash programme with two lists, the second with two lines; returns the name of that list.
async fn owed(world: &World) -> String {
    world.cash_programme(CASH).await;
    let parent = format!("{}/programmes/{CASH}", world.community_name());
    world
        .put_in_force_of(&parent, journeys::per_hour("*", 60))
        .await;
    let mut list = String::new();
    for _ in 0..2 {
        for _ in 0..2 {
            let member = world.volunteer().register().await;
            let mut service = world.service(&member, 30);
            service.service_record.as_mut().unwrap().programme = parent.clone();
            let grant = world.serve(service).await;
            world.posted(&grant.name).await;
        }
        let mut message = world.payout_before(world.clock.now());
        message.parent = parent.clone();
        world.clock.advance(TimeDelta::seconds(1));
        message.cutoff_time = Some(runtime::timestamp(world.clock.now()));
        let made = send!(world.payouts("STAFF01"), create_payout, message).unwrap();
        list = world.frozen(&made.name).await.name;
    }
    list
}

/// A list's request for one parent.
fn list(method: &MethodDescriptor, parent: &str) -> DynamicMessage {
    let mut message = DynamicMessage::new(method.input());
    message.set_field_by_name("parent", Value::String(parent.to_owned()));
    if method.name() == "ListPublicLateServices" {
        // The month in which the crowd was recorded; it has gone by since.
        let pool = method.parent_pool();
        let date = pool.get_message_by_name("google.type.Date").unwrap();
        let mut month = DynamicMessage::new(date);
        for (part, number) in [("year", 2026), ("month", 3), ("day", 1)] {
            month.set_field_by_name(part, Value::I32(number));
        }
        message.set_field_by_name("date", Value::Message(month));
    }
    message
}

/// One page and the token of the next.
async fn page(
    wire: &mut Wire,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> (Vec<Value>, String) {
    let answer = wire.call(method, message).await.unwrap();
    let items = method.output().fields().next().unwrap();
    let token = answer.get_field_by_name("next_page_token").unwrap();
    let Value::List(items) = answer.get_field(&items).into_owned() else {
        panic!("{} lists something", method.name());
    };
    (items, token.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_list_gives_each_item_once_whatever_the_size_of_its_pages() {
    let (world, names, saver) = crowd_with_saver().await;
    let names: Vec<&str> = names.split('|').collect();
    let [merchant, member, report] = names[..] else {
        panic!("{names:?}")
    };
    let payout = owed(&world).await;
    // 30 days before and 7 days before.
    for (days, told) in [(28, 1), (24, 2)] {
        world.clock.advance(TimeDelta::days(days));
        world.told(&saver, told).await;
    }
    let lists = wire::methods()
        .into_iter()
        .filter(|method| method.name().starts_with("List"));

    for method in lists {
        let name = method.name().to_owned();
        let (parent, other) = match name.as_str() {
            "ListAgreements" | "ListStores" | "ListTerminals" => {
                (merchant.to_owned(), other(merchant))
            }
            "ListHourEntries" | "ListMemberCards" | "ListOfflineCodes" => {
                (member.to_owned(), other(member))
            }
            "ListNotices" => (saver.clone(), other(&saver)),
            "ListStatementEntries" => {
                let statement = world.statement_name(merchant, "2026-03-02");
                (statement.clone(), other(&statement))
            }
            "ListReportEvents" => (report.to_owned(), other(report)),
            "ListPayoutLines" => (payout.clone(), other(&payout)),
            "ListPayouts" | "ListPublicRewards" => {
                let programme = format!("{}/programmes/{CASH}", world.community_name());
                (programme.clone(), other(&programme))
            }
            "ListPolicyRevisions"
            | "ListGrants"
            | "ListAdjustments"
            | "ListPublicReports"
            | "ListServiceAnomalies"
            | "ListPublicLateServices"
            | "ListDueVisits" => {
                let programme = world.programme_name();
                (programme.clone(), other(&programme))
            }
            _ => (
                world.community_name(),
                format!("communities/{}", Uuid::from_u128(9)),
            ),
        };
        let mut wire = world.wire(&method);
        let mut message = list(&method, &parent);
        let (whole, end) = page(&mut wire, &method, &message).await;
        assert!(
            whole.len() >= 2 && end.is_empty(),
            "{name}: {}",
            whole.len()
        );

        message.set_field_by_name("page_size", Value::I32(1_000_000));
        assert_eq!(page(&mut wire, &method, &message).await.0, whole, "{name}");
        message.set_field_by_name("page_size", Value::I32(-1));
        let refusal = refused(&wire.call(&method, &message).await.unwrap_err());
        assert_eq!(refusal.code, Code::InvalidArgument, "{name}");
        assert_eq!(refusal.fields, ["page_size"], "{name}");

        message.set_field_by_name("page_size", Value::I32(1));
        let mut items = Vec::new();
        let mut tokens = Vec::new();
        loop {
            let (page, token) = page(&mut wire, &method, &message).await;
            assert!(page.len() <= 1, "{name}");
            items.extend(page);
            if token.is_empty() {
                break;
            }
            assert!(items.len() <= whole.len(), "{name} comes to an end");
            message.set_field_by_name("page_token", Value::String(token.clone()));
            tokens.push(token);
        }
        assert_eq!(items, whole, "{name}");

        let mut foreign = list(&method, &other);
        for token in [tokens[0].as_str(), "no-token", "\u{0}"] {
            foreign.set_field_by_name("page_token", Value::String(token.to_owned()));
            let refusal = refused(&wire.call(&method, &foreign).await.unwrap_err());
            assert_eq!(refusal.code, Code::InvalidArgument, "{name} {token:?}");
            assert_eq!(refusal.fields, ["page_token"], "{name} {token:?}");
        }
    }
}

/// The same kind of thing, of another community.
fn other(name: &str) -> String {
    let mut segments: Vec<String> = name.split('/').map(str::to_owned).collect();
    segments[1] = Uuid::from_u128(9).to_string();
    segments.join("/")
}

#[tokio::test]
async fn a_page_goes_on_where_it_stopped_though_more_has_come_in_between() {
    let (world, _) = crowd().await;
    let mut message = led::ListEntriesRequest {
        parent: world.community_name(),
        page_size: 3,
        ..Default::default()
    };
    let first = send!(world.clients.ledger, list_entries, message.clone()).unwrap();
    let member = world.volunteer().with_points(5).await;

    message.page_token = first.next_page_token;
    message.page_size = 100;
    let rest = send!(world.clients.ledger, list_entries, message).unwrap();

    let numbers: Vec<i64> = first
        .entries
        .iter()
        .chain(&rest.entries)
        .map(|entry| entry.sequence)
        .collect();
    let dense: Vec<i64> = (1..=11).collect();
    assert_eq!(numbers, dense);
    let last = rest.entries.last().unwrap();
    assert_eq!(last.credit_account, world.points(&member).await.name);
}

#[tokio::test]
async fn redemptions_are_listed_newest_first_by_shop_member_and_state() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let other = world.volunteer().with_points(100).await;
    let first = world.redeem(world.order(&member, &offer, 1)).await.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    let second = world.redeem(world.order(&other, &offer, 1)).await.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    let held = world
        .hold(world.reservation(&member, &offer, 1))
        .await
        .unwrap();
    let find = async |merchant: &str, member: &str, state: i32| {
        let message = proto::redemption::v1::ListRedemptionsRequest {
            parent: world.community_name(),
            merchant: merchant.to_owned(),
            member: member.to_owned(),
            state,
            ..Default::default()
        };
        let answer = send!(world.clients.redemption, list_redemptions, message);
        answer.unwrap().redemptions
    };

    let of_shop = find(&merchant.name, "", 0).await;
    assert_eq!(of_shop, [held.clone(), second, first.clone()]);
    assert_eq!(find("", &member.name, 0).await, [held.clone(), first]);
    assert_eq!(find("", "", held.state).await, [held]);
}
