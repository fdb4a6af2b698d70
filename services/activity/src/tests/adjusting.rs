//! Changes that two people stand for.

use super::*;
use crate::{
    adjustment::NewAdjustment,
    domain::adjustment::{Adjustment, AdjustmentState, Change},
};

impl World {
    async fn proposed(&self, budget: i64) -> Adjustment {
        let new = NewAdjustment {
            id: None,
            programme: self.programme,
            change: Change::Budget(Some(budget)),
            reason: "as agreed".to_owned(),
        };
        let call = self.call("CreateAdjustment");
        self.activity.create_adjustment(&call, new).await.unwrap()
    }

    async fn approve(&self, adjustment: &Adjustment) -> Result<Adjustment, Error> {
        let (call, access) = (
            self.call("ApproveAdjustment"),
            Access::everything("STAFF02"),
        );
        self.activity
            .approve_adjustment(&call, &access, adjustment.id)
            .await
    }
}

#[tokio::test]
async fn one_change_of_a_budget_at_a_time_is_on_its_way_to_the_ledger() {
    let world = World::with_budget(Some(100)).await;
    let (first, second) = (world.proposed(300).await, world.proposed(200).await);
    let approved = world.approve(&first).await.unwrap();

    let refused = refusal(world.approve(&second).await);

    assert_eq!(
        refused,
        Refusal::BudgetChanging {
            adjustment: second.id,
            other: first.id
        }
    );
    let applied = Adjustment {
        state: AdjustmentState::Applied,
        ..approved
    };
    store::adjustment::set_state(&world.pool, &applied, None)
        .await
        .unwrap();
    assert!(world.approve(&second).await.is_ok());
}
