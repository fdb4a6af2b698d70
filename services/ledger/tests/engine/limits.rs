//! What limits mean where points expire: nothing depends on when a sweep runs.

use super::{
    asked::{self, ANNA, CARLA, EXPIRED, ISSUING, SHOP, account, id, transfer},
    books::{World, assert_sound},
    domain::{AccountLimits, Refusal, Request},
};

impl World {
    async fn post(&self, number: u128, command: super::domain::Command) -> Result<i64, Refusal> {
        let request = Request::new(id(number), false, command);
        let ledger = self.replica().await;
        let posted = ledger.post_transfers(self.community, vec![request]).await;
        posted.unwrap().remove(0).map(|entry| entry.sequence)
    }

    async fn balance(&self, number: u128) -> i64 {
        let ledger = self.replica().await;
        let account = ledger.account(self.community, account(number)).await;
        account.unwrap().balance
    }
}

#[tokio::test]
async fn expired_points_leave_their_room_at_their_instant_swept_or_not() {
    let world = World::start().await;
    let grant = |amount, expires_at| transfer(ISSUING, CARLA, amount, Some(expires_at));
    world.post(1, grant(90, 10)).await.unwrap();
    let full = Refusal::LimitExceeded { room: 0, asked: 1 };
    assert_eq!(world.post(2, grant(1, 20)).await, Err(full));

    world.clock.advance_to(asked::minute(10));
    world.post(3, grant(80, 20)).await.unwrap();
    let nearly_full = Refusal::LimitExceeded {
        room: 10,
        asked: 11,
    };
    assert_eq!(world.post(4, grant(11, 20)).await, Err(nearly_full));
    assert_eq!(world.balance(CARLA).await, 170);

    let swept = world.replica().await.sweep_expired(world.community).await;
    assert_eq!(swept.unwrap().lots, 1);
    assert_eq!(world.balance(CARLA).await, 80);
    assert_sound(&world.pool, world.community).await;
}

#[tokio::test]
async fn what_has_expired_leaves_also_an_account_that_must_keep_a_minimum() {
    let world = World::start().await;
    let ledger = world.replica().await;
    let grant = transfer(ISSUING, ANNA, 50, Some(10));
    world.post(1, grant).await.unwrap();
    let limits = AccountLimits {
        min_balance: Some(20),
        max_balance: None,
    };
    let limited = ledger.update_account_limits(world.community, account(ANNA), limits, None);
    limited.await.unwrap();
    let too_much = Refusal::InsufficientPoints {
        available: 30,
        asked: 31,
    };
    let spend = transfer(ANNA, SHOP, 31, None);
    assert_eq!(world.post(2, spend).await, Err(too_much));

    world.clock.advance_to(asked::minute(10));
    let swept = ledger.sweep_expired(world.community).await.unwrap();

    assert_eq!(swept.lots, 1);
    assert_eq!(
        (world.balance(ANNA).await, world.balance(EXPIRED).await),
        (0, 50)
    );
    assert_sound(&world.pool, world.community).await;
}
