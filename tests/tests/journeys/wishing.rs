//! Wishes from their collection to their end, and what becomes of the points that were pledged to them.

use chrono::TimeDelta;
use journeys::{Member, Scheme, World, at_once, per_hour, refused, send};
use proto::{
    activity::v1 as act,
    ledger::v1 as led,
    wish::v1::{self as pb, PledgeState, WishState, WishUnit},
};
use runtime::{Holder, Role};
use tonic::{Code, Status};

/// What an account for wishes has; nothing before the first wish in points.
async fn given(world: &World) -> i64 {
    world.account(led::AccountKind::Wish, None).await.balance
}

/// Balance, what is held of it, and what can be spent.
async fn purse(world: &World, member: &Member) -> (i64, i64, i64) {
    let account = world.points(member).await;
    (account.balance, account.held, account.available)
}

/// Someone who is a member and nothing else.
fn member_alone(world: &World, member: &Member) -> linli::system::Clients {
    world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("wx-1", [Role::Member])
    })
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    let refusal = refused(&outcome.unwrap_err());
    assert!(!refusal.message_zh.is_empty());
    refusal.reason
}

#[tokio::test]
async fn points_are_held_when_pledged_and_spent_when_confirmed() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;

    let pledge = world.pledge(world.pledge_of(&wish, &member, 40)).await;
    let pledge = pledge.unwrap();
    assert_eq!(pledge.state(), PledgeState::Active);
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Claimed);
    assert_eq!(purse(&world, &member).await, (50, 40, 10));

    world.deliver(&pledge).await.unwrap();
    let confirmed = world.confirm(&pledge).await.unwrap();
    assert_eq!(confirmed.state(), PledgeState::Confirmed);
    assert_eq!(purse(&world, &member).await, (10, 0, 10));
    assert_eq!(given(&world).await, 40);

    let heard = pb::CloseWishRequest {
        name: wish.name.clone(),
        request_id: world.id(),
        rating: 5,
        feedback: "thank you".to_owned(),
    };
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Fulfilled);
    let closed = send!(world.clients.wish, close_wish, heard).unwrap();
    assert_eq!((closed.state(), closed.rating), (WishState::Closed, 5));
    world.trial_balance().await;
}

#[tokio::test]
async fn a_pledge_taken_back_gives_the_points_back_under_their_old_expiry_and_stays_in_sight() {
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
        let answer = send!(world.clients.ledger, list_expiring_lots, message).unwrap();
        answer.lots
    };
    let before = lots().await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 30)).await;
    let pledge = pledge.unwrap();

    // Later than all before it, so that it is the newest in the audit log.
    world.clock.advance(TimeDelta::milliseconds(1));
    let withdrawn = world.withdraw(&pledge).await.unwrap();

    assert_eq!(withdrawn.state(), PledgeState::Withdrawn);
    assert_eq!(purse(&world, &member).await, (50, 0, 50));
    assert_eq!(lots().await, before);
    assert_eq!(world.wish(&wish.name).await.pledged_quantity, 0);
    let list = pb::ListPledgesRequest {
        parent: world.community_name(),
        member: member.name.clone(),
        ..Default::default()
    };
    let own = member_alone(&world, &member).wish;
    let seen = send!(own, list_pledges, list).unwrap().pledges;
    assert_eq!(seen, [world.pledge_now(&pledge.name).await]);
    let audit = pb::ListAuditEntriesRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let audit = send!(world.clients.wish, list_audit_entries, audit).unwrap();
    assert_eq!(audit.entries[0].method, "WithdrawPledge");
    let entries = world.entries(&world.points(&member).await.name).await;
    assert_eq!(entries.last().unwrap().kind(), led::EntryKind::Release);
}

