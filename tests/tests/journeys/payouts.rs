//! Cash rewards: from the record to the money, by lists that two people stand for, and never mixed with points.

use chrono::TimeDelta;
use journeys::{Member, World, at_once, refused, send};
use linli::system::Service;
use proto::{
    activity::v1::{self as act, PayoutFormat, PayoutLineState, PayoutState},
    ledger::v1::AccountKind,
};
use runtime::{Holder, Role};
use tonic::Code;
use uuid::Uuid;

use crate::cash::public;

/// What the programme has paid, by the ledger.
async fn paid_out(world: &World) -> i64 {
    world.account(AccountKind::PaidOut, None).await.balance
}

/// What a member has by the ledger: altogether, and on lists.
async fn has(world: &World, member: &Member) -> (i64, i64) {
    let account = world.points(member).await;
    (account.balance, account.held)
}

async fn states(world: &World, payout: &str) -> Vec<PayoutLineState> {
    let lines = world.payout_lines(payout).await;
    lines.iter().map(act::PayoutLine::state).collect()
}

#[tokio::test]
async fn a_month_of_cash_rewards_from_the_record_to_the_money() {
    let world = World::cash(None).await;
    // A programme of points beside it, with the same people.
    let points = world.programme(Uuid::from_u128(7), None).await;
    world
        .put_in_force_of(&points.name, journeys::per_hour("*", 60))
        .await;
    let (anna, bao) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    let grant = world.earn(&anna, 100).await;
    world.clock.advance(TimeDelta::seconds(1));
    world.earn(&bao, 30).await;
    let mut service = world.service(&anna, 45);
    service.service_record.as_mut().unwrap().programme = points.name.clone();
    let of_points = world.serve(service).await;

    assert_eq!((&grant.asset[..], grant.amount), ("CNY", 10_000));
    assert_eq!(
        (&grant.amount_text_zh[..], &grant.amount_text_en[..]),
        ("¥100.00", "CN¥100.00")
    );
    assert_eq!(of_points.amount_text_zh, "45 points");
    let explained = world.explain(&grant.name).await;
    assert!(
        explained.text_zh.contains("¥100.00"),
        "{}",
        explained.text_zh
    );
    let cash = world.cash_of(&anna).await;
    assert_eq!((cash.owed, cash.listed, cash.paid), (10_000, 0, 0));
    assert_eq!(cash.owed_text_zh, "¥100.00");
    let seen = public(&world, 2).await;
    let seen: Vec<_> = seen
        .iter()
        .map(|reward| (&reward.masked_name[..], reward.amount, &reward.category[..]))
        .collect();
    assert_eq!(
        seen,
        [
            ("王**", 10_000, "elder-care"),
            ("王**", 3_000, "elder-care")
        ]
    );

    let list = world.list_of_owed().await;

    assert_eq!((list.line_count, list.amount), (2, 13_000));
    assert_eq!(list.amount_text_zh, "¥130.00");
    assert_eq!(has(&world, &anna).await, (10_000, 10_000));
    assert_eq!(world.cash_of(&bao).await.listed, 3_000);
    let file = world.export(&list.name, PayoutFormat::Csv).await.unwrap();
    let text = String::from_utf8(file.content).unwrap();
    assert_eq!(text.matches("王小明").count(), 2, "{text}");
    assert!(
        text.contains(&anna.number) && text.contains("¥100.00"),
        "{text}"
    );
    assert!(
        text.contains(&list.hash) && !text.contains("13800001234"),
        "{text}"
    );
    let book = world.export(&list.name, PayoutFormat::Xlsx).await.unwrap();
    assert!(book.file_name.ends_with(".xlsx") && book.content.starts_with(b"PK"));
    assert_eq!(book.payout.unwrap().state(), PayoutState::Exported);

    let confirmation = world.confirmation(&list.name, &[]).await;
    let alone = send!(world.payouts("STAFF01"), confirm_payout, confirmation);
    assert_eq!(
        refused(&alone.unwrap_err()).reason,
        "SECOND_PERSON_REQUIRED"
    );
    let paid = world.pay(&list.name, &[]).await;

    assert_eq!(paid.state(), PayoutState::Confirmed);
    assert_eq!((paid.paid_amount, paid.failed_amount), (13_000, 0));
    assert_eq!(states(&world, &list.name).await, [PayoutLineState::Paid; 2]);
    assert_eq!(paid_out(&world).await, 13_000);
    assert_eq!(has(&world, &anna).await, (0, 0));
    let cash = world.cash_of(&anna).await;
    assert_eq!((cash.owed, cash.listed, cash.paid), (0, 0, 10_000));
    assert_eq!(world.summary().await.granted, 13_000);
    world.trial_balance().await;
    let nothing = world.payout_before(world.clock.now());
    let nothing = send!(world.payouts("STAFF01"), create_payout, nothing);
    assert_eq!(refused(&nothing.unwrap_err()).reason, "NOTHING_OWED");
}

