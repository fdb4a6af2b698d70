//! Hours are a book of their own: points come from them and never go back into them.

use journeys::{World, refused, send};
use proto::activity::v1 as act;

#[tokio::test]
async fn spending_points_leaves_the_hours_alone() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(120).await;
    let before = world.hours(&member).await;

    let redemption = world
        .redeem(world.order(&member, &offer, 12))
        .await
        .unwrap();
    assert_eq!(world.balance(&member).await, 0);
    assert_eq!(world.hours(&member).await, before);
    world.reverse(&redemption, None).await.unwrap();

    assert_eq!(world.hours(&member).await, before);
    assert_eq!(world.member(&member).await.service_minutes, 120);
}

#[tokio::test]
async fn the_hours_book_keeps_both_the_entry_and_its_revocation() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let first = world.earn(&member, 60).await;
    let second = world.earn(&member, 45).await;

    world.revoke(&first.service_record).await.unwrap();

    let lines: Vec<(String, i64, i64)> = world
        .hours(&member)
        .await
        .into_iter()
        .map(|line| (line.service_record, line.minutes, line.balance_minutes))
        .collect();
    let (first, second) = (first.service_record, second.service_record);
    assert_eq!(
        lines,
        [(first.clone(), 60, 60), (second, 45, 105), (first, -60, 45)]
    );
}

#[tokio::test]
async fn a_rejected_service_counts_for_nothing_and_stays_rejected() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let record = world.record(world.service(&member, 60)).await;
    let rejection = act::RejectServiceRecordRequest {
        name: record.name.clone(),
        reason: "nobody saw them".to_owned(),
        request_id: world.id(),
    };
    let client = &world.clients.activity;

    let rejected = send!(client, reject_service_record, rejection).unwrap();
    let verify = world.verify(&record).await.unwrap_err();
    let revoke = world.revoke(&record.name).await.unwrap_err();

    assert_eq!(rejected.state(), act::ServiceRecordState::Rejected);
    assert_eq!(rejected.reason, "nobody saw them");
    for status in [verify, revoke] {
        let refusal = refused(&status);
        assert_eq!(refusal.reason, "WRONG_STATE");
        assert_eq!(
            refusal.metadata.get("state").map(String::as_str),
            Some("REJECTED")
        );
    }
    assert_eq!(world.hours(&member).await, []);
    assert_eq!(world.summary().await.service_minutes, 0);
}
