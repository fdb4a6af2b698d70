//! Dispatches: accepted with a pledge, declined, expired, taken back; and the address for whoever has to go there.

use chrono::TimeDelta;
use journeys::{Member, World, refused, send};
use linli::system::Clients;
use proto::{
    activity::v1 as act,
    wish::v1::{self as pb, DispatchState, VisitGrade, dispatch::Assignee},
};
use runtime::{Holder, Role, timestamp};
use tonic::Status;

fn app(world: &World, role: Role, own: &str) -> Clients {
    world.clients.of(Holder {
        resources: vec![own.to_owned()],
        ..Holder::everywhere("wx-1", [role])
    })
}

fn accept(world: &World, dispatch: &pb::Dispatch) -> pb::AcceptDispatchRequest {
    pb::AcceptDispatchRequest {
        name: dispatch.name.clone(),
        request_id: world.id(),
    }
}

fn decline(world: &World, dispatch: &pb::Dispatch) -> pb::DeclineDispatchRequest {
    pb::DeclineDispatchRequest {
        name: dispatch.name.clone(),
        reason: "away this week".to_owned(),
        request_id: world.id(),
    }
}

fn look(world: &World, task: &str) -> pb::RevealAddressRequest {
    pb::RevealAddressRequest {
        task: task.to_owned(),
        reason: "to bring the fan".to_owned(),
        request_id: world.id(),
    }
}

async fn get(world: &World, dispatch: &pb::Dispatch) -> pb::Dispatch {
    let message = pb::GetDispatchRequest {
        name: dispatch.name.clone(),
    };
    send!(world.clients.dispatches, get_dispatch, message).unwrap()
}

async fn wish(world: &World, name: &str) -> pb::Wish {
    let message = pb::GetWishRequest {
        name: name.to_owned(),
    };
    send!(world.clients.wish, get_wish, message).unwrap()
}

fn reason(answer: Result<impl std::fmt::Debug, Status>) -> String {
    refused(&answer.unwrap_err()).reason
}

async fn needy(world: &World) -> String {
    world.beneficiary(VisitGrade::Weekly).await.name
}

#[tokio::test]
async fn who_accepts_has_pledged_and_sees_the_address_until_it_is_done() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let open = world.open_wish(&needy(&world).await, 3).await;
    let dispatch = world.dispatch(&open, &member).await;
    assert_eq!(
        (dispatch.state(), dispatch.quantity),
        (DispatchState::Issued, 3)
    );
    let app = app(&world, Role::Member, &member.name);
    // Nothing to go there for yet.
    let early = send!(app.roster, reveal_address, look(&world, &dispatch.name));
    assert_eq!(reason(early), "NO_ACTIVE_TASK");

    let message = accept(&world, &dispatch);
    let accepted = send!(app.dispatches, accept_dispatch, message.clone()).unwrap();
    let again = send!(app.dispatches, accept_dispatch, message.clone()).unwrap();

    assert_eq!(again, accepted);
    assert_eq!(accepted.state(), DispatchState::Accepted);
    assert!(accepted.pledge.ends_with(&message.request_id));
    assert_eq!(wish(&world, &open.name).await.pledged_quantity, 3);
    let pledge = pb::GetPledgeRequest {
        name: accepted.pledge.clone(),
    };
    let pledge = send!(app.wish, get_pledge, pledge).unwrap();
    assert_eq!(
        (pledge.state(), pledge.quantity),
        (pb::PledgeState::Active, 3)
    );

    for task in [&dispatch.name, &accepted.pledge] {
        world.clock.advance(TimeDelta::seconds(1));
        let seen = send!(app.roster, reveal_address, look(&world, task)).unwrap();
        let seen = (&seen.masked_name[..], &seen.address[..]);
        assert_eq!(seen, ("陈**", "和平里三区五号楼"));
    }
    let log = pb::ListAuditEntriesRequest {
        parent: world.community_name(),
        subject: "wx-1".to_owned(),
        ..Default::default()
    };
    let log = send!(world.clients.wish, list_audit_entries, log).unwrap();
    let looks = log
        .entries
        .iter()
        .filter(|entry| entry.method == "RevealAddress");
    let looks: Vec<(&str, &str)> = looks
        .map(|entry| (&entry.refusal[..], &entry.reason[..]))
        .collect();
    let why = "to bring the fan";
    assert_eq!(looks, [("", why), ("", why), ("NO_ACTIVE_TASK", why)]);

    // Whoever gives up has no more reason to go there.
    let withdrawal = pb::WithdrawPledgeRequest {
        name: accepted.pledge.clone(),
        request_id: world.id(),
    };
    send!(app.wish, withdraw_pledge, withdrawal).unwrap();
    let late = send!(app.roster, reveal_address, look(&world, &dispatch.name));
    assert_eq!(reason(late), "NO_ACTIVE_TASK");
}