#[tokio::test]
async fn twenty_who_pledge_the_last_of_a_wish_get_it_once() {
    for unit in [WishUnit::Each, WishUnit::Points] {
        let world = World::start().await;
        let member = world.volunteer().with_points(100).await;
        let wish = world.published(world.wish_for(unit, 5)).await;
        let requests: Vec<_> = (0..20)
            .map(|_| world.pledge_of(&wish, &member, 5))
            .collect();
        let answers = at_once(20, |number| {
            let (client, request) = (world.clients.wish.clone(), requests[number].clone());
            async move { send!(client, create_pledge, request) }
        })
        .await;
        let (made, refusals): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for refusal in refusals {
            assert_eq!(reason(refusal), "WISH_COVERED");
        }
        let held = if unit == WishUnit::Points { 5 } else { 0 };
        assert_eq!(purse(&world, &member).await, (100, held, 100 - held));
        assert_eq!(world.wish(&wish.name).await.pledged_quantity, 5);
    }
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_gets_it_again_refusals_included() {
    let world = World::start().await;
    let member = world.volunteer().with_points(30).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 60)).await;
    let request = world.pledge_of(&wish, &member, 30);
    let pledge = journeys::one_answer!(world.clients.wish, create_pledge, request.clone());
    assert_eq!(purse(&world, &member).await, (30, 30, 0));
    let by_id = format!("{}/pledges/{}", world.community_name(), request.request_id);
    assert_eq!(world.pledge_now(&by_id).await, pledge);

    let too_much = world.pledge_of(&wish, &member, 1);
    let refusal = world.pledge(too_much.clone()).await.unwrap_err();
    world.withdraw(&pledge).await.unwrap();
    let again = world.pledge(too_much).await.unwrap_err();
    assert_eq!(refused(&refusal).reason, "INSUFFICIENT_POINTS");
    assert_eq!(refused(&again), refused(&refusal));

    let other = pb::CreatePledgeRequest {
        pledge: world.pledge_of(&wish, &member, 2).pledge,
        ..request.clone()
    };
    assert_eq!(reason(world.pledge(other).await), "REQUEST_ID_REUSED");
    assert_eq!(world.pledge(request).await.unwrap(), pledge);
}

#[tokio::test]
async fn a_wish_lapses_by_the_clock_and_its_points_go_back() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    let (late, done) = (
        world.pledge(world.pledge_of(&wish, &member, 10)).await,
        world.pledge(world.pledge_of(&wish, &member, 20)).await,
    );
    let (late, done) = (late.unwrap(), done.unwrap());
    world.deliver(&done).await.unwrap();

    world.clock.advance(TimeDelta::days(10));
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Published);
    world.clock.advance(TimeDelta::microseconds(1));

    let lapsed = world.wish(&wish.name).await;
    assert_eq!(lapsed.state(), WishState::Expired);
    assert_eq!(lapsed.end_time, wish.close_time);
    assert_eq!(
        world.pledge_now(&late.name).await.state(),
        PledgeState::Lapsed
    );
    assert_eq!(reason(world.deliver(&late).await), "WRONG_STATE");
    let more = world.pledge(world.pledge_of(&wish, &member, 1)).await;
    assert_eq!(reason(more), "WISH_CLOSED");
    world
        .in_time("the points are back", async || {
            (purse(&world, &member).await == (50, 20, 30)).then_some(())
        })
        .await;

    // What was delivered in time counts, though nobody confirmed it in time.
    world.confirm(&done).await.unwrap();
    assert_eq!(purse(&world, &member).await, (30, 0, 30));
    assert_eq!(given(&world).await, 20);
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Expired);
}

