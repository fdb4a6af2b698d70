//! Confirmed pledges that are taken back after all: the points are where they were, and everyone can see why.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use journeys::{Member, Scheme, World, at_once, per_hour, refused, send};
use linli::system::{Clients, Service};
use proto::{
    activity::v1 as act,
    ledger::v1 as led,
    wish::v1::{self as pb, PledgeState, WishState, WishUnit},
};
use runtime::{Holder, Role};
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// How many reversals are under way when a service dies.
const CALLS: usize = 20;

/// Pledged, delivered, confirmed, reversed.
fn sums(wish: &pb::Wish) -> [i64; 4] {
    [
        wish.pledged_quantity,
        wish.delivered_quantity,
        wish.confirmed_quantity,
        wish.reversed_quantity,
    ]
}

async fn purse(world: &World, member: &Member) -> (i64, i64) {
    let account = world.points(member).await;
    (account.balance, account.held)
}

async fn given(world: &World) -> i64 {
    world.account(led::AccountKind::Wish, None).await.balance
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    let refusal = refused(&outcome.unwrap_err());
    assert!(!refusal.message_zh.is_empty());
    refusal.reason
}

/// How many entries of a kind the community's journal has.
async fn count(world: &World, kind: led::EntryKind) -> usize {
    let entries = world.entries("").await;
    entries.iter().filter(|entry| entry.kind() == kind).count()
}

fn member_alone(world: &World, member: &Member) -> Clients {
    world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("wx-1", [Role::Member])
    })
}

#[tokio::test]
async fn a_reversed_pledge_gives_the_points_back_under_their_old_expiry_and_nothing_is_deleted() {
    let policy = act::Policy {
        expiry_months: Some(1),
        ..per_hour("*", 60)
    };
    let scheme = Scheme {
        policy,
        ..Default::default()
    };
    let world = World::with(scheme).await;
    let member = world.volunteer().with_points(50).await;
    let lots = async || {
        let message = led::ListExpiringLotsRequest {
            parent: world.community_name(),
            account: world.points(&member).await.name,
            ..Default::default()
        };
        send!(world.clients.ledger, list_expiring_lots, message)
            .unwrap()
            .lots
    };
    let before = lots().await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let pledge = world.fulfilled(&wish, &member, 40).await;
    let heard = pb::CloseWishRequest {
        name: wish.name.clone(),
        request_id: world.id(),
        rating: 1,
        feedback: "it does not turn".to_owned(),
    };
    send!(world.clients.wish, close_wish, heard).unwrap();
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((10, 0), 40)
    );
    world.clock.advance(TimeDelta::days(1));

    let reversed = world.reverse_pledge(&pledge).await.unwrap();

    let expected = pb::Pledge {
        state: PledgeState::Reversed.into(),
        reverse_time: Some(runtime::timestamp(world.clock.now())),
        reversal_reason: "faulty".to_owned(),
        ..pledge
    };
    assert_eq!(reversed, expected);
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((50, 0), 0)
    );
    assert_eq!(lots().await, before);
    let wish = world.wish(&wish.name).await;
    assert_eq!((wish.state(), wish.rating), (WishState::Closed, 1));
    assert_eq!(sums(&wish), [0, 0, 0, 40]);
    // The pledger sees it, and the entry beside the one that it undoes.
    let own = member_alone(&world, &member);
    let get = pb::GetPledgeRequest {
        name: reversed.name.clone(),
    };
    assert_eq!(send!(own.wish, get_pledge, get).unwrap(), reversed);
    let entries = world.entries(&world.points(&member).await.name).await;
    let kinds: Vec<_> = entries.iter().map(led::Entry::kind).collect();
    assert_eq!(
        kinds[kinds.len() - 2..],
        [led::EntryKind::Capture, led::EntryKind::Reversal]
    );
    let audit = pb::ListAuditEntriesRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let audit = send!(world.clients.wish, list_audit_entries, audit).unwrap();
    let newest = &audit.entries[0];
    assert_eq!(
        (&newest.method[..], &newest.reason[..]),
        ("ReversePledge", "faulty")
    );
    world.trial_balance().await;
}

