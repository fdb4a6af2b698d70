//! What takes two people, and that everything says who asked for it.

use chrono::TimeDelta;
use journeys::{Refused, Scheme, World, refused, send};
use proto::{
    access::v1 as acc, activity::v1 as act, ledger::v1::AccountKind, redemption::v1 as red,
};
use runtime::{Holder, Role};
use tonic::Code;

use act::{AdjustmentState, adjustment::Change};

pub fn points(member: &str, amount: i64) -> Change {
    Change::Points(act::PointsChange {
        member: member.to_owned(),
        amount,
        expire_time: None,
    })
}

pub fn budget(budget: i64) -> Change {
    let budget = Some(budget);
    Change::Budget(act::BudgetChange { budget })
}

pub async fn propose(world: &World, change: Change) -> act::Adjustment {
    let message = act::CreateAdjustmentRequest {
        parent: world.community_name(),
        adjustment: Some(act::Adjustment {
            programme: world.programme_name(),
            change: Some(change),
            reason: "a miscount in May".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let desk = world.staff("STAFF01").activity;
    send!(desk, create_adjustment, message).unwrap()
}

pub async fn approve(
    world: &World,
    by: &str,
    adjustment: &act::Adjustment,
) -> Result<act::Adjustment, Refused> {
    let message = act::ApproveAdjustmentRequest {
        name: adjustment.name.clone(),
        request_id: world.id(),
    };
    let desk = world.staff(by).activity;
    send!(desk, approve_adjustment, message).map_err(|status| refused(&status))
}

/// Waits until an adjustment has been to the ledger.
pub async fn settled(world: &World, adjustment: &act::Adjustment) -> act::Adjustment {
    let message = act::GetAdjustmentRequest {
        name: adjustment.name.clone(),
    };
    world
        .in_time("the adjustment is settled", async || {
            let found = send!(world.clients.activity, get_adjustment, message.clone()).unwrap();
            (found.state() != AdjustmentState::Approved).then_some(found)
        })
        .await
}

#[tokio::test]
async fn points_are_given_and_taken_by_hand_only_by_two() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let given = propose(&world, points(&member.name, 30)).await;
    assert_eq!(given.state(), AdjustmentState::Proposed);
    assert_eq!(given.proposed_by, "STAFF01");

    let alone = approve(&world, "STAFF01", &given).await.unwrap_err();
    assert_eq!(
        (alone.code, &alone.reason[..]),
        (Code::FailedPrecondition, "SECOND_PERSON_REQUIRED")
    );
    let approved = approve(&world, "STAFF02", &given).await.unwrap();
    assert_eq!(approved.decided_by, "STAFF02");
    let applied = settled(&world, &given).await;
    assert_eq!(applied.state(), AdjustmentState::Applied);
    assert_eq!(world.balance(&member).await, 30);
    assert_eq!(world.summary().await.granted, 30);
    let account = world.account_name(AccountKind::Member, Some(member.id));
    let statement = world.entries(&account).await;
    assert_eq!(statement.len(), 1);
    assert_eq!(statement[0].name, applied.entry);
    let again = approve(&world, "STAFF03", &given).await.unwrap_err();
    assert_eq!(again.reason, "WRONG_STATE");

    let taken = propose(&world, points(&member.name, -20)).await;
    approve(&world, "STAFF02", &taken).await.unwrap();
    settled(&world, &taken).await;
    assert_eq!(world.balance(&member).await, 10);
    assert_eq!(world.summary().await.granted, 10);

    let too_much = propose(&world, points(&member.name, -11)).await;
    approve(&world, "STAFF02", &too_much).await.unwrap();
    let refused = settled(&world, &too_much).await;
    assert_eq!(refused.state(), AdjustmentState::Refused);
    assert_eq!(refused.refusal, "INSUFFICIENT_POINTS");
    assert_eq!(world.balance(&member).await, 10);
    assert_eq!(world.summary().await.granted, 10);
    world.trial_balance().await;
}

#[tokio::test]
async fn nobody_approves_points_for_themselves() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let given = propose(&world, points(&member.name, 30)).await;
    let desk = world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("STAFF02", [Role::Staff])
    });
    let message = act::ApproveAdjustmentRequest {
        name: given.name.clone(),
        request_id: world.id(),
    };
    let status = send!(desk.activity, approve_adjustment, message).unwrap_err();
    assert_eq!(refused(&status).reason, "SELF_ADJUSTMENT");

    let message = act::DeclineAdjustmentRequest {
        name: given.name.clone(),
        request_id: world.id(),
    };
    let desk = world.staff("STAFF01").activity;
    let withdrawn = send!(desk, decline_adjustment, message).unwrap();
    assert_eq!(withdrawn.state(), AdjustmentState::Declined);
    assert_eq!(world.summary().await.granted, 0);
}

