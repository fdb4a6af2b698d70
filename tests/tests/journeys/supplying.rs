//! Who gets the points of a wish, and what a wish may be worth.

use chrono::TimeDelta;
use journeys::{World, refused, send};
use proto::{
    ledger::v1 as led,
    redemption::v1::StatementEntryKind as Kind,
    wish::v1::{self as pb, PledgeState, WishState, WishUnit},
};
use tonic::{Code, Status};

use crate::settlement::{Shop, totals};

/// Writes a wish down without reviewing it.
async fn collected(world: &World, wish: pb::Wish) -> Result<pb::Wish, Status> {
    world.enrol(&wish.requester).await;
    let creation = pb::CreateWishRequest {
        parent: world.community_name(),
        wish: Some(wish),
        request_id: world.id(),
        ..Default::default()
    };
    send!(world.clients.wish, create_wish, creation)
}

#[tokio::test]
async fn points_of_a_wish_go_to_its_supplier_and_the_shop_s_statement_adds_up() {
    let shop = Shop::start().await;
    let world = &shop.world;
    let draft = pb::Wish {
        supplier: shop.merchant.name.clone(),
        ..world.wish_for(WishUnit::Points, 100)
    };
    let wish = world.published(draft).await;
    assert_eq!(wish.supplier, shop.merchant.name);
    shop.redeem(2).await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let (kept, faulty) = (
        world.fulfilled(&wish, &shop.member, 60).await,
        world.fulfilled(&wish, &shop.member, 40).await,
    );

    assert_eq!(world.till(&shop.merchant).await.balance, 120);
    let given = world.account(led::AccountKind::Wish, None).await;
    assert_eq!(given.balance, 0);
    let first = shop.next_day("2026-03-02").await;
    assert_eq!(
        (totals(&first), first.other_points),
        ([0, 20, 0, 120, 120], 100)
    );
    let lines = shop.lines("2026-03-02").await;
    assert_eq!(lines.len(), 3);
    for (line, (points, balance)) in lines[1..].iter().zip([(60, 80), (40, 120)]) {
        assert_eq!((line.kind(), &line.title[..]), (Kind::Other, "电风扇"));
        assert_eq!((line.points, line.balance), (points, balance));
    }

    let reversed = world.reverse_pledge(&faulty).await.unwrap();

    assert_eq!(reversed.state(), PledgeState::Reversed);
    let second = shop.next_day("2026-03-03").await;
    assert_eq!(
        (totals(&second), second.other_points),
        ([120, 0, 0, 80, -40], -40)
    );
    assert_eq!(world.till(&shop.merchant).await.balance, 80);
    let purse = world.points(&shop.member).await;
    assert_eq!((purse.balance, purse.held), (1000 - 20 - 60, 0));
    assert_eq!(
        world.pledge_now(&kept.name).await.state(),
        PledgeState::Confirmed
    );
    world.trial_balance().await;
}

#[tokio::test]
async fn what_was_promised_to_a_shop_that_is_suspended_goes_to_it_all_the_same() {
    let shop = Shop::start().await;
    let world = &shop.world;
    let draft = pb::Wish {
        supplier: shop.merchant.name.clone(),
        ..world.wish_for(WishUnit::Points, 100)
    };
    let wish = world.published(draft).await;
    let pledge = world
        .pledge(world.pledge_of(&wish, &shop.member, 100))
        .await;
    let pledge = pledge.unwrap();
    world.suspend(&shop.merchant).await;
    world.deliver(&pledge).await.unwrap();
    world.confirm(&pledge).await.unwrap();
    assert_eq!(world.till(&shop.merchant).await.balance, 100);
}

