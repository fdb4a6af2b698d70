//! The people a community helps: masked, visited when due, shown whole to staff who say why, and gone for good while the books stand.

use chrono::TimeDelta;
use journeys::{World, date, refused, send};
use proto::{
    access::v1 as acc,
    wish::v1::{self as pb, VisitCondition, VisitGrade},
};
use tonic::Code;

/// Who looked at whom, or changed whom, oldest first.
async fn log(world: &World) -> Vec<acc::AuditEntry> {
    let message = pb::ListAuditEntriesRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let answer = send!(world.clients.wish, list_audit_entries, message).unwrap();
    let mut entries = answer.entries;
    entries.reverse();
    entries
}

fn reveal(world: &World, of: &pb::Beneficiary) -> pb::RevealBeneficiaryRequest {
    pb::RevealBeneficiaryRequest {
        name: of.name.clone(),
        reason: "a call about the heating".to_owned(),
        request_id: world.id(),
    }
}

fn erase(world: &World, of: &pb::Beneficiary) -> pb::EraseBeneficiaryRequest {
    pb::EraseBeneficiaryRequest {
        name: of.name.clone(),
        reason: "asked for it".to_owned(),
        request_id: world.id(),
    }
}

fn update(world: &World, of: pb::Beneficiary, paths: &[&str]) -> pb::UpdateBeneficiaryRequest {
    pb::UpdateBeneficiaryRequest {
        beneficiary: Some(of),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        request_id: world.id(),
    }
}

#[tokio::test]
async fn visits_fall_due_by_grade_over_a_year_and_the_longest_due_come_first() {
    let world = World::start().await;
    let visitor = world.volunteer().register().await;
    let weekly = world.beneficiary(VisitGrade::Weekly).await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let half_yearly = world.beneficiary(VisitGrade::HalfYearly).await;
    // The first visit is due at once, on Monday, 2 March.
    let today = date(2026, 3, 2);
    let both = [weekly.number.clone(), half_yearly.number.clone()];
    let due = world.due_visits(None).await;
    assert_eq!(due, both.clone().map(|number| (number, today, 0)));
    // It is still Monday in UTC, and Tuesday in Shanghai.
    world.clock.advance(TimeDelta::hours(15));
    let due = world.due_visits(None).await;
    assert_eq!(due, both.map(|number| (number, today, 1)));

    world.visit(&half_yearly.name, &visitor).await;
    let mut visits = 0;
    // A year of Tuesdays, and one visit in which nobody was met.
    for week in 0..52 {
        let met = match week {
            9 => VisitCondition::NotMet,
            _ => VisitCondition::Well,
        };
        let message = world.visited(&weekly.name, &visitor, met);
        send!(world.clients.roster, record_visit, message).unwrap();
        visits += 1;
        let due = world.due_visits(None).await;
        let overdue = due.iter().any(|(number, _, _)| *number == weekly.number);
        assert_eq!(overdue, week == 9, "week {week}: {due:?}");
        let half = due.iter().find(|(number, _, _)| *number != weekly.number);
        // 3 September is on a Thursday: of the Tuesdays the 27th after 3 March, 8 September, is the first behind it.
        let expected = (week >= 27).then(|| (week - 27) * 7 + 5);
        assert_eq!(half.map(|(_, _, days)| *days), expected, "week {week}");
        world.clock.advance(TimeDelta::days(7));
    }

    // The longest overdue first; and what is due next week is told on asking.
    let due = world.due_visits(Some(date(2027, 12, 31))).await;
    let numbers: Vec<&str> = due.iter().map(|(number, _, _)| &number[..]).collect();
    assert_eq!(numbers, [&half_yearly.number[..], &weekly.number[..]]);
    assert_eq!(due[0].1, date(2026, 9, 3));
    assert_eq!(due[1].1, date(2027, 3, 2));
    let message = pb::ListVisitsRequest {
        parent: world.community_name(),
        beneficiary: weekly.name.clone(),
        ..Default::default()
    };
    let listed = send!(world.clients.roster, list_visits, message).unwrap();
    // The first page has fifty.
    assert_eq!(listed.visits.len().min(visits), 50);
    assert!(listed.visits.iter().all(|visit| visit.note.is_empty()));

    // A lower grade moves the day, and whoever has ended is due for nothing.
    let change = pb::Beneficiary {
        name: weekly.name.clone(),
        grade: VisitGrade::Quarterly.into(),
        ..Default::default()
    };
    let message = update(&world, change, &["grade"]);
    let changed = send!(world.clients.roster, update_beneficiary, message).unwrap();
    assert_eq!(changed.due_date, Some(date(2027, 5, 23)));
    let end = pb::EndBeneficiaryRequest {
        name: half_yearly.name.clone(),
        reason: "moved away".to_owned(),
        request_id: world.id(),
    };
    let ended = send!(world.clients.roster, end_beneficiary, end).unwrap();
    assert_eq!(ended.state(), pb::BeneficiaryState::Ended);
    assert_eq!(world.due_visits(None).await, []);
    let message = world.visited(&half_yearly.name, &visitor, VisitCondition::Well);
    let refusal = send!(world.clients.roster, record_visit, message).unwrap_err();
    assert_eq!(refused(&refusal).reason, "WRONG_STATE");
}