#[tokio::test]
async fn each_refusal_of_a_pledge_says_why() {
    let world = World::start().await;
    let member = world.volunteer().with_points(10).await;
    let early = world.reviewed(world.wish_for(WishUnit::Each, 2)).await;
    let pledge = |wish: &pb::Wish, quantity| world.pledge(world.pledge_of(wish, &member, quantity));
    assert_eq!(reason(pledge(&early, 1).await), "WISH_NOT_PUBLISHED");

    let things = world.published(world.wish_for(WishUnit::Each, 2)).await;
    assert_eq!(reason(pledge(&things, 3).await), "EXCEEDS_UNCOVERED");
    pledge(&things, 2).await.unwrap();
    assert_eq!(reason(pledge(&things, 1).await), "WISH_COVERED");

    let points = world.published(world.wish_for(WishUnit::Points, 50)).await;
    assert_eq!(reason(pledge(&points, 11).await), "INSUFFICIENT_POINTS");
    assert_eq!(world.wish(&points.name).await.pledged_quantity, 0);
    let mut of_company = world.pledge_of(&points, &member, 1);
    let company = pb::pledge::Pledger::Company("Tea Ltd".to_owned());
    of_company.pledge.as_mut().unwrap().pledger = Some(company);
    assert_eq!(
        reason(world.pledge(of_company).await),
        "ONLY_MEMBERS_PLEDGE_POINTS"
    );

    let taken_back = pb::WithdrawWishRequest {
        name: points.name.clone(),
        request_id: world.id(),
        reason: "no longer needed".to_owned(),
    };
    let held = pledge(&points, 10).await.unwrap();
    send!(world.clients.wish, withdraw_wish, taken_back).unwrap();
    assert_eq!(reason(pledge(&points, 1).await), "WISH_CLOSED");
    let revoked = world.pledge_now(&held.name).await;
    assert_eq!(revoked.state(), PledgeState::Revoked);
    world
        .in_time("the points are back", async || {
            (purse(&world, &member).await == (10, 0, 10)).then_some(())
        })
        .await;
}

#[tokio::test]
async fn whose_a_wish_is_leaves_to_staff_alone() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let wish = world.reviewed(world.wish_for(WishUnit::Each, 1)).await;
    let own = member_alone(&world, &member).wish;
    let get = pb::GetWishRequest {
        name: wish.name.clone(),
    };
    let hidden = send!(own, get_wish, get.clone()).unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    let publication = pb::PublishWishRequest {
        name: wish.name.clone(),
        request_id: world.id(),
    };
    send!(world.clients.wish, publish_wish, publication).unwrap();

    let seen = send!(own, get_wish, get).unwrap();

    let whole = world.wish(&wish.name).await;
    assert!(!whole.requester.is_empty());
    let masked = pb::Wish {
        requester: String::new(),
        ..whole
    };
    assert_eq!(seen, masked);
    let all = pb::ListWishesRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    assert_eq!(send!(own, list_wishes, all).unwrap().wishes, [masked]);
}

#[tokio::test]
async fn nobody_confirms_their_own_pledge_and_a_delivery_may_be_refused() {
    let world = World::start().await;
    let (giver, proxy) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    let draft = pb::Wish {
        proxy: proxy.name.clone(),
        ..world.wish_for(WishUnit::Hours, 3)
    };
    let wish = world.published(draft).await;
    let pledge = world.pledge(world.pledge_of(&wish, &giver, 3)).await;
    let pledge = pledge.unwrap();
    world.deliver(&pledge).await.unwrap();
    let confirmation = || pb::ConfirmPledgeRequest {
        name: pledge.name.clone(),
        request_id: world.id(),
    };
    let by_staff = world.clients.of(Holder {
        resources: vec![giver.name.clone()],
        ..Holder::everywhere("S1", [Role::Staff])
    });
    let own = send!(by_staff.wish, confirm_pledge, confirmation());
    assert_eq!(reason(own), "PLEDGER_CONFIRMS");

    let desk = member_alone(&world, &proxy).wish;
    let refusal = pb::RefuseDeliveryRequest {
        name: pledge.name.clone(),
        request_id: world.id(),
        reason: "nobody came".to_owned(),
    };
    let back = send!(desk, refuse_delivery, refusal).unwrap();
    assert_eq!(back.state(), PledgeState::Active);
    assert_eq!(
        reason(send!(desk, confirm_pledge, confirmation())),
        "WRONG_STATE"
    );

    world.deliver(&pledge).await.unwrap();
    let confirmed = send!(desk, confirm_pledge, confirmation()).unwrap();
    assert_eq!(confirmed.state(), PledgeState::Confirmed);
    assert_eq!(world.wish(&wish.name).await.state(), WishState::Fulfilled);
}

