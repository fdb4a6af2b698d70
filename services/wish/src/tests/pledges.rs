//! Pledges end with their wish, each with its points, and none keeps another from it.

use runtime::Progress;

use super::*;
use crate::{
    Error,
    domain::{
        operation::{Kind, LedgerRefusal, StepKey, Verdict},
        pledge::{Pledge, PledgeState, Pledger},
        refusal::{Refusal, Resource},
        wish::MOST_OPEN_PLEDGES,
    },
    pledge::NewPledge,
    store::{operation::NewStep, wish::WishFilter},
};

impl World {
    /// A published wish, of points, and nothing pledged as yet.
    pub(super) async fn published(&self, community: Community, target: i64) -> Wish {
        let wish = Wish {
            community,
            id: self.ids.next(),
            unit: Unit::Points {
                asset: "POINT".to_owned(),
            },
            state: WishState::Published,
            published_at: Some(start()),
            ..self.wish(target).await
        };
        store::wish::insert(&mut *self.conn().await, &wish)
            .await
            .unwrap();
        wish
    }

    /// A pledge that is written down as it is, and its wish with it.
    pub(super) async fn pledged(
        &self,
        wish: &mut Wish,
        quantity: i64,
        state: PledgeState,
    ) -> Pledge {
        let pledge = Pledge {
            community: wish.community,
            id: self.ids.next(),
            wish: wish.id,
            programme: wish.programme,
            pledger: Pledger::Member(self.ids.next()),
            quantity,
            in_points: true,
            state,
            evidence: vec![],
            note: String::new(),
            created_at: start(),
            delivered_at: None,
            ended_at: None,
            closes_at: wish.closes_at,
            confirms_until: wish.confirms_until,
            reversed_at: None,
            reversal_reason: String::new(),
            is_settling: false,
        };
        store::pledge::insert(&mut *self.conn().await, &pledge)
            .await
            .unwrap();
        wish.pledged += quantity;
        if state == PledgeState::Delivered {
            wish.delivered += quantity;
        }
        store::wish::update(&mut *self.conn().await, wish)
            .await
            .unwrap();
        pledge
    }

    /// Writes down that a pledge is being confirmed.
    pub(super) async fn confirming(&self, pledge: &Pledge) {
        let step = NewStep {
            key: StepKey {
                community: pledge.community,
                pledge: pledge.id,
                kind: Kind::Capture,
            },
            request_id: None,
            now: start(),
            due_at: start(),
        };
        store::operation::insert(&self.pool, &step).await.unwrap();
    }

    pub(super) async fn read(&self, wish: &Wish) -> Wish {
        let found = store::wish::find_one(&self.pool, wish.community, wish.id).await;
        found.unwrap().unwrap()
    }