#[tokio::test]
async fn whoever_is_helped_is_shown_masked_and_whole_only_to_staff_who_say_why() {
    let world = World::start().await;
    let visitor = world.volunteer().register().await;
    let created = world.beneficiary_of("3-12", VisitGrade::Weekly).await;
    assert_eq!(created.number, "B000001");
    assert_eq!(
        (&created.masked_name[..], &created.masked_phone[..]),
        ("陈**", "*******4321")
    );
    assert_eq!(created.person, None);
    world.visit(&created.name, &visitor).await;
    let change = pb::Beneficiary {
        name: created.name.clone(),
        person: Some(pb::BeneficiaryPerson {
            address: "和平里七区".to_owned(),
            ..Default::default()
        }),
        etag: created.etag.clone(),
        ..Default::default()
    };
    // The visit has changed them since.
    let message = update(&world, change.clone(), &["person.address"]);
    let refusal = send!(world.clients.roster, update_beneficiary, message).unwrap_err();
    assert_eq!(refusal.code(), Code::Aborted);
    assert_eq!(refused(&refusal).reason, "CONCURRENT_UPDATE");
    let etag = world.on_roster(&created.name).await.etag;
    let change = pb::Beneficiary { etag, ..change };
    let message = update(&world, change, &["person.address"]);
    let changed = send!(world.clients.roster, update_beneficiary, message.clone()).unwrap();
    let again = send!(world.clients.roster, update_beneficiary, message).unwrap();
    assert_eq!(again, changed);

    let desk = world.staff("STAFF07").roster;
    let look = reveal(&world, &created);
    let seen = send!(desk, reveal_beneficiary, look.clone()).unwrap();

    let person = seen.person.as_ref().unwrap();
    assert_eq!(
        (&person.display_name[..], &person.address[..]),
        ("陈秀英", "和平里七区")
    );
    assert_eq!(&person.proxy_phone, "13700009876");
    let notes: Vec<&str> = seen.visit_notes.iter().map(|note| &note.note[..]).collect();
    assert_eq!(notes, ["血压偏高"]);
    let log = log(&world).await;
    let looked: Vec<_> = log
        .iter()
        .filter(|entry| entry.method == "RevealBeneficiary")
        .collect();
    assert_eq!(looked.len(), 1);
    assert_eq!(looked[0].subject, "STAFF07");
    assert_eq!(looked[0].reason, "a call about the heating");
    assert_eq!(looked[0].resource, created.name);

    // One look: again for some minutes, to nobody else, and then no more.
    assert_eq!(send!(desk, reveal_beneficiary, look.clone()).unwrap(), seen);
    let other = world.staff("STAFF08").roster;
    let refusal = send!(other, reveal_beneficiary, look.clone()).unwrap_err();
    assert_eq!(refused(&refusal).reason, "REQUEST_ID_REUSED");
    world.clock.advance(TimeDelta::minutes(6));
    let refusal = send!(desk, reveal_beneficiary, look).unwrap_err();
    assert_eq!(refused(&refusal).reason, "REVEAL_OVER");
}