#[tokio::test]
async fn a_round_publishes_its_wishes_together() {
    let world = World::start().await;
    let (one, two) = (
        world.reviewed(world.wish_for(WishUnit::Each, 1)).await,
        world.reviewed(world.wish_for(WishUnit::Each, 1)).await,
    );
    let gathering = || pb::CreateRoundRequest {
        parent: world.community_name(),
        round: Some(pb::Round {
            title: "Spring".to_owned(),
            wishes: vec![one.name.clone(), two.name.clone()],
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let round = send!(world.clients.wish, create_round, gathering()).unwrap();
    let twice = send!(world.clients.wish, create_round, gathering());
    assert_eq!(reason(twice), "IN_ANOTHER_ROUND");
    let rejection = pb::RejectWishRequest {
        name: two.name.clone(),
        request_id: world.id(),
        reason: "there already".to_owned(),
    };
    send!(world.clients.wish, reject_wish, rejection).unwrap();

    let publication = pb::PublishRoundRequest {
        name: round.name,
        request_id: world.id(),
    };
    let round = journeys::one_answer!(world.clients.wish, publish_round, publication);

    assert_eq!(round.state(), pb::RoundState::Published);
    assert_eq!(world.wish(&one.name).await.state(), WishState::Published);
    assert_eq!(world.wish(&two.name).await.state(), WishState::Rejected);
}

#[tokio::test]
async fn while_the_ledger_is_away_a_pledge_waits_and_is_finished_afterwards() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world.published(world.wish_for(WishUnit::Points, 40)).await;
    world.system.ledger.kill();
    let request = world.pledge_of(&wish, &member, 40);
    let asked = world.pledge(request.clone()).await.unwrap_err();
    assert_eq!(asked.code(), Code::Unavailable);
    let name = format!("{}/pledges/{}", world.community_name(), request.request_id);
    assert_eq!(world.pledge_now(&name).await.state(), PledgeState::Pending);

    world.system.ledger.start().await.unwrap();

    world
        .in_time("the pledge is made", async || {
            let pledge = world.pledge_now(&name).await;
            (pledge.state() == PledgeState::Active).then_some(())
        })
        .await;
    let again = linli::call!(world.clients.wish, create_pledge, request).await;
    assert_eq!(again.unwrap().state(), PledgeState::Active);
    assert_eq!(purse(&world, &member).await, (50, 40, 10));
}

#[tokio::test]
async fn a_service_that_dies_among_pledges_agrees_with_the_ledger_afterwards() {
    for after in [0, 3, 10] {
        let mut world = World::start().await;
        let member = world.volunteer().with_points(100).await;
        let wish = world.published(world.wish_for(WishUnit::Points, 100)).await;
        let requests: Vec<_> = (0..20)
            .map(|_| world.pledge_of(&wish, &member, 5))
            .collect();
        let mut calls = tokio::task::JoinSet::new();
        for request in requests.clone() {
            let client = world.clients.wish.clone();
            calls.spawn(async move { send!(client, create_pledge, request) });
        }
        let mut answered = Vec::new();
        for _ in 0..after {
            answered.extend(calls.join_next().await.unwrap().unwrap().ok());
        }
        tokio::task::yield_now().await;
        world.system.wish.kill();
        world.system.wish.start().await.unwrap();
        answered.extend(calls.join_all().await.into_iter().flatten());

        let mut pledges = Vec::new();
        for request in requests {
            let client = &world.clients.wish;
            pledges.push(linli::call!(client, create_pledge, request).await.unwrap());
        }
        for pledge in &answered {
            assert!(pledges.contains(pledge), "an answer stays the answer");
        }
        assert_eq!(purse(&world, &member).await, (100, 100, 0));
        assert_eq!(world.wish(&wish.name).await.state(), WishState::Claimed);
        let entries = world.entries(&world.points(&member).await.name).await;
        let holds = entries
            .iter()
            .filter(|entry| entry.kind() == led::EntryKind::Hold);
        assert_eq!(holds.count(), 20);
    }
}
