//! The part of a replay that is about wishes: they are written down and reviewed before anything happens, then published, pledged, delivered
//! and ended by the clock.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use proto::wish::v1::{self as pb, pledge::Pledger as Named};
use runtime::{Problem, reason_of, timestamp};
use tonic::{Code, Status};

use super::{
    Programme,
    numbering::Numbering,
    record::{Pledge, Pledger, Wish},
};
use crate::{call, rpc::failure, system::Clients};

const PAGE_SIZE: i32 = 1000;
/// How long lapsed points may take back to their lots.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Puts whoever wishes for something on the roster. The records say no more of them than a number.
pub fn enrol(
    number: &str,
    numbering: &Numbering,
    clients: &Clients,
) -> impl Future<Output = Result<(), Problem>> + use<> {
    let request = pb::CreateBeneficiaryRequest {
        parent: numbering.community.clone(),
        beneficiary_id: numbering.id("beneficiaries", number).to_string(),
        beneficiary: Some(pb::Beneficiary {
            number: number.to_owned(),
            programme: numbering.programme.clone(),
            grade: pb::VisitGrade::HalfYearly.into(),
            person: Some(pb::BeneficiaryPerson {
                display_name: number.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        request_id: numbering.request("CreateBeneficiary", number),
    };
    let what = format!("CreateBeneficiary {number}");
    let roster = clients.roster.clone();
    async move {
        call!(roster, create_beneficiary, request)
            .await
            .map(drop)
            .map_err(|status| failure(what, &status))
    }
}

/// Writes down a wish and finds it to be in order.
pub fn set_up(
    wish: &Wish,
    numbering: &Numbering,
    clients: &Clients,
) -> impl Future<Output = Result<(), Problem>> + use<> {
    let number = wish.number.clone();
    let creation = pb::CreateWishRequest {
        parent: numbering.community.clone(),
        wish_id: numbering.id("wishes", &number).to_string(),
        wish: Some(pb::Wish {
            programme: numbering.programme.clone(),
            requester: numbering.name("beneficiaries", &wish.requester),
            category: wish.category.clone(),
            scope: wish.scope.into(),
            priority: wish.priority.into(),
            title: wish.title.clone(),
            unit: wish.unit.into(),
            target: wish.target,
            close_time: Some(timestamp(wish.closes_at)),
            ..Default::default()
        }),
        request_id: numbering.request("CreateWish", &number),
    };
    let review = pb::ReviewWishRequest {
        name: numbering.name("wishes", &number),
        request_id: numbering.request("ReviewWish", &number),
        estimated_value: None,
    };
    let client = clients.wish.clone();
    async move {
        call!(client, create_wish, creation)
            .await
            .map_err(|status| failure(format!("CreateWish {number}"), &status))?;
        call!(client, review_wish, review)
            .await
            .map_err(|status| failure(format!("ReviewWish {number}"), &status))?;
        Ok(())
    }
}

/// The calls of one replay.
pub struct WishRun<'a> {
    pub clients: &'a Clients,
    pub numbering: &'a Numbering,
    /// The numbers of the pledges that were made.
    pub pledged: HashSet<String>,
}

impl WishRun<'_> {
    /// Publishes a wish.
    pub async fn publish(&self, wish: &Wish) -> Result<(), Problem> {
        let number = &wish.number;
        let request = pb::PublishWishRequest {
            name: self.numbering.name("wishes", number),
            request_id: self.numbering.request("PublishWish", number),
        };
        call!(self.clients.wish, publish_wish, request)
            .await
            .map(drop)
            .map_err(|status| failure(format!("PublishWish {number}"), &status))
    }

    /// Makes a pledge; false when it was refused.
    pub async fn pledge(&mut self, pledge: &Pledge) -> Result<bool, Problem> {
        let (number, numbering) = (&pledge.number, self.numbering);
        let request = pb::CreatePledgeRequest {
            parent: numbering.community.clone(),
            request_id: numbering.id("pledges", number).to_string(),
            pledge: Some(pb::Pledge {
                wish: numbering.name("wishes", &pledge.wish),
                pledger: Some(match &pledge.pledger {
                    Pledger::Member(member) => Named::Member(numbering.name("members", member)),
                    Pledger::Organisation(name) => Named::Organisation(name.clone()),
                    Pledger::Company(name) => Named::Company(name.clone()),
                }),
                quantity: pledge.quantity,
                ..Default::default()
            }),
        };
        match call!(self.clients.wish, create_pledge, request).await {
            Ok(made) if made.state() == pb::PledgeState::Active => {
                self.pledged.insert(number.clone());
                Ok(true)
            }
            Ok(made) => Err(Problem::new(format!(
                "CreatePledge {number}: answered with {}",
                made.state().as_str_name()
            ))),
            Err(status) if is_refused(&status) => Ok(false),
            Err(status) => Err(failure(format!("CreatePledge {number}"), &status)),
        }
    }

    /// Delivers a pledge and has it confirmed. What was refused or has lapsed is not delivered.
    pub async fn fulfil(&self, pledge: &Pledge) -> Result<(), Problem> {
        let (number, numbering) = (&pledge.number, self.numbering);
        if !self.pledged.contains(number) {
            return Ok(());
        }
        let name = numbering.name("pledges", number);
        let delivery = pb::DeliverPledgeRequest {
            name: name.clone(),
            request_id: numbering.request("DeliverPledge", number),
            ..Default::default()
        };
        match call!(self.clients.wish, deliver_pledge, delivery).await {
            Ok(_) => {}
            Err(status) if has_lapsed(&status) => return Ok(()),
            Err(status) => return Err(failure(format!("DeliverPledge {number}"), &status)),
        }
        let confirmation = pb::ConfirmPledgeRequest {
            name,
            request_id: numbering.request("ConfirmPledge", number),
        };
        call!(self.clients.wish, confirm_pledge, confirmation)
            .await
            .map(drop)
            .map_err(|status| failure(format!("ConfirmPledge {number}"), &status))
    }

    /// Waits until the points that have lapsed with a wish are back in their lots. The clock is behind its close.
    pub async fn close(&self, wish: &Wish) -> Result<(), Problem> {
        if wish.unit != pb::WishUnit::Points {
            return Ok(());
        }
        let number = &wish.number;
        let started = Instant::now();
        while self.pledges(number).await?.iter().any(is_on_its_way_back) {
            if started.elapsed() > RELEASE_TIMEOUT {
                return Err(Problem::new(format!(
                    "the points of wish {number} did not get back within {} s",
                    RELEASE_TIMEOUT.as_secs()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn pledges(&self, number: &str) -> Result<Vec<pb::Pledge>, Problem> {
        let request = pb::ListPledgesRequest {
            parent: self.numbering.community.clone(),
            wish: self.numbering.name("wishes", number),
            page_size: PAGE_SIZE,
            ..Default::default()
        };
        let answer = call!(self.clients.wish, list_pledges, request).await;
        let answer = answer.map_err(|status| failure("ListPledges", &status))?;
        Ok(answer.pledges)
    }
}

/// A lapse that was not written down yet has not begun to give its points back.
fn is_on_its_way_back(pledge: &pb::Pledge) -> bool {
    pledge.state() == pb::PledgeState::Lapsed && pledge.points_held
}

/// What `expected.json` calls `pledge_refused`.
fn is_refused(status: &Status) -> bool {
    let reason = reason_of(status).unwrap_or_default();
    let reasons = [
        "WISH_NOT_PUBLISHED",
        "WISH_CLOSED",
        "WISH_COVERED",
        "EXCEEDS_UNCOVERED",
        "INSUFFICIENT_POINTS",
    ];
    status.code() == Code::FailedPrecondition && reasons.contains(&&reason[..])
}

fn has_lapsed(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && reason_of(status).as_deref() == Some("WRONG_STATE")
}

/// What the wishes of a programme have come to.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many there are in each state of `expected.json`.
    pub states: BTreeMap<String, i64>,
    /// Points given to them.
    pub spent: i64,
}

/// Counts the wishes, at the clock's time.
pub async fn tally(
    programme: &Programme,
    numbering: &Numbering,
    clients: &Clients,
) -> Result<Tally, Problem> {
    let mut tally = Tally::default();
    if programme.records.wishes.is_empty() {
        return Ok(tally);
    }
    let mut request = pb::ListWishesRequest {
        parent: numbering.community.clone(),
        programme: numbering.programme.clone(),
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    loop {
        let page = call!(clients.wish, list_wishes, request.clone())
            .await
            .map_err(|status| failure("ListWishes", &status))?;
        for wish in &page.wishes {
            if wish.unit() == pb::WishUnit::Points {
                tally.spent += wish.confirmed_quantity;
            }
            if let Some(state) = figure(wish.state()) {
                *tally.states.entry(state.to_owned()).or_default() += 1;
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(tally);
        }
        request.page_token = page.next_page_token;
    }
}

/// What `expected.json` calls a state; nothing for what was never published.
fn figure(state: pb::WishState) -> Option<&'static str> {
    match state {
        pb::WishState::Published => Some("open"),
        pb::WishState::Claimed => Some("covered"),
        pb::WishState::Fulfilled | pb::WishState::Closed => Some("fulfilled"),
        pb::WishState::Expired => Some("lapsed"),
        pb::WishState::Unspecified
        | pb::WishState::Submitted
        | pb::WishState::Reviewed
        | pb::WishState::Rejected
        | pb::WishState::Withdrawn => None,
    }
}