#[tokio::test]
async fn a_wish_has_one_open_dispatch_and_after_a_no_it_is_dispatched_anew() {
    let world = World::start().await;
    let (first, second) = (
        world.volunteer().register().await,
        world.volunteer().register().await,
    );
    let open = world.open_wish(&needy(&world).await, 1).await;
    let asked = |member: &Member| world.asked(&open, Assignee::Member(member.name.clone()));
    let dispatch = world.dispatch(&open, &first).await;
    let twice = send!(world.clients.dispatches, dispatch_wish, asked(&second));
    assert_eq!(reason(twice), "DISPATCH_OPEN");

    let app = app(&world, Role::Member, &first.name);
    let declined = send!(app.dispatches, decline_dispatch, decline(&world, &dispatch)).unwrap();

    assert_eq!(declined.state(), DispatchState::Declined);
    assert_eq!(declined.reason, "away this week");
    assert_eq!(wish(&world, &open.name).await.pledged_quantity, 0);
    let dispatch = world.dispatch(&open, &second).await;
    // It is another's.
    let theirs = send!(app.dispatches, accept_dispatch, accept(&world, &dispatch));
    assert_eq!(reason(theirs), "NOT_YOURS");

    let withdrawal = pb::WithdrawDispatchRequest {
        name: dispatch.name.clone(),
        reason: "somebody else went".to_owned(),
        request_id: world.id(),
    };
    let withdrawn = send!(world.clients.dispatches, withdraw_dispatch, withdrawal).unwrap();
    assert_eq!(withdrawn.state(), DispatchState::Withdrawn);
    let late = send!(
        world.clients.dispatches,
        accept_dispatch,
        accept(&world, &dispatch)
    );
    assert_eq!(reason(late), "WRONG_STATE");
}

#[tokio::test]
async fn a_dispatch_expires_by_the_clock_and_leaves_the_wish_free() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let open = world.open_wish(&needy(&world).await, 1).await;
    let dispatch = world.dispatch(&open, &member).await;
    world
        .clock
        .advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    assert_eq!(get(&world, &dispatch).await.state(), DispatchState::Issued);

    world.clock.advance(TimeDelta::seconds(1));

    let expired = get(&world, &dispatch).await;
    assert_eq!(expired.state(), DispatchState::Expired);
    assert_eq!(expired.end_time, expired.expire_time);
    let app = app(&world, Role::Member, &member.name);
    let late = send!(app.dispatches, accept_dispatch, accept(&world, &dispatch));
    assert_eq!(reason(late), "DISPATCH_EXPIRED");
    let next = world.dispatch(&open, &member).await;
    let list = |state: DispatchState| pb::ListDispatchesRequest {
        parent: world.community_name(),
        member: member.name.clone(),
        state: state.into(),
        ..Default::default()
    };
    for (state, only) in [
        (DispatchState::Expired, &dispatch),
        (DispatchState::Issued, &next),
    ] {
        let listed = send!(app.dispatches, list_dispatches, list(state)).unwrap();
        let names: Vec<&str> = listed.dispatches.iter().map(|one| &one.name[..]).collect();
        assert_eq!(names, [&only.name[..]]);
    }
}