#[tokio::test]
async fn a_supplier_is_of_points_and_of_the_programme() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let supplied = |unit, supplier: &str| pb::Wish {
        supplier: supplier.to_owned(),
        ..world.wish_for(unit, 5)
    };
    let things = collected(&world, supplied(WishUnit::Each, &merchant.name)).await;
    assert_eq!(
        refused(&things.unwrap_err()).reason,
        "SUPPLIER_WITHOUT_POINTS"
    );

    let points = || collected(&world, supplied(WishUnit::Points, &merchant.name));
    let refusal = refused(&points().await.unwrap_err());
    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::FailedPrecondition, "SUPPLIER_WITHOUT_ACCOUNT")
    );
    assert_eq!(refusal.metadata["merchant"], merchant.id.to_string());
    assert_eq!(refusal.metadata["programme"], world.programme.to_string());
    let elsewhere = format!("communities/{}/merchants/{}", world.id(), merchant.id);
    let wrong = collected(&world, supplied(WishUnit::Points, &elsewhere)).await;
    assert_eq!(refused(&wrong.unwrap_err()).fields, ["wish.supplier"]);

    // A draft is enough.
    world.offer(&merchant).draft().await;
    assert_eq!(points().await.unwrap().supplier, merchant.name);
}

#[tokio::test]
async fn a_wish_above_the_ceiling_of_its_programme_is_not_published() {
    let world = World::start().await;
    let set = async |programme: String, individual, common| {
        let message = pb::SetValueCeilingsRequest {
            ceilings: Some(pb::ValueCeilings {
                programme,
                individual,
                common,
                ..Default::default()
            }),
            request_id: world.id(),
        };
        send!(world.clients.wish, set_value_ceilings, message)
    };
    let get = pb::GetValueCeilingsRequest {
        programme: world.programme_name(),
    };
    let none = send!(world.clients.wish, get_value_ceilings, get.clone()).unwrap();
    assert_eq!(
        (none.individual, none.common, none.update_time),
        (None, None, None)
    );
    let free = collected(&world, world.wish_for(WishUnit::Each, 1)).await;
    let set_now = set(world.programme_name(), Some(20_000), None).await;
    let set_now = set_now.unwrap();
    let read = send!(world.clients.wish, get_value_ceilings, get).unwrap();
    assert_eq!(read, set_now);
    let unknown = format!("{}/programmes/{}", world.community_name(), world.id());
    let unknown = set(unknown, Some(1), None).await.unwrap_err();
    assert_eq!(refused(&unknown).reason, "RESOURCE_NOT_FOUND");
    let zero = set(world.programme_name(), Some(0), Some(-1)).await;
    assert_eq!(
        refused(&zero.unwrap_err()).fields,
        ["ceilings.individual", "ceilings.common"]
    );

    let review = async |wish: &pb::Wish, estimated_value| {
        let message = pb::ReviewWishRequest {
            name: wish.name.clone(),
            request_id: world.id(),
            estimated_value,
        };
        send!(world.clients.wish, review_wish, message)
    };
    let wish = free.unwrap();
    let required = refused(&review(&wish, None).await.unwrap_err());
    assert_eq!(required.reason, "VALUE_REQUIRED");
    assert_eq!(required.metadata["ceiling"], "20000");
    let above = refused(&review(&wish, Some(20_001)).await.unwrap_err());
    assert_eq!(above.reason, "VALUE_ABOVE_CEILING");
    assert_eq!(
        (&above.metadata["ceiling"][..], &above.metadata["value"][..]),
        ("20000", "20001")
    );
    assert!(above.message_zh.contains("20001") && above.message.contains("20000"));
    let reviewed = review(&wish, Some(20_000)).await.unwrap();
    assert_eq!(reviewed.estimated_value, Some(20_000));

    let common = pb::Wish {
        scope: pb::WishScope::Common.into(),
        ..world.wish_for(WishUnit::Each, 1)
    };
    let common = world.published(common).await;
    assert_eq!(
        (common.state(), common.estimated_value),
        (WishState::Published, None)
    );
    let publish = async || {
        let message = pb::PublishWishRequest {
            name: wish.name.clone(),
            request_id: world.id(),
        };
        send!(world.clients.wish, publish_wish, message)
    };
    set(world.programme_name(), Some(19_999), None)
        .await
        .unwrap();
    let lowered = refused(&publish().await.unwrap_err());
    assert_eq!(lowered.reason, "VALUE_ABOVE_CEILING");
    set(world.programme_name(), None, None).await.unwrap();
    assert_eq!(publish().await.unwrap().state(), WishState::Published);
}