#[tokio::test]
async fn who_looked_at_the_names_of_a_list_is_in_the_audit_log_with_why() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    world.earn(&member, 5).await;
    let list = world.list_of_owed().await;
    let message = act::ExportPayoutRequest {
        name: list.name.clone(),
        format: PayoutFormat::Csv.into(),
        reason: "March is paid".to_owned(),
        request_id: world.id(),
    };
    let desk = world.payouts("STAFF07");
    let first = send!(desk, export_payout, message.clone()).unwrap();
    assert_eq!(
        send!(desk, export_payout, message.clone()).unwrap(),
        first,
        "an answer that was lost"
    );

    world.clock.advance(TimeDelta::minutes(6));

    let late = send!(desk, export_payout, message.clone()).unwrap_err();
    assert_eq!(refused(&late).reason, "REVEAL_OVER");
    let by_another = send!(world.payouts("STAFF08"), export_payout, message);
    assert_eq!(
        refused(&by_another.unwrap_err()).reason,
        "REQUEST_ID_REUSED"
    );
    let log = act::ListAuditEntriesRequest {
        parent: world.community_name(),
        subject: "STAFF07".to_owned(),
        ..Default::default()
    };
    let log = send!(world.clients.activity, list_audit_entries, log).unwrap();
    let entry = &log.entries[0];
    assert_eq!(
        (&entry.method[..], &entry.resource),
        ("ExportPayout", &list.name)
    );
    assert_eq!(entry.reason, "March is paid");
}

#[tokio::test]
async fn what_could_not_be_paid_is_on_the_next_list() {
    let world = World::cash(None).await;
    let (anna, bao) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    world.earn(&anna, 10).await;
    world.earn(&bao, 20).await;
    let first = world.list_of_owed().await;
    let lines = world.payout_lines(&first.name).await;
    let of_bao = lines.iter().find(|line| line.member == bao.name).unwrap();

    let paid = world.pay(&first.name, &[of_bao.line]).await;

    assert_eq!((paid.paid_amount, paid.failed_amount), (1_000, 2_000));
    assert_eq!(has(&world, &bao).await, (2_000, 0));
    let failed = world.payout_lines(&first.name).await;
    let failed = failed.iter().find(|line| line.member == bao.name).unwrap();
    assert_eq!(failed.state(), PayoutLineState::Failed);
    assert_eq!(failed.note, "account closed");
    world.earn(&bao, 5).await;
    let next = world.list_of_owed().await;
    assert_eq!((next.line_count, next.amount), (1, 2_500));
    world.pay(&next.name, &[]).await;
    assert_eq!(paid_out(&world).await, 3_500);
    assert_eq!(world.cash_of(&bao).await.paid, 2_500);
    world.trial_balance().await;
}

#[tokio::test]
async fn a_cancelled_list_pays_nobody_and_holds_nothing() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    world.earn(&member, 10).await;
    let cancel = async |name: &str, subject: &str| {
        let message = act::CancelPayoutRequest {
            name: name.to_owned(),
            reason: "wrong month".to_owned(),
            request_id: world.id(),
        };
        send!(world.payouts(subject), cancel_payout, message)
    };
    // One that is not even held yet may go.
    world.clock.advance(TimeDelta::seconds(1));
    let message = world.payout_before(world.clock.now());
    let draft = send!(world.payouts("STAFF01"), create_payout, message).unwrap();
    cancel(&draft.name, "STAFF01").await.unwrap();
    world.settled(&draft.name).await;
    assert_eq!(has(&world, &member).await, (1_000, 0));

    let list = world.list_of_owed().await;
    world.export(&list.name, PayoutFormat::Csv).await.unwrap();
    // The file may be at the bank.
    let alone = cancel(&list.name, "STAFF01").await.unwrap_err();
    assert_eq!(refused(&alone).reason, "SECOND_PERSON_REQUIRED");
    cancel(&list.name, "STAFF02").await.unwrap();
    let cancelled = world.settled(&list.name).await;

    assert_eq!(cancelled.state(), PayoutState::Cancelled);
    assert_eq!(cancelled.reason, "wrong month");
    assert_eq!(
        states(&world, &list.name).await,
        [PayoutLineState::Cancelled]
    );
    assert_eq!(has(&world, &member).await, (1_000, 0));
    assert_eq!(paid_out(&world).await, 0);
    let confirmation = world.confirmation(&list.name, &[]).await;
    let late = send!(world.payouts("STAFF02"), confirm_payout, confirmation);
    assert_eq!(refused(&late.unwrap_err()).reason, "WRONG_STATE");
    let gone = world.export(&list.name, PayoutFormat::Csv).await;
    assert_eq!(refused(&gone.unwrap_err()).reason, "WRONG_STATE");
}

