//! At the counter: a member shows a code or a card, the till learns what they can take and never who they are.

use chrono::TimeDelta;
use journeys::{Merchant, World, refused, send, web::Web};
use proto::{
    access::v1::AuditEntry,
    redemption::v1::{self as red, MemberCardState, hold_redemption_request, redeem_request},
};
use runtime::{Holder, Role};
use serde_json::json;
use tonic::{Code, Status};
use uuid::Uuid;

const REDEMPTION: &str = "linli.redemption.v1.RedemptionService";

/// A till of a merchant, over JSON.
fn till(world: &World, merchant: &Merchant, terminal: &str) -> Web {
    Web::with_token(&world.token(&Holder {
        subject: terminal.to_owned(),
        resources: vec![terminal.to_owned(), merchant.name.clone()],
        ..Holder::everywhere("", [Role::Terminal])
    }))
}

fn url(world: &World, method: &str) -> String {
    format!("{}/{REDEMPTION}/{method}", world.system.redemption.url())
}

fn reason(status: &Status) -> (Code, String) {
    let refusal = refused(status);
    (refusal.code, refusal.reason)
}

#[tokio::test]
async fn a_till_scans_quotes_holds_and_captures_without_learning_who_it_is() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(55).await;
    let dear = world.offer(&merchant).costing(60).active().await;
    let limited = world.offer(&merchant).limit(2).active().await;
    world.offer(&merchant).draft().await;
    let (_, terminal) = world.pair(&merchant).await;
    let web = till(&world, &merchant, &terminal);

    let code = world.code(&member).await;
    assert_eq!(code.code.len(), 18);
    assert!(code.qr_svg.contains("<svg"));
    let scan = world.scan(&merchant, &code.code);
    let resolved = world.resolve(scan.clone()).await.unwrap();
    let handle = resolved.handle.as_ref().unwrap();
    assert!(handle.masked_name.ends_with('*'), "{handle:?}");
    let bands = &resolved.balances;
    assert_eq!((bands.len(), bands[0].at_least_points), (1, 50));
    let most = |of: &red::Offer| {
        let mut offers = resolved.offers.iter();
        let one = offers.find(|one| one.offer == of.name).unwrap();
        (one.max_quantity, &one.refusal[..])
    };
    assert_eq!(resolved.offers.len(), 3);
    assert_eq!(most(&offer), (5, ""));
    assert_eq!(most(&limited), (2, ""));
    assert_eq!(most(&dear), (0, "INSUFFICIENT_POINTS"));
    // A repeated call is answered with the same handle.
    let again = world.resolve(scan).await.unwrap();
    assert_eq!(again.handle.unwrap().name, handle.name);

    let order = json!({
        "parent": world.community_name(), "requestId": world.id(), "memberHandle": handle.name,
        "offer": offer.name, "quantity": 2,
    });
    let mut quote = order.clone();
    quote["validateOnly"] = json!(true);
    let quote = web.post(&url(&world, "HoldRedemption"), &quote).await;
    assert_eq!(quote.json()["points"], "20");
    let held = web
        .post(&url(&world, "HoldRedemption"), &order)
        .await
        .json();
    assert_eq!(held["state"], "REDEMPTION_STATE_HELD");
    assert_eq!(held["terminal"], json!(terminal));
    let capture = json!({"name": held["name"], "requestId": world.id()});
    let url = url(&world, "CaptureRedemption");
    let captured = web.post(&url, &capture).await.json();
    assert_eq!(captured["state"], "REDEMPTION_STATE_CAPTURED");
    assert_eq!(captured["member"], "", "a till is not told who it was");
    assert_eq!(world.balance(&member).await, 35);
    let id = captured["name"].as_str().unwrap().rsplit('/').next();
    let seen = world.redemption(id.unwrap()).await.unwrap();
    assert_eq!(
        (seen.member, seen.assisted_by),
        (member.name, String::new())
    );
}

