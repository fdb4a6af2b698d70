//! What happens, as it is written down, and what members are told of it.

use std::sync::{Arc, Mutex};

use proto::activity::v1::{
    self as act, DESCRIPTOR,
    notice_service_server::{NoticeService, NoticeServiceServer},
};
use runtime::{Progress, Server, Violation};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

use super::*;
use crate::{
    domain::{Content, Event, EventFilter, Telling},
    remote::Activity,
};

impl Shop {
    async fn events(&self) -> Vec<Event> {
        let filter = EventFilter {
            community: self.offer.community,
            member: None,
            merchant: None,
        };
        let all = runtime::Window {
            after: 0,
            limit: 1000,
        };
        self.service.watched_events(filter, all).await.unwrap()
    }

    async fn kinds_of(&self, id: Uuid) -> Vec<String> {
        let subject = format!("redemptions/{id}");
        let events = self.events().await.into_iter();
        let events = events.filter(|event| event.subject == subject);
        events.map(|event| event.kind).collect()
    }

    /// Everything that is due by now, claimed until then.
    async fn claim(&self, now: DateTime<Utc>) -> Vec<store::Claimed> {
        let until = now + TimeDelta::seconds(20);
        let lease = Lease { now, until };
        let community = self.offer.community;
        let claimed = store::telling_claim_due(&self.pool, community, lease);
        claimed.await.unwrap()
    }
}

#[tokio::test]
async fn what_becomes_of_a_redemption_is_an_event_of_its_member_and_its_shop() {
    let shop = Shop::with_stock(10).await;
    let bought = shop.redeemed(4).await;
    shop.reverse(shop.call("ReverseRedemption"), bought, Some(1))
        .await;
    shop.reverse(shop.call("ReverseRedemption"), bought, None)
        .await;
    assert_eq!(
        shop.kinds_of(bought).await,
        [
            "redemption_captured",
            "redemption_partly_reversed",
            "redemption_reversed",
        ]
    );
    let held = shop.held(1, FIVE_MINUTES).await;
    shop.clock.advance(FIVE_MINUTES);
    // The ledger is out of reach, so only the stock comes back.
    shop.service.recover().await.unwrap_err();
    assert_eq!(
        shop.kinds_of(held).await,
        ["redemption_held", "redemption_expired"]
    );
    let events = shop.events().await;
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    // The merchant and its agreement came first.
    assert_eq!(sequences, (1..=7).collect::<Vec<_>>());
    for event in &events[2..] {
        assert_eq!(event.member, Some(shop.ann));
        assert_eq!(event.merchant, Some(shop.offer.merchant));
    }
}