    /// How many pledges' points are to be given back.
    async fn releases(&self) -> i64 {
        sqlx::query_scalar(
            "select count(*) from wish.operation where kind = 'release' and state = 'pending'",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The community's wishes that a list by a state shows.
    async fn listed(&self, state: WishState) -> Vec<Uuid> {
        let filter = WishFilter {
            community: self.community,
            programme: None,
            state: Some(state),
            covered: None,
            category: String::new(),
            published: true,
            now: self.clock.now(),
        };
        let page = self.wishes.list_wishes(filter, Uuid::nil(), 100).await;
        let items = page.unwrap().items.into_iter();
        items.map(|wish| wish.id).collect()
    }
}

#[tokio::test]
async fn a_wish_that_cannot_be_ended_keeps_no_other_from_ending() {
    let world = World::start().await;
    let mut broken = world.published(world.community, 3).await;
    world.pledged(&mut broken, 3, PledgeState::Delivered).await;
    (broken.pledged, broken.delivered) = (0, 0);
    store::wish::update(&mut *world.conn().await, &broken)
        .await
        .unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    let neighbour = world.published(world.community, 3).await;
    let elsewhere = world.published(Community(world.ids.next()), 3).await;
    world.clock.advance(TimeDelta::days(50));

    let mut rounds = 0;
    while world.wishes.lapse_due().await.unwrap() == Progress::More {
        rounds += 1;
        assert!(rounds < 10, "it comes to no rest");
    }

    for wish in [&neighbour, &elsewhere] {
        assert_eq!(world.read(wish).await.state, WishState::Lapsed);
    }
    assert_eq!(world.read(&broken).await.state, WishState::Published);
    // Those who look are told by the clock all the same.
    assert!(world.listed(WishState::Lapsed).await.contains(&broken.id));
    world.clock.advance(TimeDelta::minutes(2));
    assert_eq!(world.wishes.lapse_due().await.unwrap(), Progress::More);
}

#[tokio::test]
async fn all_pledges_of_a_wish_lapse_at_once_and_their_points_go_back() {
    let world = World::start().await;
    let mut wish = world.published(world.community, 9).await;
    for _ in 0..3 {
        world.pledged(&mut wish, 2, PledgeState::Active).await;
    }
    world.clock.advance(TimeDelta::days(11));
    world.wishes.lapse_due().await.unwrap();

    let ended = world.read(&wish).await;
    assert_eq!((ended.state, ended.pledged), (WishState::Lapsed, 0));
    let open = store::pledge::count_open(&world.pool, world.community, wish.id).await;
    assert_eq!((open.unwrap(), world.releases().await), (0, 3));
}

#[tokio::test]
async fn what_is_being_confirmed_is_shown_as_in_time() {
    let world = World::start().await;
    let mut wish = world.published(world.community, 5).await;
    let promise = world.pledged(&mut wish, 5, PledgeState::Delivered).await;
    world.confirming(&promise).await;
    world.clock.advance(TimeDelta::days(50));

    let shown = world.wishes.get_wish(world.community, wish.id, true).await;

    let shown = shown.unwrap();
    assert_eq!((shown.state, shown.delivered), (WishState::Published, 5));
    assert_eq!(world.listed(WishState::Published).await, [wish.id]);
    assert!(world.listed(WishState::Lapsed).await.is_empty());
}

#[tokio::test]
async fn a_refused_confirmation_gives_the_points_back_unless_the_hold_is_over() {
    for (reason, releases) in [("ACCOUNT_CLOSED", 1), ("HOLD_EXPIRED", 0)] {
        let world = World::start().await;
        let mut wish = world.published(world.community, 5).await;
        let promise = world.pledged(&mut wish, 5, PledgeState::Delivered).await;
        world.confirming(&promise).await;
        let found = store::operation::find_pending(&world.pool, world.community, promise.id).await;
        let step = found.unwrap().unwrap();
        let mut tx = world.pool.begin().await.unwrap();
        store::operation::end(&mut *tx, &step, None).await.unwrap();
        let refused = Verdict::Refused(LedgerRefusal {
            reason: reason.to_owned(),
            available: None,
        });
        let settled = world.wishes.settle_capture(&mut tx, &step, refused).await;
        settled.unwrap();
        tx.commit().await.unwrap();

        let found = world.wishes.find_pledge(world.community, promise.id).await;
        assert_eq!(found.unwrap().unwrap().state, PledgeState::Lapsed);
        assert_eq!(world.releases().await, releases, "{reason}");
    }
}

#[tokio::test]
async fn so_many_pledges_of_one_wish_stand_at_once_and_no_more() {
    let world = World::start().await;
    let wish = world.published(world.community, 5000).await;
    sqlx::query(
        "insert into wish.pledge (community_id, pledge_id, wish_id, programme_id, kind, member_id, quantity, in_points, state,
            evidence, note, created_at)
        select $1, gen_random_uuid(), $2, $3, 'member', gen_random_uuid(), 1, true, 'active', '{}', '', $4
        from generate_series(1, $5)",
    )
    .bind(world.community.0)
    .bind(wish.id)
    .bind(wish.programme)
    .bind(start())
    .bind(MOST_OPEN_PLEDGES)
    .execute(&world.pool)
    .await
    .unwrap();
    let refused = world.promise(&wish, true).await;
    assert_eq!(refused, Refusal::TooManyPledges { wish: wish.id });
}

#[tokio::test]
async fn who_may_not_see_a_wish_is_not_told_of_it_by_a_refusal() {
    let world = World::start().await;
    let wish = world.wish(3).await;
    let not_there = Refusal::NotFound {
        resource: Resource::Wish,
        id: wish.id,
    };
    assert_eq!(world.promise(&wish, false).await, not_there);
    let told = world.promise(&wish, true).await;
    assert!(matches!(told, Refusal::NotPublished { .. }));
}

impl World {
    /// What a promise is refused for.
    async fn promise(&self, wish: &Wish, sees_all: bool) -> Refusal {
        let new = NewPledge {
            wish: wish.id,
            pledger: Pledger::Member(self.ids.next()),
            quantity: 1,
            sees_all,
        };
        let mut tx = self.pool.begin().await.unwrap();
        let call = self.call("CreatePledge");
        match self.wishes.promise(&mut tx, &call, &new).await {
            Err(Error::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }
}
