//! A community's fourteen months, replayed with every day of every shop closed on the way: the statements are the ledger, whole and once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use chrono::{Datelike, NaiveDate, TimeDelta};
use journeys::{eventually, send};
use linli::{
    programme::{self, Numbering, Programme, compare},
    progress::Progress,
    system::{Clients, Ports, System, SystemConfig},
};
use proto::{
    account_id,
    ledger::v1::{self as led, AccountKind},
    redemption::v1::{self as red, StatementEntryKind as Kind, StatementState as State},
};
use runtime::{Clock, Ids, TestDatabase};

/// Longer after midnight than a day is closed.
const MORNING: TimeDelta = TimeDelta::minutes(6);

/// The shops of a programme, and what each had when its last day ended.
struct Shops<'a> {
    clients: &'a Clients,
    clock: &'a Clock,
    numbering: &'a Numbering,
    /// By number.
    balances: BTreeMap<String, i64>,
    /// The shops at which somebody tried to take or to give back something, by day.
    visited: BTreeSet<(NaiveDate, String)>,
}

impl Shops<'_> {
    fn statement(&self, number: &str, date: NaiveDate) -> red::GetDailyStatementRequest {
        let merchant = self.numbering.name("merchants", number);
        let programme = self.numbering.programme_id;
        red::GetDailyStatementRequest {
            name: format!("{merchant}/programmes/{programme}/statements/{date}"),
        }
    }

    /// Waits until a day is closed where something may have happened, and on the first of a month everywhere; looks whether it opens with what the day
    /// before closed with.
    async fn close(&mut self, date: NaiveDate) {
        let mut numbers: Vec<String> = self.balances.keys().cloned().collect();
        numbers.retain(|number| date.day() == 1 || self.visited.contains(&(date, number.clone())));
        for number in numbers {
            let message = self.statement(&number, date);
            let closed = eventually("the day is closed", async || {
                let client = &self.clients.settlement;
                let statement = send!(client, get_daily_statement, message.clone()).unwrap();
                if statement.state() == State::Open {
                    // A call may have failed because time has leapt in the middle of it; it is made again in a moment.
                    self.clock.advance(TimeDelta::seconds(1));
                    return None;
                }
                Some(statement)
            })
            .await;
            let balance = self.balances.get_mut(&number).unwrap();
            assert_eq!(closed.opening_balance, *balance, "{number} {date}");
            *balance = closed.closing_balance;
        }
    }
}

/// When somebody was at which shop.
fn visits(programme: &Programme) -> BTreeSet<(NaiveDate, String)> {
    let zone = programme.settings.time_zone;
    let offers = programme.records.offers.iter();
    let shops: HashMap<&str, &str> = offers
        .map(|offer| (&offer.number[..], &offer.merchant[..]))
        .collect();
    let mut visits = BTreeSet::new();
    for redemption in &programme.records.redemptions {
        let reversed = redemption.reversal.map(|reversal| reversal.at);
        for at in [Some(redemption.at), reversed].into_iter().flatten() {
            let shop = shops[&redemption.offer[..]].to_owned();
            visits.insert((at.with_timezone(&zone).date_naive(), shop));
        }
    }
    visits
}

/// Every closed statement of the community, oldest first.
async fn statements(clients: &Clients, community: &str) -> Vec<red::Statement> {
    let mut message = red::ListStatementsRequest {
        parent: community.to_owned(),
        page_size: 100,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = send!(clients.settlement, list_statements, message.clone()).unwrap();
        all.extend(page.statements);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            all.reverse();
            return all;
        }
    }
}

async fn lines(clients: &Clients, statement: &red::Statement) -> Vec<red::StatementEntry> {
    let message = red::ListStatementEntriesRequest {
        parent: statement.name.clone(),
        page_size: 1000,
        ..Default::default()
    };
    let page = send!(clients.settlement, list_statement_entries, message).unwrap();
    assert!(page.next_page_token.is_empty());
    page.entries
}