#[tokio::test]
async fn what_never_came_about_is_no_event() {
    let shop = Shop::with_stock(10).await;
    let before = shop.events().await.len();
    let call = shop.call("Redeem");
    shop.reserve(&call, shop.order(1), Way::Redeem)
        .await
        .unwrap();
    shop.answer(call.request_id, refused("INSUFFICIENT_POINTS"))
        .await;
    assert_eq!(shop.events().await.len(), before);
    assert!(shop.claim(shop.clock.now()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_at_once_the_numbers_have_no_gap() {
    let shop = Arc::new(Shop::with_stock(100).await);
    let mut running = JoinSet::new();
    for number in 0..40 {
        let shop = shop.clone();
        running.spawn(async move {
            match number % 2 {
                0 => {
                    shop.redeemed(1).await;
                }
                _ => {
                    let new = NewMerchant {
                        id: None,
                        number: format!("S{number}"),
                        display_name: "米店".into(),
                        category: String::new(),
                    };
                    let call = shop.call("CreateMerchant");
                    shop.service.create_merchant(call, new).await.unwrap();
                }
            }
        });
    }
    // Whoever reads meanwhile sees a beginning of the list, never one with a hole in it.
    let mut seen = 0;
    while !running.is_empty() {
        running.join_next().await.unwrap().unwrap();
        let sequences = shop.events().await.into_iter().map(|event| event.sequence);
        let sequences: Vec<i64> = sequences.collect();
        let count = i64::try_from(sequences.len()).unwrap();
        assert_eq!(sequences, (1..=count).collect::<Vec<_>>());
        assert!(count >= seen);
        seen = count;
    }
    assert_eq!(seen, 42);
}

#[tokio::test]
async fn a_reversal_is_told_with_what_came_back() {
    let shop = Shop::with_stock(10).await;
    let bought = shop.redeemed(4).await;
    // Who takes by themself need not be told.
    assert!(shop.claim(shop.clock.now()).await.is_empty());
    shop.reverse(shop.call("ReverseRedemption"), bought, Some(1))
        .await;
    shop.clock.advance(TimeDelta::milliseconds(1));
    shop.reverse(shop.call("ReverseRedemption"), bought, None)
        .await;
    let back = |quantity, is_whole| Content::RedemptionReversed {
        redemption: bought,
        title: shop.offer.title.clone(),
        programme: shop.offer.programme,
        quantity,
        amount: quantity * shop.offer.points,
        is_whole,
    };
    let claimed = shop.claim(shop.clock.now()).await;
    let told = claimed.into_iter().map(|one| one.telling);
    let told: Vec<Telling> = told.collect();
    let contents: Vec<&Content> = told.iter().map(|one| &one.content).collect();
    assert_eq!(contents, [&back(1, false), &back(3, true)]);
    assert!(told.iter().all(|one| one.member == shop.ann));
}

#[tokio::test]
async fn of_two_replicas_one_tells_and_what_it_leaves_is_told_by_the_other() {
    let shop = Shop::with_stock(10).await;
    let bought = shop.redeemed(6).await;
    for _ in 0..6 {
        shop.reverse(shop.call("ReverseRedemption"), bought, Some(1))
            .await;
    }
    let now = shop.clock.now();
    let (one, other) = tokio::join!(shop.claim(now), shop.claim(now));
    let ids = |claimed: &[store::Claimed]| claimed.iter().map(|one| one.telling.id).collect();
    let all: HashSet<Uuid> = ids(&[one, other].concat());
    assert_eq!(all.len(), 6);
    assert!(shop.claim(now).await.is_empty());
    let later = now + TimeDelta::seconds(20);
    let again = shop.claim(later).await;
    let same: HashSet<Uuid> = ids(&again);
    assert_eq!(same, all);
    assert!(again.iter().all(|one| one.attempts == 2));
    let told: Vec<Uuid> = all.into_iter().collect();
    let community = shop.offer.community;
    store::telling_set_due(&shop.pool, community, &told, None)
        .await
        .unwrap();
    assert!(shop.claim(later + TimeDelta::days(1)).await.is_empty());
}

#[tokio::test]
async fn while_activity_is_away_what_is_to_be_told_stays_due() {
    let shop = Shop::with_stock(10).await;
    let bought = shop.redeemed(1).await;
    shop.reverse(shop.call("ReverseRedemption"), bought, None)
        .await;
    for _ in 0..3 {
        assert!(matches!(
            shop.service.tell_due().await,
            Err(Error::Unavailable("activity"))
        ));
    }
    assert_eq!(shop.claim(shop.clock.now()).await.len(), 1);
}

/// Stands in for activity: records what it is told, but for what is about whom it can't take.
#[derive(Clone, Default)]
struct Desk {
    told: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<Option<String>>>,
}

impl Desk {
    /// A client of it, on a port of its own.
    async fn open(&self) -> Client {
        let listener = runtime::listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Routes::new(NoticeServiceServer::new(self.clone()));
        let server = Server::new("linli.activity.v1.NoticeService", routes, DESCRIPTOR);
        let (authority, bearer) = runtime::acquainted();
        tokio::spawn(server.run(listener, authority, CancellationToken::new()));
        Client::new(runtime::channel(&url).unwrap(), Some(bearer))
    }

    /// Whom it was told something, in order.
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl NoticeService for Desk {
    async fn record_notices(
        &self,
        request: Request<act::RecordNoticesRequest>,
    ) -> Result<Response<act::RecordNoticesResponse>, Status> {
        let members = request.into_inner().notices.into_iter();
        let members: Vec<String> = members.map(|notice| notice.member).collect();
        let refused = self.refused.lock().unwrap().clone();
        if refused.is_some_and(|refused| members.contains(&refused)) {
            let violation = Violation {
                field: "notices".to_owned(),
                description: "not understood".to_owned(),
            };
            return Err(runtime::invalid("activity.linli", vec![violation]));
        }
        self.told.lock().unwrap().extend(members);
        Ok(Response::new(act::RecordNoticesResponse {}))
    }

    async fn list_notices(
        &self,
        _: Request<act::ListNoticesRequest>,
    ) -> Result<Response<act::ListNoticesResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn mark_notices_read(
        &self,
        _: Request<act::MarkNoticesReadRequest>,
    ) -> Result<Response<act::MarkNoticesReadResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn get_notice_preferences(
        &self,
        _: Request<act::GetNoticePreferencesRequest>,
    ) -> Result<Response<act::NoticePreferences>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn set_notice_preferences(
        &self,
        _: Request<act::SetNoticePreferencesRequest>,
    ) -> Result<Response<act::NoticePreferences>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

#[tokio::test]
async fn what_activity_refuses_holds_up_nothing_and_is_told_once_it_is_understood() {
    let shop = Shop::with_stock(10).await;
    let bob = shop.service.ids.next();
    for member in [bob, shop.ann] {
        let call = shop.call("Redeem");
        let order = Order {
            member,
            ..shop.order(1)
        };
        shop.reserve(&call, order, Way::Redeem).await.unwrap();
        shop.answer(call.request_id, shop.done()).await;
        shop.reverse(shop.call("ReverseRedemption"), call.request_id, None)
            .await;
    }
    let desk = Desk::default();
    let service = Redemption {
        activity: Activity::new(desk.open().await),
        ..shop.service.clone()
    };
    let name = |id| format!("communities/{}/members/{id}", shop.offer.community);
    *desk.refused.lock().unwrap() = Some(name(bob));

    assert_eq!(service.tell_due().await.unwrap(), Progress::More);
    assert_eq!(desk.told(), [name(shop.ann)]);
    // It is asked again after a second, then after two.
    assert_eq!(service.tell_due().await.unwrap(), Progress::Idle);
    shop.clock.advance(TimeDelta::seconds(1));
    assert_eq!(service.tell_due().await.unwrap(), Progress::More);
    *desk.refused.lock().unwrap() = None;
    shop.clock.advance(TimeDelta::seconds(1));
    assert_eq!(service.tell_due().await.unwrap(), Progress::Idle);
    shop.clock.advance(TimeDelta::seconds(1));
    assert_eq!(service.tell_due().await.unwrap(), Progress::More);
    assert_eq!(service.tell_due().await.unwrap(), Progress::Idle);
    assert_eq!(desk.told(), [name(shop.ann), name(bob)]);
}
