//! A shop without a network: points are held in advance, the till checks a code by itself, and forwards its sales later.

use chrono::TimeDelta;
use journeys::{World, refused, send, web::Web};
use proto::redemption::v1::{self as red, OfflineCodeState, RedemptionState};
use runtime::{Holder, Role};
use serde_json::json;
use tonic::{Code, Status};

fn reason(status: &Status) -> String {
    refused(status).reason
}

async fn states(world: &World, member: &journeys::Member) -> Vec<OfflineCodeState> {
    let list = red::ListOfflineCodesRequest {
        parent: member.name.clone(),
        ..Default::default()
    };
    let listed = send!(world.offline_app(member), list_offline_codes, list).unwrap();
    listed.codes.iter().map(red::OfflineCode::state).collect()
}

#[tokio::test]
async fn an_hour_without_a_network_is_forwarded_and_paid_once_each() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let codes = world.fetch(&member, 3, 30).await;
    assert_eq!(codes.len(), 3);
    assert_eq!(world.points(&member).await.available, 10, "90 are held");
    let (_, terminal) = world.pair(&merchant).await;
    let till = Web::with_token(&world.token(&Holder {
        subject: terminal.clone(),
        resources: vec![terminal.clone(), merchant.name.clone()],
        ..Holder::everywhere("", [Role::Terminal])
    }));
    let url = format!(
        "{}/linli.redemption.v1.OfflineCodeService/SubmitOfflineRedemption",
        world.system.redemption.url()
    );
    let sales = [(0, 2), (1, 3)].map(|(code, quantity): (usize, i64)| {
        json!({
            "parent": world.community_name(), "requestId": world.id(), "code": codes[code].code,
            "offer": offer.name, "quantity": quantity, "redeemTime": world.clock.now().to_rfc3339(),
        })
    });
    world.clock.advance(TimeDelta::hours(1));
    for (sale, points) in sales.iter().zip(["20", "30"]) {
        let sold = till.post(&url, sale).await.json();
        assert_eq!(sold["state"], "REDEMPTION_STATE_CAPTURED", "{sold}");
        assert_eq!(sold["capturedPoints"], points);
        assert_eq!(sold["terminal"], json!(terminal));
        // Forwarded again, as after a lost answer.
        assert_eq!(till.post(&url, sale).await.json(), sold);
    }
    // What a sale left of its code is the member's again; one code is still held.
    let account = world.points(&member).await;
    assert_eq!((account.balance, account.available), (50, 20));
    assert_eq!(world.till(&merchant).await.balance, 50);
    assert_eq!(world.stock_left(&offer).await, 95);
    use OfflineCodeState::{Held, Used};
    let mut states = states(&world, &member).await;
    states.sort();
    assert_eq!(states, [Held, Used, Used]);

    // Such a sale is reversed like any other.
    let sold = world.redemption(sales[0]["requestId"].as_str().unwrap());
    let sold = sold.await.unwrap();
    assert!(sold.redeem_time.is_some());
    let reversed = world.reverse(&sold, None).await.unwrap();
    assert_eq!(reversed.state(), RedemptionState::Reversed);
    assert_eq!(world.balance(&member).await, 70);
}

#[tokio::test]
async fn a_code_used_at_two_shops_pays_the_first_and_the_second_is_told() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let other = world.merchant().await;
    let elsewhere = world.offer(&other).active().await;
    let code = &world.fetch(&member, 1, 30).await[0].code;
    let first = world.forwarding(code, &offer, 1);
    let at = world.clock.now();
    world.clock.advance(TimeDelta::minutes(1));
    let second = world.forwarding(code, &elsewhere, 1);
    world.forward(first).await.unwrap();
    let refusal = refused(&world.forward(second.clone()).await.unwrap_err());
    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::FailedPrecondition, "OFFLINE_CODE_USED")
    );
    let told = refusal.metadata["redeem_time"].parse::<chrono::DateTime<chrono::Utc>>();
    assert_eq!(told.unwrap(), at);
    assert!(!refusal.message_zh.is_empty());
    assert_eq!(
        reason(&world.forward(second).await.unwrap_err()),
        "OFFLINE_CODE_USED"
    );
    assert_eq!(world.balance(&member).await, 90);

    let code = &world.fetch(&member, 1, 30).await[0].code;
    let desk = world.token(&Holder::everywhere("STAFF01", [Role::Staff]));
    let desk = world.offline_codes(&desk);
    let answers = journeys::at_once(6, |_| {
        let (desk, sale) = (desk.clone(), world.forwarding(code, &offer, 1));
        async move { send!(desk, submit_offline_redemption, sale).is_ok() }
    })
    .await;
    assert_eq!(answers.into_iter().filter(|paid| *paid).count(), 1);
    assert_eq!(world.balance(&member).await, 80);
}