#[tokio::test]
async fn a_code_counts_once_and_for_a_minute_and_wrong_old_and_used_ones_are_told_apart() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let code = world.code(&member).await.code;
    world.resolve(world.scan(&merchant, &code)).await.unwrap();
    let used = world.resolve(world.scan(&merchant, &code)).await;
    assert_eq!(
        reason(&used.unwrap_err()),
        (Code::FailedPrecondition, "MEMBER_CODE_USED".to_owned())
    );

    let old = world.code(&member).await.code;
    world.clock.advance(TimeDelta::seconds(60));
    let expired = world.resolve(world.scan(&merchant, &old)).await;
    assert_eq!(
        reason(&expired.unwrap_err()),
        (Code::FailedPrecondition, "MEMBER_CODE_EXPIRED".to_owned())
    );

    let wrong = world
        .resolve(world.scan(&merchant, "770000000000000008"))
        .await;
    assert_eq!(
        reason(&wrong.unwrap_err()),
        (Code::InvalidArgument, "MEMBER_CODE_INVALID".to_owned())
    );
    // A digit that was mistyped is no try at all.
    let typo = world
        .resolve(world.scan(&merchant, "770000000000000009"))
        .await;
    assert_eq!(refused(&typo.unwrap_err()).fields, ["code"]);
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_is_made_again_and_counts_no_more() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let message = red::CreateMemberCodeRequest {
        parent: member.name.clone(),
        request_id: world.id(),
    };
    let app = world.app(&member);
    let lost = send!(app, create_member_code, message.clone())
        .unwrap()
        .code;
    let code = send!(app, create_member_code, message.clone())
        .unwrap()
        .code;
    let wrong = world.resolve(world.scan(&merchant, &lost)).await;
    assert_eq!(reason(&wrong.unwrap_err()).1, "MEMBER_CODE_INVALID");
    world.resolve(world.scan(&merchant, &code)).await.unwrap();
    let used = send!(app, create_member_code, message).unwrap_err();
    assert_eq!(reason(&used).1, "MEMBER_CODE_USED");
}

#[tokio::test]
async fn of_tills_that_scan_one_code_at_once_one_gets_it() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let code = world.code(&member).await.code;
    let desk = world.code_desk();
    let answers = journeys::at_once(8, |_| {
        let (desk, scan) = (desk.clone(), world.scan(&merchant, &code));
        async move { send!(desk, resolve_member_code, scan) }
    })
    .await;
    let (got, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((got.len(), refused.len()), (1, 7));
    for refusal in refused {
        assert_eq!(reason(&refusal.unwrap_err()).1, "MEMBER_CODE_USED");
    }
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_and_on_record() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let mut tries = 0;
    let refusal = loop {
        tries += 1;
        let guess = world.scan(&merchant, "770000000000000008");
        let refusal = refused(&world.resolve(guess).await.unwrap_err());
        if refusal.reason != "MEMBER_CODE_INVALID" {
            break refusal;
        }
    };
    assert_eq!((tries, &refusal.reason[..]), (31, "RATE_LIMITED"));
    assert!(refusal.try_again);
    let audit = red::ListAuditEntriesRequest {
        parent: world.community_name(),
        page_size: 1000,
        ..Default::default()
    };
    let audit = send!(world.clients.redemption, list_audit_entries, audit).unwrap();
    let wrong = |entry: &&AuditEntry| entry.refusal == "MEMBER_CODE_INVALID";
    assert_eq!(audit.entries.iter().filter(wrong).count(), 30);

    for _ in 0..12 {
        world.code(&member).await;
    }
    let message = red::CreateMemberCodeRequest {
        parent: member.name.clone(),
        request_id: world.id(),
    };
    let refusal = send!(world.app(&member), create_member_code, message).unwrap_err();
    assert_eq!(reason(&refusal).1, "RATE_LIMITED");
}

