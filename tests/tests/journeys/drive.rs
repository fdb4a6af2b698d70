//! Donation drives: packs handed over, allotted and left add up, whoever wants the last one.

use journeys::{World, at_once, refused, send};
use proto::wish::v1::{self as pb, VisitGrade};
use runtime::reason_of;

#[tokio::test]
async fn twenty_who_want_the_last_packs_get_no_more_than_there_are() {
    let world = World::start().await;
    let drive = world.drive(3).await;
    let mut people = Vec::new();
    for _ in 0..20 {
        people.push(world.beneficiary(VisitGrade::Weekly).await.name);
    }

    let answers = at_once(20, |number| {
        let client = world.clients.drives.clone();
        let message = world.allotment(&drive, &people[number], 1);
        async move { send!(client, allot_packs, message) }
    })
    .await;

    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    let reasons: Vec<Option<String>> = refusals.map(reason_of).collect();
    assert_eq!(reasons, vec![Some("PACKS_SHORT".to_owned()); 17]);
    assert_eq!(world.packs(&drive).await, (0, 3, 0));
}

#[tokio::test]
async fn a_household_gets_packs_once_a_drive_unless_said_or_taken_back() {
    let world = World::start().await;
    let drive = world.drive(10).await;
    let mother = world.beneficiary_of("3-12", VisitGrade::Weekly).await.name;
    let son = world
        .beneficiary_of("3-12", VisitGrade::HalfYearly)
        .await
        .name;
    let neighbour = world.beneficiary_of("3-14", VisitGrade::Weekly).await.name;

    let first = world.allot(&drive, &mother, 2).await.unwrap();
    world.allot(&drive, &neighbour, 1).await.unwrap();
    for again in [&mother, &son] {
        let refusal = world.allot(&drive, again, 1).await.unwrap_err();
        assert_eq!(refused(&refusal).reason, "HOUSEHOLD_SERVED");
    }
    assert_eq!(world.packs(&drive).await, (0, 3, 7));

    let back = pb::TakeBackAllotmentRequest {
        name: first.name.clone(),
        reason: "not at home".to_owned(),
        request_id: world.id(),
    };
    let taken = send!(world.clients.drives, take_back_allotment, back).unwrap();
    assert_eq!(taken.state(), pb::AllotmentState::TakenBack);
    assert_eq!(world.packs(&drive).await, (0, 1, 9));
    world.allot(&drive, &son, 1).await.unwrap();

    let open = pb::DonationDrive {
        pack_count: 4,
        repeat_households: true,
        ..Default::default()
    };
    let open = world.drive_of(open).await;
    for person in [&mother, &son, &mother] {
        world.allot(&open, person, 1).await.unwrap();
    }
    assert_eq!(world.packs(&open).await, (0, 3, 1));
}

#[tokio::test]
async fn packs_are_handed_over_once_against_receipt_and_a_drive_closes_when_none_wait() {
    let world = World::start().await;
    let drive = world.drive(5).await;
    let somebody = world.beneficiary(VisitGrade::Weekly).await.name;
    let deliverer = world.volunteer().register().await;
    let allotment = world.allot(&drive, &somebody, 2).await.unwrap();
    let close = || pb::CloseDonationDriveRequest {
        name: drive.name.clone(),
        request_id: world.id(),
    };
    let refusal = send!(world.clients.drives, close_donation_drive, close()).unwrap_err();
    assert_eq!(refused(&refusal).reason, "PACKS_ALLOTTED");

    let message = world.hand_over(&allotment, &deliverer);
    let handed = send!(world.clients.drives, hand_over_allotment, message.clone()).unwrap();
    let again = send!(world.clients.drives, hand_over_allotment, message).unwrap();

    assert_eq!(again, handed);
    assert_eq!(handed.state(), pb::AllotmentState::HandedOver);
    assert_eq!(handed.receiver(), pb::PackReceiver::Household);
    assert_eq!(handed.handed_over_by, deliverer.name);
    assert_eq!(world.packs(&drive).await, (2, 0, 3));
    let message = world.hand_over(&allotment, &deliverer);
    let refusal = send!(world.clients.drives, hand_over_allotment, message).unwrap_err();
    assert_eq!(refused(&refusal).reason, "WRONG_STATE");

    let closed = send!(world.clients.drives, close_donation_drive, close()).unwrap();
    assert_eq!(closed.state(), pb::DonationDriveState::Closed);
    let other = world.beneficiary(VisitGrade::Weekly).await.name;
    let refusal = world.allot(&drive, &other, 1).await.unwrap_err();
    assert_eq!(refused(&refusal).reason, "WRONG_STATE");
    // No points anywhere.
    assert_eq!(world.entries("").await, []);
}