#[tokio::test]
async fn codes_are_few_and_small_and_as_many_as_the_points_last_for() {
    let world = World::start().await;
    let (_, _, member) = world.counter(100).await;
    let app = world.offline_app(&member);
    let too_dear = send!(app, create_offline_codes, world.advance(&member, 1, 101));
    assert_eq!(refused(&too_dear.unwrap_err()).fields, ["points"]);
    let message = world.advance(&member, 4, 40);
    let made = send!(app, create_offline_codes, message.clone()).unwrap();
    assert_eq!(made.codes.len(), 2, "40 + 40 of 100");
    assert_eq!(send!(app, create_offline_codes, message).unwrap(), made);
    let none = send!(app, create_offline_codes, world.advance(&member, 1, 40));
    assert_eq!(reason(&none.unwrap_err()), "INSUFFICIENT_POINTS");
    assert_eq!(world.fetch(&member, 3, 1).await.len(), 3);
    let full = send!(app, create_offline_codes, world.advance(&member, 1, 1));
    assert_eq!(reason(&full.unwrap_err()), "TOO_MANY_OFFLINE_CODES");
}

#[tokio::test]
async fn what_nobody_forwards_in_time_goes_back() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let code = &world.fetch(&member, 1, 30).await[0].code;
    let sale = world.forwarding(code, &offer, 1);
    world.clock.advance(TimeDelta::hours(25));
    let late = world.forwarding(code, &offer, 1);
    assert_eq!(
        reason(&world.forward(late).await.unwrap_err()),
        "OFFLINE_CODE_EXPIRED",
        "a till had to refuse it"
    );
    world
        .clock
        .advance(TimeDelta::hours(71) + TimeDelta::minutes(10));
    assert_eq!(
        reason(&world.forward(sale).await.unwrap_err()),
        "OFFLINE_CODE_EXPIRED",
        "it came too late"
    );
    assert_eq!(states(&world, &member).await, [OfflineCodeState::Returned]);
    journeys::eventually("the points come back", async || {
        (world.points(&member).await.available == 100).then_some(())
    })
    .await;
    assert_eq!(world.fetch(&member, 5, 20).await.len(), 5);
}

#[tokio::test]
async fn a_sale_without_a_network_has_the_terms_of_its_own_time() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let codes = world.fetch(&member, 4, 25).await;
    let mut codes = codes.iter().map(|code| &code.code[..]);
    let mut next = || codes.next().unwrap();
    let cheap = world.forwarding(next(), &offer, 1);
    world.clock.advance(TimeDelta::minutes(1));
    let dearer = red::ReviseOfferRequest {
        name: offer.name.clone(),
        points: 31,
        request_id: world.id(),
    };
    send!(world.clients.redemption, revise_offer, dearer).unwrap();
    let sold = world.forward(cheap).await.unwrap();
    assert_eq!((sold.unit_points, sold.offer_revision), (10, 1));
    let too_much = world.forwarding(next(), &offer, 1);
    let refusal = world.forward(too_much).await.unwrap_err();
    assert_eq!(reason(&refusal), "AMOUNT_EXCEEDS_CODE");
    let early = red::SubmitOfflineRedemptionRequest {
        redeem_time: Some(runtime::timestamp(world.clock.now() + TimeDelta::hours(1))),
        ..world.forwarding(next(), &offer, 1)
    };
    let refusal = world.forward(early.clone()).await.unwrap_err();
    assert_eq!(reason(&refusal), "SALE_IN_FUTURE");
    let mut wrong = world.forwarding("lo1.AAAA", &offer, 1);
    let refusal = refused(&world.forward(wrong.clone()).await.unwrap_err());
    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::InvalidArgument, "OFFLINE_CODE_INVALID")
    );
    wrong.code = String::new();
    assert_eq!(
        refused(&world.forward(wrong).await.unwrap_err()).fields,
        ["code"]
    );

    let scarce = world.offer(&merchant).stock(0).active().await;
    let sold_out = world.forwarding(next(), &scarce, 1);
    assert_eq!(
        reason(&world.forward(sold_out).await.unwrap_err()),
        "OFFER_SOLD_OUT"
    );
}