#[tokio::test]
async fn a_handle_serves_one_merchant_for_ten_minutes() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let elsewhere = world.merchant().await;
    let other = world.offer(&elsewhere).active().await;
    let handle = world.handle(&member, &merchant).await;
    let order = |offer: &red::Offer| red::RedeemRequest {
        payer: Some(redeem_request::Payer::MemberHandle(handle.clone())),
        ..world.order(&member, offer, 1)
    };
    let refusal = world.redeem(order(&other)).await.unwrap_err();
    assert_eq!(
        reason(&refusal),
        (Code::PermissionDenied, "NOT_YOUR_STORE".to_owned())
    );
    let first = order(&offer);
    let redeemed = world.redeem(first.clone()).await.unwrap();
    world.clock.advance(TimeDelta::minutes(10));
    let refusal = world.redeem(order(&offer)).await.unwrap_err();
    assert_eq!(
        reason(&refusal),
        (Code::FailedPrecondition, "MEMBER_HANDLE_EXPIRED".to_owned())
    );
    let quote = red::RedeemRequest {
        validate_only: true,
        ..order(&offer)
    };
    let refusal = world.redeem(quote).await.unwrap_err();
    assert_eq!(reason(&refusal).1, "MEMBER_HANDLE_EXPIRED");
    // What was answered before is answered for ever.
    assert_eq!(world.redeem(first).await.unwrap(), redeemed);
    let nowhere = red::RedeemRequest {
        payer: Some(redeem_request::Payer::MemberHandle(format!(
            "{}/memberHandles/{}",
            world.community_name(),
            world.id()
        ))),
        ..order(&offer)
    };
    let refusal = world.redeem(nowhere).await.unwrap_err();
    assert_eq!(reason(&refusal).0, Code::NotFound);
}

#[tokio::test]
async fn a_shop_names_nobody_and_staff_who_do_are_named() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let web = till(&world, &merchant, &world.pair(&merchant).await.1);
    let named = json!({
        "parent": world.community_name(), "requestId": world.id(), "member": member.name,
        "offer": offer.name, "quantity": 1,
    });
    for method in ["HoldRedemption", "Redeem"] {
        let refused = web.post(&url(&world, method), &named).await;
        assert_eq!(refused.code, 403, "{method}");
    }
    let desk = Web::with_token(&world.token(&Holder::everywhere("STAFF07", [Role::Staff])));
    let assisted = desk.post(&url(&world, "Redeem"), &named).await.json();
    assert_eq!(assisted["assistedBy"], "STAFF07");
    assert_eq!(assisted["member"], json!(member.name));

    let app = Web::with_token(&world.token(&Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("app", [Role::Member])
    }));
    let mut own = named;
    own["requestId"] = json!(world.id());
    let held = app.post(&url(&world, "HoldRedemption"), &own).await.json();
    assert_eq!(held["assistedBy"], "");
}

