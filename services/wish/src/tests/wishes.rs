//! Wishes are kept as they were written down, and shown to those who may see them.

use runtime::Deadline;

use super::*;
use crate::{
    Error,
    answer::Known,
    domain::refusal::{Refusal, Resource},
    wish::{NewUnit, NewWish},
};

#[tokio::test]
async fn a_wish_is_read_as_it_was_written_down() {
    let world = World::start().await;
    let wish = world.wish(3).await;
    let read = world.wishes.get_wish(world.community, wish.id, true).await;
    assert_eq!(read.unwrap(), wish);
}

#[tokio::test]
async fn a_wish_that_was_never_published_is_not_there_for_everyone() {
    let world = World::start().await;
    let wish = world.wish(3).await;
    let hidden = world.wishes.get_wish(world.community, wish.id, false).await;
    let not_there = Refusal::NotFound {
        resource: Resource::Wish,
        id: wish.id,
    };
    assert!(matches!(hidden, Err(Error::Refused(refusal)) if refusal == not_there));
}

#[tokio::test]
async fn while_activity_is_away_no_wish_is_written_down_and_the_call_may_be_made_again() {
    let world = World::start().await;
    let wish = world.wish(3).await;
    let new = NewWish {
        id: None,
        programme: wish.programme,
        beneficiary: wish.beneficiary,
        proxy: None,
        visit: None,
        category: wish.category,
        scope: wish.scope,
        priority: wish.priority,
        title: wish.title,
        description: wish.description,
        unit: NewUnit::Each,
        target: 1,
        closes_at: wish.closes_at,
        confirms_until: wish.confirms_until,
        supplier: None,
        estimated_value: None,
    };
    let call = world.call("CreateWish");
    let asked = world
        .wishes
        .create_wish(&call, new, Deadline::default())
        .await;
    assert!(matches!(asked, Err(Error::Unavailable("activity"))));
    let known = world.wishes.known::<Wish>(&call).await.unwrap();
    assert!(matches!(known, Known::Nothing));
}