#[tokio::test]
async fn points_that_would_have_expired_meanwhile_are_forfeited_when_they_come_back() {
    let policy = act::Policy {
        expiry_months: Some(1),
        ..per_hour("*", 60)
    };
    let scheme = Scheme {
        policy,
        ..Default::default()
    };
    let world = World::with(scheme).await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let pledge = world.fulfilled(&wish, &member, 40).await;
    world.clock.advance(TimeDelta::days(90));

    world.reverse_pledge(&pledge).await.unwrap();

    world
        .in_time("nothing is left of them", async || {
            let account = world.points(&member).await;
            assert_eq!(account.available, 0, "not for a moment");
            (account.balance == 0).then_some(())
        })
        .await;
    assert_eq!(given(&world).await, 0);
    world.trial_balance().await;
}

#[tokio::test]
async fn what_is_reversed_of_an_open_wish_can_be_pledged_anew() {
    for unit in [WishUnit::Points, WishUnit::Hours] {
        let world = World::start().await;
        let member = world.volunteer().with_points(50).await;
        let wish = world.published(world.wish_for(unit, 40)).await;
        let pledge = world.fulfilled(&wish, &member, 30).await;
        world
            .pledge(world.pledge_of(&wish, &member, 10))
            .await
            .unwrap();
        assert_eq!(world.wish(&wish.name).await.state(), WishState::Claimed);

        let reversed = world.reverse_pledge(&pledge).await.unwrap();

        assert_eq!(reversed.state(), PledgeState::Reversed);
        let open = world.wish(&wish.name).await;
        assert_eq!(
            (open.state(), sums(&open)),
            (WishState::Published, [10, 0, 0, 30])
        );
        world
            .pledge(world.pledge_of(&wish, &member, 30))
            .await
            .unwrap();
        let held = if unit == WishUnit::Points { 40 } else { 0 };
        assert_eq!(purse(&world, &member).await, (50, held));
        let expected = usize::from(unit == WishUnit::Points);
        assert_eq!(count(&world, led::EntryKind::Reversal).await, expected);
    }
}

#[tokio::test]
async fn a_wish_that_was_all_delivered_by_its_close_expires_when_some_of_it_is_reversed_behind_it()
{
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let pledge = world.fulfilled(&wish, &member, 30).await;
    let rest = world.pledge(world.pledge_of(&wish, &member, 10)).await;
    let rest = rest.unwrap();
    world.deliver(&rest).await.unwrap();
    world.clock.advance(TimeDelta::days(11));
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Claimed);

    world.reverse_pledge(&pledge).await.unwrap();

    let expired = world.wish(&wish.name).await;
    assert_eq!(
        (expired.state(), expired.end_time),
        (WishState::Expired, wish.close_time)
    );
    // What was delivered in time still counts.
    world.confirm(&rest).await.unwrap();
    assert_eq!(sums(&world.wish(&wish.name).await), [10, 10, 10, 30]);
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((40, 0), 10)
    );
}

