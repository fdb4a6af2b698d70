//! Ceilings are kept as they were set, and hold wherever a wish goes towards its publication.

use super::*;
use crate::{
    Error,
    domain::{refusal::Refusal, value::ValueCeilings},
    round::NewRound,
};

impl World {
    async fn ceiling(&self, individual: Option<i64>) -> ValueCeilings {
        let ceilings = ValueCeilings {
            individual,
            updated_at: Some(self.clock.now()),
            ..ValueCeilings::none(self.community, self.programme)
        };
        store::value::put(&self.pool, &ceilings).await.unwrap();
        ceilings
    }

    async fn review(&self, wish: &Wish, value: Option<i64>) -> Result<Wish, Error> {
        let call = self.call("ReviewWish");
        self.wishes.review_wish(&call, wish.id, value).await
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ceilings_are_read_as_they_were_last_set() {
    let world = World::start().await;
    let read = || {
        world
            .wishes
            .get_value_ceilings(world.community, world.programme)
    };
    let none = ValueCeilings::none(world.community, world.programme);
    assert_eq!(read().await.unwrap(), none);
    for individual in [Some(500), None, Some(1)] {
        let set = world.ceiling(individual).await;
        assert_eq!(read().await.unwrap(), set);
    }
}

#[tokio::test]
async fn a_wish_is_reviewed_within_the_ceiling_and_keeps_its_state_otherwise() {
    let world = World::start().await;
    let wish = world.wish(1).await;
    world.ceiling(Some(500)).await;
    let (id, ceiling) = (wish.id, 500);
    let without = refusal(world.review(&wish, None).await);
    assert_eq!(without, Refusal::ValueRequired { wish: id, ceiling });
    let above = refusal(world.review(&wish, Some(501)).await);
    let value = 501;
    let expected = Refusal::ValueAboveCeiling {
        wish: id,
        ceiling,
        value,
    };
    assert_eq!(above, expected);

    let reviewed = world.review(&wish, Some(500)).await.unwrap();

    assert_eq!(
        (reviewed.state, reviewed.estimated_value),
        (WishState::Reviewed, Some(500))
    );
    let read = world.wishes.get_wish(world.community, id, true).await;
    assert_eq!(read.unwrap(), reviewed);
}

#[tokio::test]
async fn a_ceiling_that_was_lowered_since_the_review_keeps_a_wish_and_its_round_from_being_published()
 {
    let world = World::start().await;
    let (dear, cheap) = (world.wish(1).await, world.wish(1).await);
    world.review(&dear, Some(500)).await.unwrap();
    world.review(&cheap, Some(100)).await.unwrap();
    let gathering = NewRound {
        id: None,
        title: "Spring".to_owned(),
        wishes: vec![dear.id, cheap.id],
    };
    let call = world.call("CreateRound");
    let round = world.wishes.create_round(&call, gathering).await.unwrap();
    world.ceiling(Some(499)).await;
    let expected = Refusal::ValueAboveCeiling {
        wish: dear.id,
        ceiling: 499,
        value: 500,
    };

    let call = world.call("PublishWish");
    let alone = world.wishes.publish_wish(&call, dear.id).await;
    let call = world.call("PublishRound");
    let together = world.wishes.publish_round(&call, round.id).await;

    assert_eq!(refusal(alone), expected);
    assert_eq!(refusal(together), expected);
    let state = async |wish: &Wish| {
        let read = world.wishes.get_wish(world.community, wish.id, true).await;
        read.unwrap().state
    };
    assert_eq!(state(&cheap).await, WishState::Reviewed);
    // What can't be published holds up no other once it is rejected.
    let call = world.call("RejectWish");
    world.wishes.reject_wish(&call, dear.id).await.unwrap();
    let call = world.call("PublishRound");
    world.wishes.publish_round(&call, round.id).await.unwrap();
    assert_eq!(state(&cheap).await, WishState::Published);
}
