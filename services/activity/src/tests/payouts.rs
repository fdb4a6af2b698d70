use chrono::TimeDelta;
use runtime::Access;
use uuid::Uuid;

use super::{World, refusal, start};
use crate::{
    Error,
    domain::{
        call::Call,
        member::Member,
        payout::{Deed, LIFE, Line, LineState, Payout, PayoutState},
        programme::Programme,
        refusal::{Refusal, Resource},
    },
    payout::NewPayout,
    store,
};

/// A cash programme beside the world's.
async fn cash(world: &World) -> Programme {
    let programme = Programme {
        id: world.ids.next(),
        asset: "CNY".to_owned(),
        exponent: 2,
        ..world
            .activity
            .get_programme(world.community, world.programme)
            .await
            .unwrap()
    };
    store::programme::insert(&world.pool, &programme)
        .await
        .unwrap();
    programme
}

/// A frozen list of two members, as it is once the ledger holds both lines.
async fn frozen(world: &World) -> (Payout, [Member; 2]) {
    let programme = cash(world).await;
    let members = [world.member().await, world.member().await];
    let payout = Payout {
        community: world.community,
        id: world.ids.next(),
        programme: programme.id,
        asset: programme.asset,
        exponent: programme.exponent,
        state: PayoutState::Draft,
        cutoff_at: start(),
        minimum: 0,
        more_owed: false,
        created: Deed {
            by: "STAFF01".to_owned(),
            at: start(),
        },
        expires_at: start() + LIFE,
        frozen: None,
        exported: None,
        decided: None,
        reason: None,
    };
    let line = |(number, member): (i32, &Member)| Line {
        number,
        member: member.id,
        amount: 1_000,
        state: LineState::Pending,
        entry: None,
        note: String::new(),
        steps: Uuid::nil(),
    };
    let mut lines: Vec<Line> = (1..).zip(&members).map(line).collect();
    let of = (world.community, payout.id);
    let pool = &world.pool;
    store::payout::insert(pool, &payout).await.unwrap();
    store::payout_line::insert(pool, of, &lines, start())
        .await
        .unwrap();
    assert!(store::payout_line::is_any_pending(pool, of).await.unwrap());
    for line in &mut lines {
        line.state = LineState::Held;
    }
    store::payout_line::set_states(pool, of, &lines, start())
        .await
        .unwrap();
    let payout = payout.freeze(&lines, start());
    store::payout::set_state(pool, &payout).await.unwrap();
    (payout, members)
}

fn export(world: &World, by: &str) -> Call {
    Call {
        by: Access::everything(by).actor(),
        reason: Some("March is paid".to_owned()),
        ..world.call("ExportPayout")
    }
}

#[tokio::test]
async fn a_list_leaves_with_whole_names_and_without_those_of_the_erased() {
    let world = World::start().await;
    let (payout, [kept, erased]) = frozen(&world).await;
    let call = world.call("EraseMember");
    world.activity.erase_member(&call, erased.id).await.unwrap();

    let call = export(&world, "STAFF01");
    let (shown, lines) = world
        .activity
        .export_payout(&call, payout.id)
        .await
        .unwrap();

    assert_eq!(shown.payout.state, PayoutState::Exported);
    assert_eq!((shown.sums.lines, shown.sums.amount), (2, 2_000));
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (&line.number, line.name.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [(&kept.number, Some("王小明")), (&erased.number, None)]
    );
    let hash = payout.frozen.unwrap().hash;
    assert_eq!(lines.last().map(|line| line.hash), Some(hash));
}

#[tokio::test]
async fn a_list_that_was_changed_in_the_database_does_not_leave() {
    let world = World::start().await;
    let (payout, _) = frozen(&world).await;
    let owner = world._database.pool("").await;
    let change = "update activity.payout_line set amount = amount + 1 where line = 2";
    // The service's own role may not.
    assert!(sqlx::query(change).execute(&world.pool).await.is_err());
    sqlx::query(change).execute(&owner).await.unwrap();

    let call = export(&world, "STAFF01");
    let altered = world.activity.export_payout(&call, payout.id).await;

    assert!(matches!(altered, Err(Error::PayoutAltered(id)) if id == payout.id));
}

#[tokio::test]
async fn a_list_is_not_made_without_the_ledger_and_the_same_call_may_try_again() {
    let world = World::start().await;
    let programme = cash(&world).await;
    let call = world.call("CreatePayout");
    let new = NewPayout {
        id: None,
        programme: programme.id,
        cutoff_at: start(),
        minimum: 0,
    };
    for _ in 0..2 {
        let outcome = world.activity.create_payout(&call, new).await;
        assert!(matches!(outcome, Err(Error::Ledger(_))), "{outcome:?}");
    }
    let of = (world.community, programme.id);
    let lists = world
        .activity
        .list_payouts(of, None, Uuid::nil(), 10)
        .await
        .unwrap();
    assert!(lists.items.is_empty());

    let of_points = NewPayout {
        programme: world.programme,
        ..new
    };
    let call = world.call("CreatePayout");
    let refused = world.activity.create_payout(&call, of_points).await;
    let asset = "points".to_owned();
    assert_eq!(
        refusal(refused),
        Refusal::NotCash {
            programme: world.programme,
            asset,
        }
    );
}