#[tokio::test]
async fn each_refusal_of_a_reversal_says_why_and_changes_nothing() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 50)).await;
    let active = world.pledge(world.pledge_of(&wish, &member, 10)).await;
    let active = active.unwrap();
    assert_eq!(reason(world.reverse_pledge(&active).await), "WRONG_STATE");
    world.deliver(&active).await.unwrap();
    assert_eq!(reason(world.reverse_pledge(&active).await), "WRONG_STATE");
    let confirmed = world.confirm(&active).await.unwrap();

    let by_pledger = world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("S1", [Role::Staff])
    });
    let own = send!(
        by_pledger.wish,
        reverse_pledge,
        world.reversal_of(&confirmed)
    );
    assert_eq!(reason(own), "PLEDGER_REVERSES");
    let by_member = member_alone(&world, &member).wish;
    let denied = send!(by_member, reverse_pledge, world.reversal_of(&confirmed));
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);

    // The points have left the account that got them.
    let post = async |(from, to)| {
        let message = led::PostTransfersRequest {
            parent: world.community_name(),
            transfers: vec![led::Transfer {
                request_id: world.id(),
                debit_account: world.account_name(from, None),
                credit_account: world.account_name(to, None),
                amount: 1,
                ..Default::default()
            }],
        };
        send!(world.clients.ledger, post_transfers, message).unwrap();
    };
    post((led::AccountKind::Wish, led::AccountKind::Issuing)).await;
    let request = world.reversal_of(&confirmed);
    let refusal = send!(world.clients.wish, reverse_pledge, request.clone());
    let refusal = refused(&refusal.unwrap_err());
    assert_eq!(
        (&refusal.reason[..], &refusal.metadata["ledger_reason"][..]),
        ("LEDGER_REFUSED", "INSUFFICIENT_POINTS")
    );
    assert_eq!(world.pledge_now(&confirmed.name).await, confirmed);
    assert_eq!(sums(&world.wish(&wish.name).await), [10, 10, 10, 0]);
    assert_eq!(purse(&world, &member).await, (40, 0));

    post((led::AccountKind::Issuing, led::AccountKind::Wish)).await;
    let again = send!(world.clients.wish, reverse_pledge, request);
    assert_eq!(refused(&again.unwrap_err()), refusal, "an answer stays");
    world.reverse_pledge(&confirmed).await.unwrap();
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((50, 0), 0)
    );
    assert_eq!(
        reason(world.reverse_pledge(&confirmed).await),
        "WRONG_STATE"
    );
}

#[tokio::test]
async fn twenty_who_reverse_a_pledge_at_once_reverse_it_once() {
    for unit in [WishUnit::Each, WishUnit::Points] {
        let world = World::start().await;
        let member = world.volunteer().with_points(50).await;
        let wish = world.published(world.wish_for(unit, 40)).await;
        let pledge = world.fulfilled(&wish, &member, 30).await;
        let requests: Vec<_> = (0..20).map(|_| world.reversal_of(&pledge)).collect();
        let mut waiting = requests.clone();
        let mut made = Vec::new();
        // Some may be told to try again while another's is under way.
        while !waiting.is_empty() {
            let answers = at_once(waiting.len(), |number| {
                let (client, request) = (world.clients.wish.clone(), waiting[number].clone());
                async move { send!(client, reverse_pledge, request) }
            })
            .await;
            let asked = std::mem::take(&mut waiting);
            for (request, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(reversed) => made.push((request, reversed)),
                    Err(status) if status.code() == Code::Aborted => waiting.push(request),
                    Err(status) => assert_eq!(reason::<()>(Err(status)), "WRONG_STATE"),
                }
            }
        }
        assert_eq!(made.len(), 1);
        let (request, reversed) = made.pop().unwrap();
        let again = journeys::one_answer!(world.clients.wish, reverse_pledge, request);
        assert_eq!(again, reversed);
        assert_eq!(purse(&world, &member).await, (50, 0));
        assert_eq!(sums(&world.wish(&wish.name).await), [0, 0, 0, 30]);
        let expected = usize::from(unit == WishUnit::Points);
        assert_eq!(count(&world, led::EntryKind::Reversal).await, expected);
    }
}

#[tokio::test]
async fn a_pledge_that_is_reversed_while_it_is_being_confirmed_is_confirmed_first_or_not_reversed()
{
    let world = World::start().await;
    let member = world.volunteer().with_points(100).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 100)).await;
    let mut states: BTreeMap<i32, i64> = BTreeMap::new();
    for _ in 0..10 {
        let pledge = world.pledge(world.pledge_of(&wish, &member, 10)).await;
        let pledge = pledge.unwrap();
        world.deliver(&pledge).await.unwrap();
        let answers = at_once(4, |number| {
            let client = world.clients.wish.clone();
            let reversal = world.reversal_of(&pledge);
            let confirmation = pb::ConfirmPledgeRequest {
                name: pledge.name.clone(),
                request_id: world.id(),
            };
            async move {
                match number {
                    0 => linli::call!(client, confirm_pledge, confirmation).await,
                    _ => linli::call!(client, reverse_pledge, reversal).await,
                }
            }
        })
        .await;
        let mut answers = answers.into_iter();
        assert!(answers.next().unwrap().is_ok(), "it is confirmed");
        let reversed = answers.filter(Result::is_ok).count();
        assert!(reversed <= 1);
        let now = world.pledge_now(&pledge.name).await;
        let expected = match reversed {
            0 => PledgeState::Confirmed,
            _ => PledgeState::Reversed,
        };
        assert_eq!(now.state(), expected);
        *states.entry(now.state).or_default() += 10;
    }
    let of = |state: PledgeState| states.get(&state.into()).copied().unwrap_or_default();
    let (kept, back) = (of(PledgeState::Confirmed), of(PledgeState::Reversed));
    assert_eq!(
        sums(&world.wish(&wish.name).await),
        [kept, kept, kept, back]
    );
    assert_eq!(purse(&world, &member).await, (100 - kept, 0));
    assert_eq!(given(&world).await, kept);
}