/// What was captured and what was given back, of every redemption that ever was.
async fn redemptions(clients: &Clients, community: &str) -> HashMap<String, (i64, i64)> {
    let mut message = red::ListRedemptionsRequest {
        parent: community.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let mut all = HashMap::new();
    loop {
        let page = send!(clients.redemption, list_redemptions, message.clone()).unwrap();
        for one in page.redemptions {
            all.insert(one.name, (one.captured_points, one.reversed_points));
        }
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_closed_day_by_day_is_what_the_ledger_says() {
    runtime::init_quiet();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programmes/bishahu");
    let programme = Programme::read(&folder).unwrap();
    let zone = programme.settings.time_zone;
    let numbering = Numbering::new(&programme.settings);
    let database = TestDatabase::new().await;
    let start = programme::first_instant(&programme);
    let clock = Clock::manual(start);
    let system = System::start(SystemConfig {
        database_url: database.url().to_owned(),
        clock: clock.clone(),
        ids: Ids::seeded(clock.clone(), 1),
        listen: Ports::ANY,
        signer: None,
        origins: Vec::new(),
        limits: Default::default(),
        offline: Default::default(),
        person_keys: linli::key::temporary_persons(),
        minter: linli::key::temporary_issuer(),
    })
    .await
    .unwrap();
    let clients = system.clients().unwrap();
    let offers = &programme.records.offers;
    let mut shops = Shops {
        clients: &clients,
        clock: &clock,
        numbering: &numbering,
        visited: visits(&programme),
        balances: offers
            .iter()
            .map(|offer| (offer.merchant.clone(), 0))
            .collect(),
    };

    let mut date = start.with_timezone(&zone).date_naive();
    let mut go_to = async |at| {
        loop {
            let midnight = (date + TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN);
            let morning = midnight.and_local_timezone(zone).unwrap().to_utc() + MORNING;
            if morning > at {
                break;
            }
            clock.advance_to(morning);
            shops.close(date).await;
            date += TimeDelta::days(1);
        }
        assert!(clock.now() <= at, "nothing happens while a day is closed");
        clock.advance_to(at);
        Ok(())
    };
    let mut progress = Progress::hidden();
    let figures = programme::replay(&programme, &clients, &mut go_to, &mut progress);
    let figures = figures.await.unwrap();
    go_to(programme.settings.as_of + MORNING).await.unwrap();
    assert_eq!(
        date,
        programme.settings.as_of.with_timezone(&zone).date_naive()
    );

    for comparison in compare(&figures, programme.expected.as_ref()) {
        assert_ne!(comparison.agrees(), Some(false), "{comparison:?}");
    }
    let statements = statements(&clients, &numbering.community).await;
    let mut paid: BTreeMap<&str, i64> = BTreeMap::new();
    let mut last_hash: HashMap<&str, &str> = HashMap::new();
    let mut settled: HashMap<String, (i64, i64)> = HashMap::new();
    let mut entries = BTreeSet::new();
    let mut counts = HashMap::new();
    for statement in &statements {
        let merchant = statement.name.split("/programmes/").next().unwrap();
        *paid.entry(merchant).or_default() += statement.payable_points;
        if let Some(hash) = last_hash.insert(merchant, &statement.hash) {
            assert_eq!(statement.previous_hash, hash, "{}", statement.name);
        }
        for line in lines(&clients, statement).await {
            assert!(
                entries.insert(line.entry.clone()),
                "{} is there twice",
                line.entry
            );
            let at = line.create_time.unwrap();
            let at = chrono::DateTime::from_timestamp(at.seconds, 0).unwrap();
            let day = at.with_timezone(&zone).date_naive().to_string();
            assert!(
                statement.name.ends_with(&day),
                "{} of {day}",
                statement.name
            );
            let (captured, reversed) = settled.entry(line.redemption.clone()).or_default();
            match line.kind() {
                Kind::Capture => *captured += line.points,
                Kind::Reversal => *reversed -= line.points,
                other => panic!("{other:?} in {}", statement.name),
            }
            *counts.entry(line.kind()).or_insert(0) += 1;
        }
    }
    assert_eq!(counts[&Kind::Capture], figures.redemptions);
    assert_eq!(counts[&Kind::Reversal], figures.reversals);
    assert_eq!(settled, redemptions(&clients, &numbering.community).await);

    for (number, balance) in &shops.balances {
        let id = numbering.id("merchants", number);
        let account = account_id(numbering.programme_id, AccountKind::Merchant, Some(id));
        let message = led::GetAccountRequest {
            name: format!("{}/accounts/{account}", numbering.community),
        };
        let account = send!(clients.ledger, get_account, message).unwrap();
        let merchant = numbering.name("merchants", number);
        let sum = paid.get(&merchant[..]).copied().unwrap_or_default();
        assert_eq!(
            (*balance, sum),
            (account.balance, account.balance),
            "{number}"
        );
        let expected = figures.merchants.get(number).copied().unwrap_or_default();
        assert_eq!(account.balance, expected, "{number}");
    }
    drop(clients);
    system.stop().await.unwrap();
}
