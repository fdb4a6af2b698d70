//! Wishes, and what members and others pledge of them.

use chrono::TimeDelta;
use proto::wish::v1 as pb;
use runtime::timestamp;
use tonic::Status;

use crate::{Member, World, send};

impl World {
    /// A wish to be written down, for so much; it can be pledged for ten days, and confirmed for thirty more.
    pub fn wish_for(&self, unit: pb::WishUnit, target: i64) -> pb::Wish {
        pb::Wish {
            programme: self.programme_name(),
            requester: format!("{}/beneficiaries/{}", self.community_name(), self.id()),
            category: "material".to_owned(),
            scope: pb::WishScope::Individual.into(),
            title: "电风扇".to_owned(),
            unit: unit.into(),
            target,
            close_time: Some(timestamp(self.clock.now() + TimeDelta::days(10))),
            ..Default::default()
        }
    }

    /// Writes a wish down and finds it to be in order. Whose it is is on the roster, from now on at the latest.
    pub async fn reviewed(&self, wish: pb::Wish) -> pb::Wish {
        self.enrol(&wish.requester).await;
        let creation = pb::CreateWishRequest {
            parent: self.community_name(),
            wish: Some(wish),
            request_id: self.id(),
            ..Default::default()
        };
        let wish = send!(self.clients.wish, create_wish, creation).unwrap();
        let review = pb::ReviewWishRequest {
            name: wish.name,
            request_id: self.id(),
            estimated_value: None,
        };
        send!(self.clients.wish, review_wish, review).unwrap()
    }

    /// The same, and publishes it.
    pub async fn published(&self, wish: pb::Wish) -> pb::Wish {
        let publication = pb::PublishWishRequest {
            name: self.reviewed(wish).await.name,
            request_id: self.id(),
        };
        send!(self.clients.wish, publish_wish, publication).unwrap()
    }

    /// The request of a member who pledges a part of a wish.
    pub fn pledge_of(
        &self,
        wish: &pb::Wish,
        member: &Member,
        quantity: i64,
    ) -> pb::CreatePledgeRequest {
        pb::CreatePledgeRequest {
            parent: self.community_name(),
            pledge: Some(pb::Pledge {
                wish: wish.name.clone(),
                pledger: Some(pb::pledge::Pledger::Member(member.name.clone())),
                quantity,
                ..Default::default()
            }),
            request_id: self.id(),
        }
    }

    /// Pledges.
    pub async fn pledge(&self, request: pb::CreatePledgeRequest) -> Result<pb::Pledge, Status> {
        send!(self.clients.wish, create_pledge, request)
    }

    /// Takes a pledge back.
    pub async fn withdraw(&self, pledge: &pb::Pledge) -> Result<pb::Pledge, Status> {
        let message = pb::WithdrawPledgeRequest {
            name: pledge.name.clone(),
            request_id: self.id(),
        };
        send!(self.clients.wish, withdraw_pledge, message)
    }

    /// Says that a pledge was delivered.
    pub async fn deliver(&self, pledge: &pb::Pledge) -> Result<pb::Pledge, Status> {
        let message = pb::DeliverPledgeRequest {
            name: pledge.name.clone(),
            request_id: self.id(),
            evidence: vec!["photos/1".to_owned()],
            note: "handed over".to_owned(),
        };
        send!(self.clients.wish, deliver_pledge, message)
    }

    /// Confirms a delivery.
    pub async fn confirm(&self, pledge: &pb::Pledge) -> Result<pb::Pledge, Status> {
        let message = pb::ConfirmPledgeRequest {
            name: pledge.name.clone(),
            request_id: self.id(),
        };
        send!(self.clients.wish, confirm_pledge, message)
    }

    /// The request to take a confirmed pledge back.
    pub fn reversal_of(&self, pledge: &pb::Pledge) -> pb::ReversePledgeRequest {
        pb::ReversePledgeRequest {
            name: pledge.name.clone(),
            request_id: self.id(),
            reason: "faulty".to_owned(),
        }
    }

    /// Takes a confirmed pledge back.
    pub async fn reverse_pledge(&self, pledge: &pb::Pledge) -> Result<pb::Pledge, Status> {
        let message = self.reversal_of(pledge);
        send!(self.clients.wish, reverse_pledge, message)
    }

    /// Pledges a part of a wish for a member, delivers it and has it confirmed.
    pub async fn fulfilled(&self, wish: &pb::Wish, member: &Member, quantity: i64) -> pb::Pledge {
        let pledge = self.pledge(self.pledge_of(wish, member, quantity)).await;
        let pledge = pledge.unwrap();
        self.deliver(&pledge).await.unwrap();
        self.confirm(&pledge).await.unwrap()
    }

    /// A wish as staff see it now.
    pub async fn wish(&self, name: &str) -> pb::Wish {
        let message = pb::GetWishRequest {
            name: name.to_owned(),
        };
        send!(self.clients.wish, get_wish, message).unwrap()
    }

    /// A pledge as it stands now.
    pub async fn pledge_now(&self, name: &str) -> pb::Pledge {
        let message = pb::GetPledgeRequest {
            name: name.to_owned(),
        };
        send!(self.clients.wish, get_pledge, message).unwrap()
    }
}