#[tokio::test]
async fn who_has_no_phone_pays_with_a_card_and_a_pin() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let made = world.card(&member).await;
    let with = |pin: &str| red::ResolveMemberCodeRequest {
        pin: pin.to_owned(),
        ..world.scan(&merchant, &made.number)
    };
    let missing = world.resolve(with("")).await.unwrap_err();
    assert_eq!(refused(&missing).fields, ["pin"]);
    let wrong_pin = match &made.pin[..] {
        "000000" => "000001",
        _ => "000000",
    };
    let wrong = world.resolve(with(wrong_pin)).await.unwrap_err();
    assert_eq!(
        reason(&wrong),
        (Code::FailedPrecondition, "PIN_WRONG".to_owned())
    );
    // A card may be shown again and again.
    for _ in 0..2 {
        let handle = world
            .resolve(with(&made.pin))
            .await
            .unwrap()
            .handle
            .unwrap();
        let hold = red::HoldRedemptionRequest {
            payer: Some(hold_redemption_request::Payer::MemberHandle(handle.name)),
            ..world.reservation(&member, &offer, 1)
        };
        world.hold(hold).await.unwrap();
    }

    for _ in 0..4 {
        let wrong = world.resolve(with(wrong_pin)).await.unwrap_err();
        assert_eq!(reason(&wrong).1, "PIN_WRONG");
    }
    for pin in [wrong_pin, &made.pin] {
        let blocked = world.resolve(with(pin)).await.unwrap_err();
        assert_eq!(reason(&blocked).1, "CARD_BLOCKED");
    }
    let card = made.card.clone().unwrap();
    let reset = red::ResetMemberCardPinRequest {
        name: card.name.clone(),
        request_id: world.id(),
    };
    let lost = send!(world.code_desk(), reset_member_card_pin, reset.clone()).unwrap();
    let reset = send!(world.code_desk(), reset_member_card_pin, reset).unwrap();
    if lost.pin != reset.pin {
        let wrong = world.resolve(with(&lost.pin)).await.unwrap_err();
        assert_eq!(reason(&wrong).1, "PIN_WRONG");
    }
    world.resolve(with(&reset.pin)).await.unwrap();

    // A new card ends the one before, and a lost one is ended.
    let second = world.card(&member).await.card.unwrap();
    let ended = world.resolve(with(&reset.pin)).await.unwrap_err();
    assert_eq!(reason(&ended).1, "CARD_REVOKED");
    let revoke = red::RevokeMemberCardRequest {
        name: second.name.clone(),
        request_id: world.id(),
    };
    let revoked = send!(world.app(&member), revoke_member_card, revoke).unwrap();
    assert_eq!(revoked.state(), MemberCardState::Revoked);
    let list = red::ListMemberCardsRequest {
        parent: member.name.clone(),
        ..Default::default()
    };
    let cards = send!(world.app(&member), list_member_cards, list)
        .unwrap()
        .cards;
    assert_eq!(cards.len(), 2);
    assert!(
        cards
            .iter()
            .all(|card| card.state() == MemberCardState::Revoked)
    );
    assert_eq!(world.points(&member).await.available, 30);
}

#[tokio::test]
async fn a_repeated_scan_tells_nothing_when_its_ten_minutes_are_over() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let scan = world.scan(&merchant, &world.code(&member).await.code);
    world.resolve(scan.clone()).await.unwrap();
    world.clock.advance(TimeDelta::minutes(10));
    let late = world.resolve(scan).await.unwrap_err();
    assert_eq!(reason(&late).1, "MEMBER_HANDLE_EXPIRED");
}

#[tokio::test]
async fn an_offer_stays_its_merchants_whatever_id_a_redemption_takes() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let (elsewhere, other, _) = world.counter(0).await;
    let taken = red::RedeemRequest {
        request_id: offer.name.rsplit('/').next().unwrap().to_owned(),
        ..world.order(&member, &other, 1)
    };
    world.redeem(taken).await.unwrap();
    let web = Web::with_token(&world.token(&Holder {
        resources: vec![elsewhere.name.clone()],
        ..Holder::everywhere("owner", [Role::Merchant])
    }));
    let pause = json!({"name": offer.name, "requestId": world.id()});
    let refused = web.post(&url(&world, "PauseOffer"), &pause).await;
    assert_eq!(refused.code, 403);
}

#[tokio::test]
async fn nobody_can_take_the_id_of_a_step_that_nobody_calls_for() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let held = red::HoldRedemptionRequest {
        ttl: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..world.reservation(&member, &offer, 1)
    };
    let id: Uuid = held.request_id.parse().unwrap();
    world.hold(held).await.unwrap();
    for step in ["expire", "cancel/0"] {
        let guessed = red::HoldRedemptionRequest {
            request_id: Uuid::new_v5(&id, step.as_bytes()).to_string(),
            ..world.reservation(&member, &offer, 1)
        };
        world.hold(guessed).await.unwrap();
    }
    world.clock.advance(TimeDelta::seconds(1));
    world
        .hold(world.reservation(&member, &offer, 1))
        .await
        .unwrap();
    let undone = world.cancel(&id.to_string()).await.unwrap().unwrap();
    assert_eq!(undone.state(), red::RedemptionState::Expired);
}