#[tokio::test]
async fn lists_made_at_once_have_no_fen_twice() {
    let world = World::cash(None).await;
    let mut members = Vec::new();
    for _ in 0..5 {
        let member = world.volunteer().register().await;
        world.earn(&member, 10).await;
        members.push(member);
    }
    world.clock.advance(TimeDelta::seconds(1));
    let made = at_once(4, |_| {
        let client = world.payouts("STAFF01");
        let message = world.payout_before(world.clock.now());
        async move { send!(client, create_payout, message) }
    })
    .await;

    let mut lists = Vec::new();
    for answer in made {
        match answer {
            Ok(list) => lists.push(world.frozen(&list.name).await),
            Err(status) => assert_eq!(refused(&status).reason, "NOTHING_OWED"),
        }
    }

    assert_eq!(lists.iter().map(|list| list.amount).sum::<i64>(), 5_000);
    for list in &lists {
        world.pay(&list.name, &[]).await;
    }
    assert_eq!(paid_out(&world).await, 5_000);
    for member in &members {
        assert_eq!(has(&world, member).await, (0, 0));
        assert_eq!(world.cash_of(member).await.paid, 1_000);
    }
    world.trial_balance().await;
}

/// Pays a list while a service dies again and again.
async fn paid_through_deaths(service: fn(&mut World) -> &mut Service) {
    let mut world = World::cash(None).await;
    for _ in 0..8 {
        let member = world.volunteer().register().await;
        world.earn(&member, 10).await;
    }
    world.clock.advance(TimeDelta::seconds(1));
    let message = world.payout_before(world.clock.now());
    let list = send!(world.payouts("STAFF01"), create_payout, message).unwrap();
    service(&mut world).kill();
    service(&mut world).start().await.unwrap();
    let list = world.frozen(&list.name).await;
    assert_eq!((list.line_count, list.amount), (8, 8_000));
    world.export(&list.name, PayoutFormat::Csv).await.unwrap();
    let confirmation = world.confirmation(&list.name, &[3, 5]).await;
    let confirmed = send!(
        world.payouts("STAFF02"),
        confirm_payout,
        confirmation.clone()
    )
    .unwrap();

    for pause in 0..3 {
        service(&mut world).kill();
        service(&mut world).start().await.unwrap();
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
    }

    let again = linli::call!(world.payouts("STAFF02"), confirm_payout, confirmation);
    assert_eq!(again.await.unwrap(), confirmed, "the first answer");
    let paid = world.settled(&list.name).await;
    assert_eq!((paid.paid_amount, paid.failed_amount), (6_000, 2_000));
    assert_eq!(paid_out(&world).await, 6_000);
    let account = world.account_name(AccountKind::PaidOut, None);
    let payments = world.entries(&account).await;
    let captured: Vec<_> = payments
        .iter()
        .filter(|entry| entry.amount == 1_000)
        .collect();
    let lines = world.payout_lines(&list.name).await;
    for line in lines.iter().filter(|line| !line.entry.is_empty()) {
        assert!(captured.iter().any(|entry| entry.name == line.entry));
    }
    let members = world.trial_balance().await;
    let of = |kind| {
        let rows = members.rows.iter().filter(|row| row.kind() == kind);
        rows.map(|row| (row.balance, row.held)).collect::<Vec<_>>()
    };
    assert_eq!(of(AccountKind::Member), [(2_000, 0)]);
    assert_eq!(of(AccountKind::PaidOut), [(6_000, 0)]);
}

#[tokio::test]
async fn a_list_is_paid_once_though_activity_dies_between_the_steps() {
    paid_through_deaths(|world| &mut world.system.activity).await;
}

#[tokio::test]
async fn a_list_is_paid_once_though_the_ledger_dies_between_the_steps() {
    paid_through_deaths(|world| &mut world.system.ledger).await;
}

