//! A resident's way through the scheme, from registration to a cup of tea, with every point explained.

use chrono::TimeDelta;
use journeys::{Scheme, World, at, date, per_hour, send};
use proto::{activity::v1 as act, ledger::v1 as led, redemption::v1 as red};
use runtime::timestamp;

/// 20 points an hour, half as much again for leaders, 60 a day; points of March expire at the end of September.
fn scheme() -> Scheme {
    Scheme {
        policy: act::Policy {
            multipliers: vec![act::Multiplier {
                factor: "1.5".to_owned(),
                condition: Some(act::multiplier::Condition::Role(
                    act::ServiceRole::Leader.into(),
                )),
            }],
            caps: vec![act::Cap {
                source: act::EarnSource::Unspecified.into(),
                period: act::CapPeriod::Day.into(),
                limit: 60,
            }],
            expiry_months: Some(6),
            ..per_hour("elder-care", 20)
        },
        budget: Some(1000),
    }
}

#[tokio::test]
async fn a_residents_points_are_earned_kept_spent_and_explained_to_the_last_one() {
    let world = World::with(scheme()).await;
    let merchant = world.merchant().await;
    let offer = world.offer(&merchant).costing(15).active().await;
    let end_of_september = Some(timestamp(at("2026-09-30T16:00:00Z")));

    // Registered: the name goes in and does not come out.
    let resident = world.volunteer().register().await;
    let seen = world.member(&resident).await;
    assert_eq!((seen.display_name.as_str(), seen.phone.as_str()), ("", ""));
    assert!(seen.masked_name.starts_with('王') && !seen.masked_name.contains("小明"));
    assert!(seen.masked_phone.ends_with("1234") && !seen.masked_phone.contains("138"));

    // Recorded: nothing counts yet.
    let start = world.clock.now() - TimeDelta::hours(3);
    let mut service = world.service_at(&resident, start, 150);
    service.service_record.as_mut().unwrap().role = act::ServiceRole::Leader.into();
    let record = world.record(service).await;
    assert_eq!(record.state(), act::ServiceRecordState::Pending);
    assert_eq!((record.minutes, record.grant.as_str()), (150, ""));
    assert_eq!(world.member(&resident).await.service_minutes, 0);

    // Verified by another: the hours count at once, the points arrive.
    let record = world.verify(&record).await.unwrap();
    assert_eq!(record.state(), act::ServiceRecordState::Verified);
    assert_eq!(world.member(&resident).await.service_minutes, 150);
    let hours = world.hours(&resident).await;
    assert_eq!(hours.len(), 1);
    assert_eq!((hours[0].minutes, hours[0].balance_minutes), (150, 150));
    let grant = world.posted(&record.grant).await;
    assert_eq!((grant.amount, &grant.expire_time), (60, &end_of_september));

    // Explained: 150 minutes × 20 × 1.5 / 60 = 75, and the day's cap leaves 60.
    let why = world.explain(&grant.name).await;
    assert_eq!(
        (why.rule_index, why.minutes, why.desired, why.capped),
        (Some(0), 150, 75, 60)
    );
    assert_eq!(why.budget_left, Some(1000));
    assert_eq!((why.multipliers.len(), why.caps.len()), (1, 1));
    let cap = &why.caps[0];
    assert_eq!((cap.period_start.as_str(), cap.used), ("2026-03-02", 0));
    assert_eq!((cap.before, cap.after), (75, 60));
    for text in [&why.text_en, &why.text_zh] {
        assert!(text.contains("75") && text.contains("60"), "{text}");
    }

    // Kept: in a lot with its expiry.
    let account = world.points(&resident).await;
    assert_eq!(
        (account.balance, account.held, account.available),
        (60, 0, 60)
    );
    assert_eq!(account.lots.len(), 1);
    assert_eq!(
        (account.lots[0].remaining, &account.lots[0].expire_time),
        (60, &end_of_september)
    );

    // Spent: two for 15 each.
    let redemption = world
        .redeem(world.order(&resident, &offer, 2))
        .await
        .unwrap();
    assert_eq!(redemption.state(), red::RedemptionState::Captured);
    assert_eq!((redemption.points, redemption.captured_points), (30, 30));
    assert_eq!(world.stock_left(&offer).await, 98);
    assert_eq!(world.till(&merchant).await.balance, 30);
    assert_eq!(world.takings(&merchant).await.captured_points, 30);
    assert_eq!(world.member(&resident).await.service_minutes, 150);

    // Explained: the statement has one line for each movement, and its last balance is the account's.
    let account = world.points(&resident).await;
    let statement = world.entries(&account.name).await;
    assert_eq!(statement.len(), 2);
    let (earned, spent) = (&statement[0], &statement[1]);
    assert_eq!(earned.name, grant.entry);
    assert_eq!((earned.amount, earned.credit_balance), (60, 60));
    assert_eq!(earned.expire_time, end_of_september);
    assert_eq!(spent.name, redemption.entry);
    assert_eq!(
        (spent.amount, spent.debit_balance, account.balance),
        (30, 30, 30)
    );
    assert!(
        spent.description.contains(&offer.title),
        "{}",
        spent.description
    );
    assert_eq!(spent.allocations.len(), 1);
    assert_eq!(spent.allocations[0].expire_time, end_of_september);
    world.trial_balance().await;
}

#[tokio::test]
async fn an_entry_of_the_journal_says_the_same_wherever_it_is_read() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    world.redeem(world.order(&member, &offer, 1)).await.unwrap();

    let journal = world.entries("").await;

    let numbers: Vec<i64> = journal.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [1, 2]);
    for entry in journal {
        let message = led::GetEntryRequest {
            name: entry.name.clone(),
        };
        assert_eq!(
            send!(world.clients.ledger, get_entry, message).unwrap(),
            entry
        );
    }
    assert_eq!(world.trial_balance().await.last_sequence, 2);
}

#[tokio::test]
async fn an_offer_runs_through_its_last_local_day_and_no_further() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let today = date(2026, 3, 2);
    let offer = world.offer(&merchant).between(today, today).active().await;
    let member = world.volunteer().with_points(50).await;

    world.clock.advance_to(at("2026-03-02T15:59:59.999999Z"));
    let last = world.redeem(world.order(&member, &offer, 1)).await;
    world.clock.advance_to(at("2026-03-02T16:00:00Z"));
    let late = world.redeem(world.order(&member, &offer, 1)).await;

    assert!(last.is_ok());
    assert_eq!(
        runtime::reason_of(&late.unwrap_err()).unwrap(),
        "OFFER_NOT_ACTIVE"
    );
}
