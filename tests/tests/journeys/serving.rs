//! What operators and integrators find on each port: health, reflection, deadlines, several communities side by side.

use std::time::Duration;

use journeys::{World, eventually, refused, send};
use linli::system::Service;
use proto::{activity::v1 as act, redemption::v1 as red};
use tokio_stream::StreamExt;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const NAMES: [&str; 4] = [
    "linli.ledger.v1.LedgerService",
    "linli.activity.v1.ActivityService",
    "linli.redemption.v1.RedemptionService",
    "linli.wish.v1.WishService",
];

fn services(world: &World) -> [(&'static str, Channel); 4] {
    let system = &world.system;
    let channel = |service: &Service| runtime::channel(&service.url()).unwrap();
    [
        (NAMES[0], channel(&system.ledger)),
        (NAMES[1], channel(&system.activity)),
        (NAMES[2], channel(&system.redemption)),
        (NAMES[3], channel(&system.wish)),
    ]
}

fn health_of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn each_port_tells_its_health_as_a_whole_and_by_service() {
    let world = World::empty().await;
    for (name, channel) in services(&world) {
        let health = HealthClient::new(channel);
        for service in ["", name] {
            let answer = send!(health, check, health_of(service)).unwrap();
            assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
        }
        let stranger = send!(health, check, health_of("linli.library.v1.LibraryService"));
        assert_eq!(stranger.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn each_port_describes_its_service() {
    let world = World::empty().await;
    for (name, channel) in services(&world) {
        let mut reflection = ServerReflectionClient::new(channel);
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = reflection.server_reflection_info(tokio_stream::once(question));
        let answer = answers.await.unwrap().into_inner().next().await;
        let Some(MessageResponse::ListServicesResponse(list)) =
            answer.unwrap().unwrap().message_response
        else {
            panic!("{name} lists its services");
        };
        assert!(list.service.iter().any(|service| service.name == name));
    }
}

#[tokio::test]
async fn a_service_that_stops_says_so_first() {
    let mut world = World::empty().await;
    let [(name, channel), ..] = services(&world);
    let mut health = HealthClient::new(channel);
    let watch = health.watch(health_of(name)).await.unwrap();
    let mut watch = watch.into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    let watcher = async move {
        let last = watch.message().await.unwrap().unwrap();
        // An open stream would keep the service from ending.
        drop(watch);
        last.status()
    };
    let (stopped, last) = tokio::join!(world.system.ledger.stop(), watcher);

    assert_eq!(last, ServingStatus::NotServing);
    stopped.unwrap();
}

#[tokio::test]
async fn a_call_whose_time_runs_out_happens_wholly_or_not_and_its_repeat_settles_it() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let mut captured = 0;

    for micros in [0, 1, 100, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000] {
        let order = world.order(&member, &offer, 1);
        let timeout = Duration::from_micros(micros);
        let mut client = world.clients.redemption.clone();
        let hasty = client
            .redeem(runtime::request(order.clone(), timeout))
            .await;
        match &hasty {
            Ok(_) => assert!(micros > 1, "nothing is that fast"),
            Err(status) => {
                let refusal = refused(status);
                // The time of a call inside may run out a moment before the till's own.
                let inside = refusal.code == Code::Unavailable && refusal.try_again && micros > 1;
                assert!(
                    inside || refusal.reason == "DEADLINE_EXCEEDED",
                    "{refusal:?}"
                );
                assert!(
                    inside || refusal.code == Code::DeadlineExceeded,
                    "{refusal:?}"
                );
            }
        }
        let settled = linli::call!(client, redeem, order).await.unwrap();
        assert_eq!(settled.state(), red::RedemptionState::Captured);
        if let Ok(answer) = hasty {
            assert_eq!(answer.into_inner(), settled);
        }
        captured += 10;
        assert_eq!(world.till(&merchant).await.balance, captured);
    }
    assert_eq!(world.balance(&member).await, 1000 - captured);
}

#[tokio::test]
async fn a_purchase_that_ran_out_of_time_and_is_left_alone_is_finished_or_undone() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    for _ in 0..10 {
        let mut client = world.clients.redemption.clone();
        let order = world.order(&member, &offer, 1);
        let hasty = runtime::request(order, Duration::from_millis(4));
        let _ = client.redeem(hasty).await;
    }

    // What has begun goes on though nobody waits for it; a redemption that is not decided yet is not listed.
    world
        .in_time("every redemption is finished or undone", async || {
            let redemptions = world.redemptions().await;
            let captured = |one: &red::Redemption| one.state() == red::RedemptionState::Captured;
            let sold = i64::try_from(redemptions.len()).unwrap();
            let left = world.stock_left(&offer).await;
            let till = world.till(&merchant).await.balance;
            let points = world.points(&member).await.available;
            (redemptions.iter().all(captured)
                && (left, till, points) == (100 - sold, sold * 10, 1000 - sold * 10))
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn communities_do_not_see_each_other() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let mut neighbour = World::start().await;
    // The same services, another community.
    neighbour.clients = world.clients.clone();
    neighbour.programme(neighbour.programme, None).await;
    neighbour.put_in_force(journeys::per_hour("*", 60)).await;
    let stranger = neighbour.volunteer().with_points(50).await;

    let mut order = neighbour.order(&stranger, &offer, 1);
    let foreign_offer = refused(&world.redeem(order.clone()).await.unwrap_err());
    let id = offer.name.rsplit('/').next().unwrap();
    order.offer = format!("{}/offers/{id}", neighbour.community_name());
    order.request_id = neighbour.id();
    let borrowed_offer = refused(&world.redeem(order).await.unwrap_err());
    let listed = send!(
        world.clients.activity,
        list_members,
        act::ListMembersRequest {
            parent: neighbour.community_name(),
            ..Default::default()
        }
    );

    assert_eq!(foreign_offer.code, Code::InvalidArgument);
    assert_eq!(foreign_offer.fields, ["offer"]);
    assert_eq!(borrowed_offer.code, Code::NotFound);
    let names: Vec<String> = listed
        .unwrap()
        .members
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, std::slice::from_ref(&stranger.name));
    assert_eq!(
        neighbour.entries("").await[0].sequence,
        1,
        "a journal of its own"
    );
    assert_eq!(world.entries("").await.len(), 1);
    eventually("both have their own points", async || {
        let balances = (
            world.balance(&member).await,
            neighbour.balance(&stranger).await,
        );
        (balances == (50, 50)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_calls_that_nobody_waits_for_leaves_nothing_locked_and_nothing_forgotten() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let poor = world.volunteer().register().await;
    // A connection takes only so many broken calls.
    let connections: Vec<_> = (0..25).map(|_| world.system.clients().unwrap()).collect();
    journeys::at_once(500, |number| {
        let mut client = connections[number % 25].redemption.clone();
        let order = world.order(&member, &offer, 1);
        let timeout = Duration::from_micros(20_000 + 400 * u64::try_from(number).unwrap());
        async move {
            let _ = client.redeem(runtime::request(order, timeout)).await;
        }
    })
    .await;

    // Until then calls go on that nobody waits for, and a connection that they wear out may take others with it.
    world.clock.advance(chrono::TimeDelta::seconds(10));
    world
        .in_time("every purchase is settled", async || {
            let paid = world.till(&merchant).await.balance;
            let left = world.stock_left(&offer).await;
            let redemptions = world.redemptions().await;
            let settled = redemptions
                .iter()
                .all(|one| one.state() == red::RedemptionState::Captured);
            (settled && paid == (100 - left) * 10).then_some(())
        })
        .await;

    let calm = world.offer(&merchant).active().await;
    let orders: Vec<_> = (0..30).map(|_| world.order(&poor, &calm, 1)).collect();
    let mut refusals = Vec::new();
    for order in &orders {
        let refusal = refused(&world.redeem(order.clone()).await.unwrap_err());
        assert_eq!(refusal.reason, "INSUFFICIENT_POINTS", "{refusal:?}");
        refusals.push(refusal);
    }
    world.earn(&poor, 700).await;
    for (order, refusal) in orders.into_iter().zip(refusals) {
        assert_eq!(refused(&world.redeem(order).await.unwrap_err()), refusal);
    }
}