#[tokio::test]
async fn the_keys_are_there_for_anyone() {
    let world = World::start().await;
    let url = format!(
        "{}/linli.redemption.v1.OfflineCodeService/GetOfflineCodeKeys",
        world.system.redemption.url()
    );
    let keys = Web::default().post(&url, &json!({})).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(keys["keys"][0]["keyId"].as_str().unwrap().len(), 8);
}

#[tokio::test]
async fn a_shop_is_paid_though_its_offer_ended_and_its_guest_was_erased_meanwhile() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let elders = world
        .offer(&merchant)
        .for_audience(red::Audience::Senior)
        .active()
        .await;
    let senior = world.volunteer().born(1950).with_points(50).await;
    let ended = world.forwarding(&world.fetch(&member, 1, 30).await[0].code, &offer, 1);
    let erased = world.forwarding(&world.fetch(&senior, 1, 30).await[0].code, &elders, 1);
    world.clock.advance(TimeDelta::minutes(1));
    let end = red::EndOfferRequest {
        name: offer.name.clone(),
        request_id: world.id(),
    };
    send!(world.clients.redemption, end_offer, end).unwrap();
    let erase = proto::activity::v1::EraseMemberRequest {
        name: senior.name.clone(),
        reason: "asked for it".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.activity, erase_member, erase).unwrap();
    world.clock.advance(TimeDelta::minutes(1));
    for sale in [ended, erased] {
        let sold = world.forward(sale).await.unwrap();
        assert_eq!(sold.state(), RedemptionState::Captured);
    }
    assert_eq!(world.till(&merchant).await.balance, 20);
}

#[tokio::test]
async fn a_sale_without_a_network_is_a_line_of_the_day_on_which_it_is_forwarded() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let code = &world.fetch(&member, 1, 30).await[0].code;
    let sale = world.forwarding(code, &offer, 2);
    world.clock.advance(TimeDelta::days(1));
    let sold = world.forward(sale).await.unwrap();
    let expected = |entry: &str| red::StatementEntry {
        line: 1,
        kind: red::StatementEntryKind::Capture.into(),
        entry: entry.to_owned(),
        redemption: sold.name.clone(),
        offer: offer.name.clone(),
        title: offer.title.clone(),
        quantity: 2,
        points: 20,
        balance: 20,
        create_time: Some(runtime::timestamp(world.clock.now())),
        ..Default::default()
    };
    let lines = world.lines(&merchant, "2026-03-03").await;
    assert_eq!(lines, [expected(&sold.entry)]);
    assert!(world.lines(&merchant, "2026-03-02").await.is_empty());

    // It is closed, reversed and closed again like any other.
    world.clock.advance(TimeDelta::days(1));
    let closed = world.closed(&merchant, "2026-03-03").await;
    assert_eq!((closed.captured_points, closed.payable_points), (20, 20));
    assert_eq!(world.lines(&merchant, "2026-03-03").await, lines);
    world.reverse(&sold, Some(1)).await.unwrap();
    let reversal = &world.lines(&merchant, "2026-03-04").await[0];
    assert_eq!(reversal.kind(), red::StatementEntryKind::Reversal);
    assert_eq!(reversal.redemption, sold.name);
    assert_eq!((reversal.quantity, reversal.points), (1, -10));
}

#[tokio::test]
async fn the_second_shop_is_told_of_the_first_whatever_else_is_wrong() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(100).await;
    let last = world.offer(&merchant).stock(1).limit(1).active().await;
    let code = &world.fetch(&member, 1, 30).await[0].code;
    let (first, second) = (
        world.forwarding(code, &last, 1),
        world.forwarding(code, &last, 1),
    );
    world.forward(first).await.unwrap();
    let refusal = world.forward(second).await.unwrap_err();
    assert_eq!(reason(&refusal), "OFFLINE_CODE_USED");
}
