//! Whoever loses points hears of it, whether or not they want to: a reward that is revoked, and points that are taken by hand.

use journeys::World;
use proto::activity::v1 as act;

use crate::two_people::{approve, points, propose, settled};

use act::{NoticeClass, notice::Detail};

#[tokio::test]
async fn a_revoked_reward_is_told_with_what_was_still_there_to_take() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(60).await;
    let record = world.record(world.service(&member, 40)).await;
    let verified = world.verify(&record).await.unwrap();
    world.posted(&verified.grant).await;
    // 90 of 100 are spent.
    world.redeem(world.order(&member, &offer, 9)).await.unwrap();
    // That somebody else paid for them with it is told too.
    world.told(&member.name, 1).await;
    world.revoke(&record.name).await.unwrap();
    let told = world.told(&member.name, 2).await;
    let revoked = told.iter().find_map(|notice| match &notice.detail {
        Some(Detail::GrantRevoked(revoked)) => Some((notice, revoked)),
        _ => None,
    });
    let (notice, revoked) = revoked.unwrap();
    assert_eq!(notice.class(), NoticeClass::Reversal);
    assert_eq!(
        (&revoked.grant, revoked.amount, revoked.taken_amount),
        (&verified.grant, 40, 10)
    );
    assert_eq!(
        notice.text_zh,
        "您的一笔奖励（40 points）已被撤回，实际收回 10 points，原因见对应的服务或上报记录。"
    );
}

#[tokio::test]
async fn points_that_are_taken_by_hand_are_told_and_given_ones_are_not() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let given = propose(&world, points(&member.name, 20)).await;
    approve(&world, "STAFF02", &given).await.unwrap();
    settled(&world, &given).await;
    let taken = propose(&world, points(&member.name, -30)).await;
    approve(&world, "STAFF02", &taken).await.unwrap();
    settled(&world, &taken).await;
    let told = world.told(&member.name, 1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].class(), NoticeClass::Reversal);
    match &told[0].detail {
        Some(Detail::PointsTaken(points)) => {
            assert_eq!((&points.adjustment, points.amount), (&taken.name, 30));
        }
        other => panic!("not of taken points: {other:?}"),
    }
    assert_eq!(world.balance(&member).await, 40);
}