#[tokio::test]
async fn a_list_whose_time_is_over_ends_without_anybody() {
    let world = World::start().await;
    let (payout, _) = frozen(&world).await;
    let call = export(&world, "STAFF01");
    world
        .activity
        .export_payout(&call, payout.id)
        .await
        .unwrap();
    world.clock.advance(LIFE - TimeDelta::seconds(1));
    assert!(world.activity.pay().await.is_ok());
    let get = async || {
        let shown = world.activity.get_payout(world.community, payout.id).await;
        shown.unwrap()
    };
    assert_eq!(get().await.payout.state, PayoutState::Exported);

    world.clock.advance(TimeDelta::seconds(1));

    // The ledger is away, so the lines are on their way until it is back.
    assert!(world.activity.pay().await.is_err());
    let ended = get().await;
    assert_eq!(ended.payout.state, PayoutState::Cancelled);
    assert_eq!(ended.sums.moving, 2);
    let call = export(&world, "STAFF02");
    let late = world.activity.export_payout(&call, payout.id).await;
    assert!(matches!(
        refusal(late.map(|_| ())),
        Refusal::WrongState {
            resource: Resource::Payout,
            ..
        }
    ));
}

#[tokio::test]
async fn what_was_granted_from_an_instant_on_counts_whether_or_not_the_ledger_has_said_so() {
    let world = World::start().await;
    let member = world.member().await;
    let (_, early) = world.granted(&member, 60, 1).await;
    world.clock.advance(TimeDelta::days(1));
    let (_, late) = world.granted(&member, 30, 2).await;
    let since = async |at| {
        let of = (world.community, world.programme);
        store::payout::granted_since(&world.pool, of, at)
            .await
            .unwrap()
    };
    let both = early.amount + late.amount;
    let posted = store::grant::Move {
        grant: early.id,
        step: early.posted().unwrap(),
        entry: Some(1),
    };
    store::grant::set_steps(&world.pool, world.community, &[posted])
        .await
        .unwrap();
    assert_eq!(since(start()).await, [(member.id, both)]);
    assert_eq!(since(late.created_at).await, [(member.id, late.amount)]);
    let after = late.created_at + TimeDelta::seconds(1);
    assert_eq!(since(after).await, []);
}

#[tokio::test]
async fn what_waited_for_budget_counts_from_when_it_was_granted() {
    let world = World::with_budget(Some(10)).await;
    let member = world.member().await;
    let (_, waiting) = world.granted(&member, 30, 2).await;
    let since = async |at| {
        let of = (world.community, world.programme);
        store::payout::granted_since(&world.pool, of, at)
            .await
            .unwrap()
    };
    assert_eq!(since(start()).await, []);
    world.clock.advance(TimeDelta::days(1));
    let granted = world.clock.now();
    store::programme::set_budget(&world.pool, world.community, world.programme, None)
        .await
        .unwrap();
    world
        .activity
        .release_batch(world.community, world.programme)
        .await
        .unwrap();
    assert_eq!(since(granted).await, [(member.id, waiting.amount)]);
    assert_eq!(since(granted + TimeDelta::seconds(1)).await, []);
}

#[tokio::test]
async fn a_damaged_person_keeps_no_list_from_anybody() {
    let world = World::start().await;
    let (payout, [whole, damaged]) = frozen(&world).await;
    sqlx::query("update activity.member_person set wrapped_key = 'x' where member_id = $1")
        .bind(damaged.id)
        .execute(&world.pool)
        .await
        .unwrap();

    let call = export(&world, "STAFF01");
    let (_, lines) = world
        .activity
        .export_payout(&call, payout.id)
        .await
        .unwrap();

    let seen: Vec<_> = lines
        .iter()
        .map(|line| (&line.number, line.name.as_deref(), line.is_damaged))
        .collect();
    assert_eq!(
        seen,
        [
            (&whole.number, Some("王小明"), false),
            (&damaged.number, None, true)
        ]
    );
    let members = [whole.id, damaged.id];
    let masked = world
        .activity
        .masked_persons(world.community, &members)
        .await
        .unwrap();
    assert_eq!(masked.keys().collect::<Vec<_>>(), [&whole.id]);
}

#[tokio::test]
async fn who_is_erased_meanwhile_is_waited_for_and_left_out() {
    let world = World::start().await;
    let (kept, erased) = (world.member().await, world.member().await);
    let members = [kept.id, erased.id];
    let mut erasing = world.pool.begin().await.unwrap();
    store::member::lock(&mut *erasing, world.community, members[1])
        .await
        .unwrap();
    store::member::set_erased(&mut *erasing, &erased.erase(start()))
        .await
        .unwrap();
    let pool = world.pool.clone();
    let locking =
        tokio::spawn(
            async move { store::member::lock_there(&pool, world.community, &members).await },
        );
    tokio::task::yield_now().await;
    erasing.commit().await.unwrap();
    assert_eq!(locking.await.unwrap().unwrap(), members[..1]);
}
