//! Cash rewards beside points: what everyone sees of them, and that the two never mix.

use journeys::{World, date, refused, send};
use proto::{activity::v1 as act, wish::v1 as wish};
use runtime::{Holder, Role};
use uuid::Uuid;

/// A month's rewards as a member's app sees them.
pub async fn public(world: &World, month: i32) -> Vec<act::PublicReward> {
    let holder = Holder::everywhere("wx-1", [Role::Member]);
    let message = act::ListPublicRewardsRequest {
        parent: world.programme_name(),
        date: Some(date(2026, month, 28)),
        ..Default::default()
    };
    let answer = send!(world.payouts_of(&holder), list_public_rewards, message);
    answer.unwrap().rewards
}

#[tokio::test]
async fn money_is_spent_nowhere_and_points_are_never_paid_out() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    world.earn(&member, 60).await;
    let merchant = world.merchant().await;

    let offer = world.offer(&merchant).try_draft().await;
    assert_eq!(refused(&offer.unwrap_err()).reason, "CASH_PROGRAMME");
    let codes = send!(
        world.offline_app(&member),
        create_offline_codes,
        world.advance(&member, 1, 10)
    );
    assert_eq!(refused(&codes.unwrap_err()).reason, "CASH_PROGRAMME");
    let wish = wish::CreateWishRequest {
        parent: world.community_name(),
        wish: Some(world.wish_for(wish::WishUnit::Points, 10)),
        request_id: world.id(),
        ..Default::default()
    };
    let wish = send!(world.clients.wish, create_wish, wish).unwrap_err();
    assert_eq!(refused(&wish).reason, "CASH_PROGRAMME");
    let account = world.points(&member).await;
    assert_eq!((account.balance, account.held), (6_000, 0));

    let points = world.programme(Uuid::from_u128(7), None).await;
    let mut list = world.payout_before(world.clock.now());
    list.parent = points.name.clone();
    let list = send!(world.payouts("STAFF01"), create_payout, list).unwrap_err();
    assert_eq!(refused(&list).reason, "NOT_CASH");
    let cash = act::GetCashBalanceRequest {
        name: member.name.clone(),
        programme: points.name,
    };
    let cash = send!(world.payouts("STAFF01"), get_cash_balance, cash).unwrap_err();
    assert_eq!(refused(&cash).reason, "NOT_CASH");
}

#[tokio::test]
async fn everyone_sees_a_months_rewards_and_no_more_of_anyone_than_a_masked_name() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    let kept = world.earn(&member, 10).await;
    let revoked = world.earn(&member, 20).await;
    world.revoke(&revoked.service_record).await.unwrap();

    let seen = public(&world, 2).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].amount, kept.amount);
    assert_eq!(seen[0].month, Some(date(2026, 2, 1)));
    assert_eq!(public(&world, 3).await, []);
    let holder = Holder::everywhere("shop", [Role::Merchant]);
    let message = act::GetPublicRewardsRequest {
        name: world.programme_name(),
        date: Some(date(2026, 2, 14)),
    };
    let sums = send!(world.payouts_of(&holder), get_public_rewards, message).unwrap();
    assert_eq!((sums.rewards, sums.amount), (1, 1_000));
    assert_eq!(sums.amount_text_en, "CN¥10.00");
    assert_eq!(sums.categories[0].category, "elder-care");
}