#[tokio::test]
async fn an_erased_person_is_gone_and_the_books_about_their_number_stand() {
    let world = World::start().await;
    let visitor = world.volunteer().register().await;
    let create = world.somebody("3-12", VisitGrade::Weekly);
    let created = send!(world.clients.roster, create_beneficiary, create.clone()).unwrap();
    let visit = world.visit(&created.name, &visitor).await;
    let drive = world.drive(2).await;
    let allotment = world.allot(&drive, &created.name, 1).await.unwrap();

    let message = erase(&world, &created);
    let erased = send!(world.clients.roster, erase_beneficiary, message.clone()).unwrap();
    let again = send!(world.clients.roster, erase_beneficiary, message).unwrap();

    assert_eq!(again, erased);
    assert_eq!(
        (&erased.number, &erased.masked_name[..]),
        (&created.number, "")
    );
    assert_eq!((&erased.household[..], erased.birth_year), ("", 0));
    assert_eq!(erased.state(), pb::BeneficiaryState::Ended);
    // The call that made them shows what is left.
    let repeated = send!(world.clients.roster, create_beneficiary, create).unwrap();
    assert_eq!(repeated, erased);
    let message = reveal(&world, &created);
    let refusal = send!(world.clients.roster, reveal_beneficiary, message).unwrap_err();
    let refusal = refused(&refusal);
    assert_eq!(refusal.reason, "BENEFICIARY_ERASED");
    assert!(refusal.message_zh.contains("已删除"));
    let message = pb::ListVisitsRequest {
        parent: world.community_name(),
        beneficiary: created.name.clone(),
        ..Default::default()
    };
    let visits = send!(world.clients.roster, list_visits, message).unwrap();
    assert_eq!(visits.visits, [visit]);
    // What was set aside before is handed over; nothing new begins.
    let message = world.hand_over(&allotment, &visitor);
    send!(world.clients.drives, hand_over_allotment, message).unwrap();
    let refusal = world.allot(&drive, &created.name, 1).await.unwrap_err();
    assert_eq!(refused(&refusal).reason, "WRONG_STATE");
}

#[tokio::test]
async fn a_number_is_taken_once_and_a_request_id_is_of_one_person() {
    let world = World::start().await;
    let message = world.somebody("", VisitGrade::Weekly);
    let created = send!(world.clients.roster, create_beneficiary, message.clone()).unwrap();
    let again = send!(world.clients.roster, create_beneficiary, message.clone()).unwrap();
    assert_eq!(again, created);
    let mut other = message.clone();
    other
        .beneficiary
        .as_mut()
        .unwrap()
        .person
        .as_mut()
        .unwrap()
        .display_name = "李四".to_owned();
    let refusal = send!(world.clients.roster, create_beneficiary, other).unwrap_err();
    assert_eq!(refused(&refusal).reason, "REQUEST_ID_REUSED");

    let mut taken = world.somebody("", VisitGrade::Weekly);
    taken.beneficiary.as_mut().unwrap().number = created.number;
    let refusal = send!(world.clients.roster, create_beneficiary, taken).unwrap_err();
    assert_eq!(refused(&refusal).reason, "NUMBER_TAKEN");
    // The number that somebody chose by hand is left out.
    let mut chosen = world.somebody("", VisitGrade::Weekly);
    chosen.beneficiary.as_mut().unwrap().number = "B000002".to_owned();
    send!(world.clients.roster, create_beneficiary, chosen).unwrap();
    let next = world.beneficiary(VisitGrade::Weekly).await;
    assert_eq!(next.number, "B000003");
}