#[tokio::test]
async fn a_list_that_nobody_confirms_ends_with_its_time() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    world.earn(&member, 10).await;
    let list = world.list_of_owed().await;
    world.export(&list.name, PayoutFormat::Csv).await.unwrap();
    let confirmation = world.confirmation(&list.name, &[]).await;

    world.clock.advance(TimeDelta::days(90));

    let late = send!(world.payouts("STAFF02"), confirm_payout, confirmation).unwrap_err();
    let refusal = refused(&late);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert!(["PAYOUT_EXPIRED", "WRONG_STATE"].contains(&&refusal.reason[..]));
    let ended = world
        .in_time("the list has ended", async || {
            let payout = world.payout(&list.name).await;
            (payout.state() == PayoutState::Cancelled && payout.moving_lines == 0).then_some(payout)
        })
        .await;
    assert_eq!((&ended.decided_by[..], &ended.reason[..]), ("", ""));
    assert_eq!(has(&world, &member).await, (1_000, 0));
}

#[tokio::test]
async fn a_reward_is_forfeited_when_its_time_is_over_but_not_while_it_is_on_a_list() {
    // Until the end of next month.
    let world = World::cash(Some(1)).await;
    let (early, late) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    world.earn(&early, 10).await;
    let list = world.list_of_owed().await;
    world.earn(&late, 20).await;

    world.clock.advance(TimeDelta::days(70));

    // On no list in time.
    assert_eq!(world.cash_of(&late).await.owed, 0);
    let paid = world.pay(&list.name, &[]).await;
    assert_eq!(paid.paid_amount, 1_000);
    let nothing = send!(
        world.payouts("STAFF01"),
        create_payout,
        world.payout_before(world.clock.now())
    );
    assert_eq!(refused(&nothing.unwrap_err()).reason, "NOTHING_OWED");
}

#[tokio::test]
async fn a_list_has_what_was_granted_before_its_cut_off_and_at_least_the_minimum() {
    let world = World::cash(None).await;
    let (anna, bao) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    world.earn(&anna, 30).await;
    world.earn(&bao, 10).await;
    world.clock.advance(TimeDelta::days(1));
    let cutoff = world.clock.now();
    world.earn(&anna, 40).await;
    world.earn(&bao, 60).await;
    world.clock.advance(TimeDelta::days(1));

    let mut message = world.payout_before(cutoff);
    message.minimum = 2_000;
    let list = send!(world.payouts("STAFF01"), create_payout, message).unwrap();
    let list = world.frozen(&list.name).await;

    let lines = world.payout_lines(&list.name).await;
    let lines: Vec<_> = lines
        .iter()
        .map(|line| (&line.member[..], line.amount))
        .collect();
    assert_eq!(lines, [(&anna.name[..], 3_000)]);
    let early = world.payout_before(world.clock.now() + TimeDelta::days(1));
    let early = send!(world.payouts("STAFF01"), create_payout, early).unwrap_err();
    assert_eq!(refused(&early).fields, ["cutoff_time"]);
}

#[tokio::test]
async fn nobody_confirms_a_list_that_pays_them_or_one_that_they_have_not_seen() {
    let world = World::cash(None).await;
    let member = world.volunteer().register().await;
    world.earn(&member, 10).await;
    let list = world.list_of_owed().await;
    world.export(&list.name, PayoutFormat::Csv).await.unwrap();
    let own = world.payouts_of(&Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("STAFF02", [Role::Staff, Role::Member])
    });
    let confirmation = world.confirmation(&list.name, &[]).await;
    let refusal = send!(own, confirm_payout, confirmation.clone()).unwrap_err();
    assert_eq!(refused(&refusal).reason, "SELF_PAYOUT");
    let desk = world.payouts("STAFF02");
    for (change, reason) in [
        (
            act::ConfirmPayoutRequest {
                hash: "0".repeat(64),
                ..confirmation.clone()
            },
            "PAYOUT_HASH_MISMATCH",
        ),
        (
            act::ConfirmPayoutRequest {
                outcomes: vec![],
                ..confirmation.clone()
            },
            "OUTCOME_MISSING",
        ),
    ] {
        let message = act::ConfirmPayoutRequest {
            request_id: world.id(),
            ..change
        };
        let refusal = send!(desk, confirm_payout, message).unwrap_err();
        assert_eq!(refused(&refusal).reason, reason);
    }
    assert_eq!(paid_out(&world).await, 0);
}