#[tokio::test]
async fn a_budget_is_changed_by_two_and_holds_here_and_in_the_ledger() {
    let scheme = Scheme {
        budget: Some(60),
        ..Scheme::default()
    };
    let world = World::with(scheme).await;
    let member = world.volunteer().with_points(50).await;
    let given = propose(&world, points(&member.name, 20)).await;
    let over = approve(&world, "STAFF02", &given).await.unwrap_err();
    assert_eq!(over.reason, "BUDGET_EXCEEDED");
    assert_eq!(over.metadata["left"], "10");

    let raised = propose(&world, budget(100)).await;
    let alone = approve(&world, "STAFF01", &raised).await.unwrap_err();
    assert_eq!(alone.reason, "SECOND_PERSON_REQUIRED");
    approve(&world, "STAFF02", &raised).await.unwrap();
    assert_eq!(
        settled(&world, &raised).await.state(),
        AdjustmentState::Applied
    );
    let issuing = world.account(AccountKind::Issuing, None).await;
    assert_eq!(issuing.min_balance, Some(-100));
    approve(&world, "STAFF02", &given).await.unwrap();
    settled(&world, &given).await;
    assert_eq!(world.balance(&member).await, 70);

    let below = propose(&world, budget(69)).await;
    let refusal = approve(&world, "STAFF02", &below).await.unwrap_err();
    assert_eq!(refusal.reason, "BUDGET_BELOW_GRANTED");
    let narrowed = propose(&world, budget(70)).await;
    approve(&world, "STAFF02", &narrowed).await.unwrap();
    settled(&world, &narrowed).await;
    let issuing = world.account(AccountKind::Issuing, None).await;
    assert_eq!(issuing.min_balance, Some(-70));
    let waiting = world.serve(world.service(&member, 60)).await;
    assert_eq!(waiting.state(), act::GrantState::AwaitingBudget);
}

#[tokio::test]
async fn an_adjustment_waits_for_the_ledger_and_is_made_once() {
    let mut world = World::start().await;
    let member = world.volunteer().register().await;
    world.system.ledger.stop().await.unwrap();
    let given = propose(&world, points(&member.name, 30)).await;
    let approved = approve(&world, "STAFF02", &given).await.unwrap();
    assert_eq!(approved.state(), AdjustmentState::Approved);
    world.system.activity.kill();
    world.system.ledger.start().await.unwrap();
    world.system.activity.start().await.unwrap();

    let applied = settled(&world, &given).await;

    assert_eq!(applied.state(), AdjustmentState::Applied);
    assert_eq!(world.balance(&member).await, 30);
}

#[tokio::test]
async fn a_service_recorded_long_after_it_takes_a_second_person() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let desk = world.staff("STAFF01").activity;
    let start = world.clock.now() - TimeDelta::days(9);
    let late = world.service_at(&member, start, 60);
    let late = send!(desk, create_service_record, late).unwrap();
    assert_eq!(late.recorded_by, "STAFF01");
    let start = world.clock.now() - TimeDelta::days(6);
    let fresh = world.service_at(&member, start, 60);
    let fresh = send!(desk, create_service_record, fresh).unwrap();

    let alone = world.verify_as("STAFF01", &late).await.unwrap_err();

    assert_eq!(refused(&alone).reason, "SECOND_PERSON_REQUIRED");
    assert!(world.verify_as("STAFF01", &fresh).await.is_ok());
    assert!(world.verify_as("STAFF02", &late).await.is_ok());
}

#[tokio::test]
async fn every_change_says_who_asked_for_it() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let record = world.record(world.service(&member, 30)).await;
    world.verify_as("STAFF07", &record).await.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    world.verify_as("STAFF07", &record).await.unwrap_err();
    let till = world.staff("TILL").redemption;
    let order = world.order(&member, &offer, 1);
    let redemption = send!(till, redeem, order.clone()).unwrap();
    let undo = red::CancelRedemptionByRequestIdRequest {
        parent: world.community_name(),
        request_id: order.request_id.clone(),
    };
    world.clock.advance(TimeDelta::seconds(1));
    let desk = world.staff("STAFF08").redemption;
    send!(desk, cancel_redemption_by_request_id, undo).unwrap();

    let auditor = world
        .clients
        .of(Holder::everywhere("AUDIT", [Role::Auditor]));
    let ask = act::ListAuditEntriesRequest {
        parent: world.community_name(),
        subject: "STAFF07".to_owned(),
        ..Default::default()
    };
    let asked = send!(auditor.activity, list_audit_entries, ask)
        .unwrap()
        .entries;
    let staff = vec![i32::from(acc::Role::Staff)];
    let said: Vec<(&str, &str)> = asked
        .iter()
        .map(|entry| (&entry.method[..], &entry.refusal[..]))
        .collect();
    let verify = "VerifyServiceRecord";
    assert_eq!(said, [(verify, "WRONG_STATE"), (verify, "")]);
    assert!(
        asked
            .iter()
            .all(|entry| entry.resource == record.name && entry.roles == staff)
    );

    let mut all = Vec::new();
    let mut ask = red::ListAuditEntriesRequest {
        parent: world.community_name(),
        page_size: 2,
        ..Default::default()
    };
    loop {
        let page = send!(auditor.redemption, list_audit_entries, ask.clone()).unwrap();
        all.extend(page.entries);
        ask.page_token = page.next_page_token;
        if ask.page_token.is_empty() {
            break;
        }
    }
    let by = |entry: &acc::AuditEntry| (entry.subject.clone(), entry.method.clone());
    let said: Vec<(String, String)> = all.iter().map(by).collect();
    assert!(
        said.contains(&("TILL".to_owned(), "Redeem".to_owned())),
        "{said:?}"
    );
    let cancelled = "CancelRedemptionByRequestId".to_owned();
    assert_eq!(said[0], ("STAFF08".to_owned(), cancelled));
    assert_eq!(all[0].resource, redemption.name);
    assert!(all.is_sorted_by(|later, sooner| {
        let at = |entry: &acc::AuditEntry| entry.create_time.map(|at| (at.seconds, at.nanos));
        at(later) >= at(sooner)
    }));
}