#[tokio::test]
async fn a_team_is_asked_by_its_leader_and_pledges_as_an_organisation() {
    let world = World::start().await;
    let team = act::CreateTeamRequest {
        parent: world.community_name(),
        team: Some(act::Team {
            number: "T1".to_owned(),
            display_name: "Red scarves".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let team = send!(world.clients.activity, create_team, team)
        .unwrap()
        .name;
    let open = world.open_wish(&needy(&world).await, 5).await;
    let mut message = world.asked(&open, world.as_team(&team));
    message.dispatch.as_mut().unwrap().quantity = 2;
    let dispatch = send!(world.clients.dispatches, dispatch_wish, message).unwrap();

    let leader = app(&world, Role::Leader, &team);
    let accepted = send!(
        leader.dispatches,
        accept_dispatch,
        accept(&world, &dispatch)
    )
    .unwrap();

    let pledge = pb::GetPledgeRequest {
        name: accepted.pledge,
    };
    let pledge = send!(world.clients.wish, get_pledge, pledge).unwrap();
    let pledger = pb::pledge::Pledger::Organisation("红马甲队".to_owned());
    assert_eq!(pledge.pledger, Some(pledger));
    assert_eq!(wish(&world, &open.name).await.pledged_quantity, 2);
    let seen = send!(leader.roster, reveal_address, look(&world, &dispatch.name)).unwrap();
    assert_eq!(seen.address, "和平里三区五号楼");
    // What others have pledged meanwhile can't be asked for again.
    let mut message = world.asked(&open, world.as_team(&team));
    message.dispatch.as_mut().unwrap().quantity = 4;
    let too_much = send!(world.clients.dispatches, dispatch_wish, message);
    assert_eq!(reason(too_much), "EXCEEDS_UNCOVERED");
}

#[tokio::test]
async fn nobody_is_sent_for_points_and_no_wish_is_collected_of_whoever_is_not_on_the_roster() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let needy = world.beneficiary(VisitGrade::Weekly).await;
    let mut message = world.collected(&needy.name, 10);
    message.wish.as_mut().unwrap().unit = pb::WishUnit::Points.into();
    let in_points = send!(world.clients.wish, create_wish, message).unwrap();
    let review = pb::ReviewWishRequest {
        name: in_points.name.clone(),
        request_id: world.id(),
        estimated_value: None,
    };
    send!(world.clients.wish, review_wish, review).unwrap();
    let assignee = || Assignee::Member(member.name.clone());
    // Nor before it is published.
    let early = send!(
        world.clients.dispatches,
        dispatch_wish,
        world.asked(&in_points, assignee())
    );
    assert_eq!(reason(early), "WISH_NOT_PUBLISHED");
    let publish = pb::PublishWishRequest {
        name: in_points.name.clone(),
        request_id: world.id(),
    };
    send!(world.clients.wish, publish_wish, publish).unwrap();
    let sent = send!(
        world.clients.dispatches,
        dispatch_wish,
        world.asked(&in_points, assignee())
    );
    assert_eq!(reason(sent), "WISH_IN_POINTS");

    // A wish names the visit at which it was collected, if it was one to the requester.
    let visit = world.visit(&needy.name, &member).await;
    let mut message = world.collected(&needy.name, 1);
    message.wish.as_mut().unwrap().visit = visit.name.clone();
    let collected = send!(world.clients.wish, create_wish, message.clone()).unwrap();
    assert_eq!(collected.visit, visit.name);
    let other = world.beneficiary(VisitGrade::Weekly).await;
    message.wish.as_mut().unwrap().requester = other.name.clone();
    message.request_id = world.id();
    let elsewhere = send!(world.clients.wish, create_wish, message);
    assert_eq!(reason(elsewhere), "RESOURCE_NOT_FOUND");

    let end = pb::EndBeneficiaryRequest {
        name: other.name.clone(),
        reason: "moved away".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.roster, end_beneficiary, end).unwrap();
    let message = world.collected(&other.name, 1);
    let late = send!(world.clients.wish, create_wish, message);
    assert_eq!(reason(late), "WRONG_STATE");
    let nobody = format!("{}/beneficiaries/{}", world.community_name(), world.id());
    let message = world.collected(&nobody, 1);
    let unknown = send!(world.clients.wish, create_wish, message);
    assert_eq!(reason(unknown), "RESOURCE_NOT_FOUND");
}

#[tokio::test]
async fn an_expired_dispatch_is_not_issued_for_the_past() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let open = world.open_wish(&needy(&world).await, 1).await;
    let mut message = world.asked(&open, Assignee::Member(member.name));
    message.dispatch.as_mut().unwrap().expire_time = Some(timestamp(world.clock.now()));
    let late = send!(world.clients.dispatches, dispatch_wish, message);
    assert_eq!(reason(late), "EXPIRE_TIME_OVER");
}