#[tokio::test]
async fn while_the_ledger_is_away_a_reversal_waits_and_is_finished_by_itself_afterwards() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let pledge = world.fulfilled(&wish, &member, 40).await;
    world.system.ledger.kill();
    let request = world.reversal_of(&pledge);
    let asked = send!(world.clients.wish, reverse_pledge, request.clone());
    assert_eq!(asked.unwrap_err().code(), Code::Unavailable);
    let waiting = world.pledge_now(&pledge.name).await;
    assert_eq!(
        (waiting.state(), waiting.points_held),
        (PledgeState::Confirmed, true)
    );

    world.system.ledger.start().await.unwrap();

    world
        .in_time("the pledge is reversed", async || {
            let pledge = world.pledge_now(&pledge.name).await;
            (pledge.state() == PledgeState::Reversed).then_some(())
        })
        .await;
    let answer = linli::call!(world.clients.wish, reverse_pledge, request).await;
    assert_eq!(answer.unwrap(), world.pledge_now(&pledge.name).await);
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((50, 0), 0)
    );
}

/// Many reversals, and a service that dies once so many of them are answered.
async fn interrupted(service: fn(&mut World) -> &mut Service, after: usize) {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(100).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 100)).await;
    let mut requests = Vec::new();
    for _ in 0..CALLS {
        let pledge = world.fulfilled(&wish, &member, 5).await;
        requests.push(world.reversal_of(&pledge));
    }
    let mut calls = JoinSet::new();
    for request in requests.clone() {
        let client = world.clients.wish.clone();
        calls.spawn(async move { send!(client, reverse_pledge, request) });
    }
    let mut answered = Vec::new();
    for _ in 0..after {
        answered.extend(calls.join_next().await.unwrap().unwrap().ok());
    }
    // Lets calls leave when none was waited for.
    tokio::task::yield_now().await;

    service(&mut world).kill();
    service(&mut world).start().await.unwrap();
    answered.extend(calls.join_all().await.into_iter().flatten());

    let mut reversed = Vec::new();
    for request in requests {
        let client = &world.clients.wish;
        let pledge = linli::call!(client, reverse_pledge, request).await.unwrap();
        assert_eq!(pledge.state(), PledgeState::Reversed);
        reversed.push(pledge);
    }
    for pledge in &answered {
        assert!(reversed.contains(pledge), "an answer stays the answer");
    }
    assert_eq!(
        (purse(&world, &member).await, given(&world).await),
        ((100, 0), 0)
    );
    assert_eq!(count(&world, led::EntryKind::Reversal).await, CALLS);
    let wish = world.wish(&wish.name).await;
    assert_eq!(
        (wish.state(), sums(&wish)),
        (WishState::Fulfilled, [0, 0, 0, 100])
    );
}

#[tokio::test]
async fn reversals_survive_the_death_of_wish_at_their_beginning() {
    interrupted(|world| &mut world.system.wish, 0).await;
}

#[tokio::test]
async fn reversals_survive_the_death_of_wish_after_the_first_answer() {
    interrupted(|world| &mut world.system.wish, 1).await;
}

#[tokio::test]
async fn reversals_survive_the_death_of_wish_in_their_middle() {
    interrupted(|world| &mut world.system.wish, CALLS / 2).await;
}

#[tokio::test]
async fn reversals_survive_the_death_of_the_ledger_in_their_middle() {
    interrupted(|world| &mut world.system.ledger, CALLS / 2).await;
}
