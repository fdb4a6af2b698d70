//! A day on which calls run out of time and services die at any moment; in the evening every book agrees with every
//! other.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use journeys::{Member, World, eventually};
use linli::system::Clients;
use proto::{
    activity::v1 as act,
    ledger::v1 as led,
    redemption::v1 as red,
    wish::v1::{self as wish, PledgeState, WishUnit},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use uuid::Uuid;

const CUSTOMERS: usize = 4;
const DEEDS: usize = 30;
/// Points that a customer has in the morning.
const POINTS: i64 = 200;

/// Chance that takes the same course in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Someone who spends, gives, changes their mind, and serves.
struct Customer {
    clients: Clients,
    /// Of who verifies what others recorded.
    desk: Clients,
    community: String,
    member: String,
    offers: Vec<String>,
    wishes: Vec<String>,
    services: Vec<act::CreateServiceRecordRequest>,
    chance: Chance,
    made: Vec<String>,
    done: Arc<AtomicUsize>,
}

/// Makes a call, at first perhaps in a hurry, and again until it is answered or refused.
macro_rules! settle {
    ($self:ident, $client:expr, $method:ident, $message:expr) => {{
        let message = $message;
        if $self.chance.below(3) == 0 {
            let hurry = Duration::from_millis(1 + $self.chance.below(30));
            let mut client = $client.clone();
            let _ = client
                .$method(runtime::request(message.clone(), hurry))
                .await;
        }
        let mut tries = 0;
        loop {
            let client = &$client;
            match linli::call!(client, $method, message.clone()).await {
                Ok(answer) => break Ok(answer),
                Err(status) if is_refusal(&status) => break Err(status),
                Err(status) => assert!(tries < 5, "no outcome: {status:?}"),
            }
            tries += 1;
        }
    }};
}

fn is_refusal(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition
}

impl Customer {
    fn id(&mut self) -> String {
        let (high, low) = (self.chance.below(u64::MAX), self.chance.below(u64::MAX));
        Uuid::from_u64_pair(high, low).to_string()
    }

    fn name(&self, redemption: &str) -> String {
        format!("{}/redemptions/{redemption}", self.community)
    }

    async fn day(mut self) {
        for _ in 0..DEEDS {
            match self.chance.below(15) {
                0..4 => self.redeem().await,
                4..7 => self.hold().await,
                7 => self.reverse().await,
                8 => self.cancel().await,
                9..14 => self.give().await,
                _ => self.serve().await,
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn offer(&mut self) -> String {
        let number = usize::try_from(self.chance.below(3)).unwrap();
        self.offers[number % self.offers.len()].clone()
    }

    async fn redeem(&mut self) {
        let order = red::RedeemRequest {
            parent: self.community.clone(),
            request_id: self.id(),
            payer: Some(red::redeem_request::Payer::Member(self.member.clone())),
            offer: self.offer(),
            quantity: 1 + i64::try_from(self.chance.below(3)).unwrap(),
            validate_only: false,
        };
        self.made.push(order.request_id.clone());
        let _ = settle!(self, self.clients.redemption, redeem, order);
    }

    async fn hold(&mut self) {
        let reservation = red::HoldRedemptionRequest {
            parent: self.community.clone(),
            request_id: self.id(),
            payer: Some(red::hold_redemption_request::Payer::Member(
                self.member.clone(),
            )),
            offer: self.offer(),
            quantity: 2,
            ttl: None,
            validate_only: false,
        };
        let name = self.name(&reservation.request_id);
        self.made.push(reservation.request_id.clone());
        if settle!(self, self.clients.redemption, hold_redemption, reservation).is_err() {
            return;
        }
        match self.chance.below(4) {
            0 => {
                let request_id = self.id();
                let release = red::ReleaseRedemptionRequest { name, request_id };
                let _ = settle!(self, self.clients.redemption, release_redemption, release);
            }
            // Forgotten.
            1 => {}
            half => {
                let capture = red::CaptureRedemptionRequest {
                    name,
                    request_id: self.id(),
                    quantity: (half == 2).then_some(1),
                };
                let _ = settle!(self, self.clients.redemption, capture_redemption, capture);
            }
        }
    }

    fn any_made(&mut self) -> Option<String> {
        let count = u64::try_from(self.made.len()).unwrap();
        let number = self.chance.below(count.max(1));
        self.made.get(usize::try_from(number).unwrap()).cloned()
    }

    async fn reverse(&mut self) {
        let Some(made) = self.any_made() else { return };
        let get = red::GetRedemptionRequest {
            name: self.name(&made),
        };
        // It may have been refused, and so not be there.
        if self.clients.redemption.get_redemption(get).await.is_err() {
            return;
        }
        let reversal = red::ReverseRedemptionRequest {
            name: self.name(&made),
            request_id: self.id(),
            quantity: (self.chance.below(2) == 0).then_some(1),
            reason: "changed my mind".to_owned(),
            operator: "CLERK01".to_owned(),
        };
        let _ = settle!(self, self.clients.redemption, reverse_redemption, reversal);
    }

    async fn cancel(&mut self) {
        let Some(request_id) = self.any_made() else {
            return;
        };
        let cancel = red::CancelRedemptionByRequestIdRequest {
            parent: self.community.clone(),
            request_id,
        };
        settle!(
            self,
            self.clients.redemption,
            cancel_redemption_by_request_id,
            cancel
        )
        .unwrap();
    }

    /// Pledges a part of a wish, and perhaps takes it back, or has it confirmed, or that reversed.
    async fn give(&mut self) {
        let number = usize::try_from(self.chance.below(3)).unwrap();
        let pledge = wish::CreatePledgeRequest {
            parent: self.community.clone(),
            pledge: Some(wish::Pledge {
                wish: self.wishes[number % self.wishes.len()].clone(),
                pledger: Some(wish::pledge::Pledger::Member(self.member.clone())),
                quantity: 1 + i64::try_from(self.chance.below(8)).unwrap(),
                ..Default::default()
            }),
            request_id: self.id(),
        };
        let name = format!("{}/pledges/{}", self.community, pledge.request_id);
        if settle!(self, self.clients.wish, create_pledge, pledge).is_err() {
            return;
        }
        let steps = self.chance.below(8);
        if steps == 0 {
            // Forgotten.
            return;
        }
        if steps == 1 {
            let request_id = self.id();
            let withdrawal = wish::WithdrawPledgeRequest { name, request_id };
            settle!(self, self.clients.wish, withdraw_pledge, withdrawal).unwrap();
            return;
        }
        let delivery = wish::DeliverPledgeRequest {
            name: name.clone(),
            request_id: self.id(),
            ..Default::default()
        };
        settle!(self, self.clients.wish, deliver_pledge, delivery).unwrap();
        if steps > 2 {
            let confirmation = wish::ConfirmPledgeRequest {
                name: name.clone(),
                request_id: self.id(),
            };
            settle!(self, self.desk.wish, confirm_pledge, confirmation).unwrap();
        }
        if steps > 5 {
            let reversal = wish::ReversePledgeRequest {
                name,
                request_id: self.id(),
                reason: "faulty".to_owned(),
            };
            settle!(self, self.desk.wish, reverse_pledge, reversal).unwrap();
        }
    }

    async fn serve(&mut self) {
        let Some(service) = self.services.pop() else {
            return;
        };
        let record = settle!(self, self.clients.activity, create_service_record, service).unwrap();
        let verification = act::VerifyServiceRecordRequest {
            name: record.name,
            request_id: self.id(),
        };
        settle!(
            self,
            self.desk.activity,
            verify_service_record,
            verification
        )
        .unwrap();
    }
}

#[tokio::test]
async fn after_a_day_of_lost_calls_and_dying_services_every_book_agrees() {
    let mut world = World::start().await;
    let merchant = world.merchant().await;
    let offers = [
        world.offer(&merchant).stock(30).active().await,
        world.offer(&merchant).costing(7).limit(3).active().await,
        world.offer(&merchant).costing(25).active().await,
    ];
    let supplier = world.merchant().await;
    world.offer(&supplier).draft().await;
    let supplied = wish::Wish {
        supplier: supplier.name.clone(),
        ..world.wish_for(WishUnit::Points, 150)
    };
    let wishes = [
        world.published(supplied).await,
        world.published(world.wish_for(WishUnit::Points, 60)).await,
        world.published(world.wish_for(WishUnit::Each, 60)).await,
    ];
    let (done, mut day, mut members) = (Arc::new(AtomicUsize::new(0)), JoinSet::new(), Vec::new());
    for number in 0..CUSTOMERS {
        let member = world.volunteer().with_points(POINTS).await;
        let customer = Customer {
            clients: world.clients.clone(),
            desk: world.staff("DESK"),
            community: world.community_name(),
            member: member.name.clone(),
            offers: offers.iter().map(|offer| offer.name.clone()).collect(),
            wishes: wishes.iter().map(|wish| wish.name.clone()).collect(),
            services: (0..DEEDS).map(|_| world.service(&member, 10)).collect(),
            chance: Chance(0x9E37_79B9_7F4A_7C15 + u64::try_from(number).unwrap()),
            made: vec![],
            done: done.clone(),
        };
        members.push(member);
        day.spawn(customer.day());
    }

    for death in 1..=8 {
        eventually("the day goes on", async || {
            let enough = death * CUSTOMERS * DEEDS / 10;
            (done.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        let system = &mut world.system;
        let service = match death % 4 {
            0 => &mut system.activity,
            1 => &mut system.redemption,
            2 => &mut system.wish,
            _ => &mut system.ledger,
        };
        service.kill();
        service.start().await.unwrap();
    }
    while let Some(ended) = day.join_next().await {
        ended.unwrap();
    }

    // What is held has run out, and what was pledged and not confirmed has lapsed.
    world
        .clock
        .advance(TimeDelta::days(40) + TimeDelta::minutes(6));
    world
        .in_time("nothing is under way", async || {
            let open = [red::RedemptionState::Pending, red::RedemptionState::Held];
            let redemptions = world.redemptions().await;
            let settled = redemptions.iter().all(|one| !open.contains(&one.state()));
            let sums = world.trial_balance().await;
            let freed = sums.rows.iter().all(|row| row.held == 0);
            let posted = world.summary().await.unposted_grants == 0;
            let given = pledges(&world).await.iter().all(|one| !one.points_held);
            (settled && freed && posted && given).then_some(())
        })
        .await;
    let given = assert_wishes_agree(&world, &supplier, &wishes).await;
    assert_redemptions_agree(&world, (&merchant, &offers), &members, &given).await;
    assert_balances_agree_with_the_journal(&world).await;
}

async fn pledges(world: &World) -> Vec<wish::Pledge> {
    let message = wish::ListPledgesRequest {
        parent: world.community_name(),
        page_size: 1000,
        ..Default::default()
    };
    let answer = journeys::send!(world.clients.wish, list_pledges, message);
    answer.unwrap().pledges
}

/// Returns the points that each member has given.
async fn assert_wishes_agree(
    world: &World,
    supplier: &journeys::Merchant,
    wishes: &[wish::Wish],
) -> HashMap<String, i64> {
    let pledges = pledges(world).await;
    let sum = |wish: &wish::Wish, state: PledgeState| {
        let of = |one: &&wish::Pledge| one.wish == wish.name && one.state() == state;
        let of = pledges.iter().filter(of);
        of.map(|one| one.quantity).sum::<i64>()
    };
    let mut seen = Vec::new();
    let mut given: HashMap<String, i64> = HashMap::new();
    for pledge in &pledges {
        seen.push(pledge.state());
        let in_points = pledge.wish != wishes[2].name;
        if let Some(wish::pledge::Pledger::Member(member)) = &pledge.pledger
            && pledge.state() == PledgeState::Confirmed
            && in_points
        {
            *given.entry(member.clone()).or_default() += pledge.quantity;
        }
    }
    for state in [
        PledgeState::Confirmed,
        PledgeState::Reversed,
        PledgeState::Withdrawn,
        PledgeState::Lapsed,
    ] {
        assert!(seen.contains(&state), "no pledge was {state:?}");
    }
    for state in [
        PledgeState::Pending,
        PledgeState::Active,
        PledgeState::Delivered,
    ] {
        assert!(!seen.contains(&state), "a pledge is still {state:?}");
    }
    for wish in wishes {
        let now = world.wish(&wish.name).await;
        let confirmed = sum(wish, PledgeState::Confirmed);
        let sums = [
            now.pledged_quantity,
            now.delivered_quantity,
            now.confirmed_quantity,
        ];
        assert_eq!(sums, [confirmed; 3]);
        assert_eq!(now.reversed_quantity, sum(wish, PledgeState::Reversed));
    }
    let [to_supplier, to_wishes] = [0, 1].map(|at| sum(&wishes[at], PledgeState::Confirmed));
    assert_eq!(world.till(supplier).await.balance, to_supplier);
    let account = world.account(led::AccountKind::Wish, None).await;
    assert_eq!(account.balance, to_wishes);
    given
}

async fn assert_redemptions_agree(
    world: &World,
    (merchant, offers): (&journeys::Merchant, &[red::Offer]),
    members: &[Member],
    given: &HashMap<String, i64>,
) {
    let redemptions = world.redemptions().await;
    let net = |one: &red::Redemption| one.captured_points - one.reversed_points;
    assert!(redemptions.len() > CUSTOMERS, "something was sold");
    let takings = world.takings(merchant).await;
    let (taken, given_back) = redemptions.iter().fold((0, 0), |(taken, back), one| {
        (taken + one.captured_points, back + one.reversed_points)
    });
    assert_eq!(
        (takings.captured_points, takings.reversed_points),
        (taken, given_back)
    );
    assert_eq!(takings.held_points, 0);
    assert_eq!(world.till(merchant).await.balance, taken - given_back);
    for member in members {
        let theirs = redemptions.iter().filter(|one| one.member == member.name);
        let spent: i64 = theirs.map(net).sum();
        let served = world.member(member).await.service_minutes;
        let left = served - spent - given.get(&member.name).copied().unwrap_or_default();
        let account = world.points(member).await;
        assert_eq!((account.balance, account.available), (left, left));
        assert!(served >= POINTS);
    }
    for offer in offers {
        let now = world.offer_now(offer).await;
        let mut by_member: HashMap<&str, i64> = HashMap::new();
        for one in redemptions.iter().filter(|one| one.offer == offer.name) {
            let quantity = one.captured_quantity - one.reversed_quantity;
            *by_member.entry(&one.member).or_default() += quantity;
        }
        assert_eq!(now.stock_left, now.stock - by_member.values().sum::<i64>());
        let limit = offer.per_member_limit.unwrap_or(i64::MAX);
        assert!(
            by_member.values().all(|quantity| *quantity <= limit),
            "{by_member:?}"
        );
    }
}

async fn assert_balances_agree_with_the_journal(world: &World) {
    let journal = world.entries("").await;
    let mut balances: HashMap<String, i64> = HashMap::new();
    for (entry, expected) in journal.iter().zip(1..) {
        assert_eq!(entry.sequence, expected, "dense");
        let moves = match entry.kind() {
            led::EntryKind::Hold | led::EntryKind::Release | led::EntryKind::HoldExpiry => false,
            led::EntryKind::Transfer
            | led::EntryKind::Capture
            | led::EntryKind::LotExpiry
            | led::EntryKind::Reversal => true,
            led::EntryKind::Unspecified => panic!("{entry:?}"),
        };
        let amount = if moves { entry.amount } else { 0 };
        let debit = balances.entry(entry.debit_account.clone()).or_default();
        *debit -= amount;
        assert_eq!(entry.debit_balance, *debit);
        let credit = balances.entry(entry.credit_account.clone()).or_default();
        *credit += amount;
        assert_eq!(entry.credit_balance, *credit);
    }
    let message = led::ListAccountsRequest {
        parent: world.community_name(),
        page_size: 1000,
        ..Default::default()
    };
    let accounts = journeys::send!(world.clients.ledger, list_accounts, message).unwrap();
    for account in accounts.accounts {
        let expected = balances.get(&account.name).copied().unwrap_or_default();
        assert_eq!(account.balance, expected, "{}", account.name);
    }
}
