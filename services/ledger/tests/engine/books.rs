//! A community in a database of its own, and what must be true of its rows whatever happened.

use ledger::{
    Ledger, ROLE,
    domain::CommunityId,
    verify::{Difference, Verification, verify},
};
use runtime::{Clock, TestDatabase};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    asked,
    domain::{self, AccountDefinition, AccountLimits},
    model::Model,
};

/// Opens the cast's accounts in a community.
pub async fn open(ledger: &Ledger, community: CommunityId) -> Vec<AccountDefinition> {
    for code in ["points", "CNY"] {
        let opened = ledger.create_asset(community, code.to_owned(), 0).await;
        opened.unwrap();
    }
    let cast = asked::cast();
    for definition in &cast {
        let opened = ledger.create_account(community, definition.clone()).await;
        opened.unwrap();
    }
    cast
}

/// A community with the cast in a database of its own, and its model.
pub struct World {
    pub database: TestDatabase,
    pub pool: PgPool,
    pub clock: Clock,
    pub community: CommunityId,
    pub model: Model,
}

impl World {
    pub async fn start() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual(asked::start());
        let community = CommunityId(Uuid::from_u128(7));
        let accounts = open(&Ledger::new(pool.clone(), clock.clone()), community).await;
        Self {
            database,
            pool,
            community,
            model: Model::new(clock.now(), accounts),
            clock,
        }
    }

    /// Leaves enough to give and room to take for a long run.
    pub async fn lift_limits(&mut self) {
        let ledger = self.replica().await;
        for number in [asked::ISSUING, asked::KIOSK, asked::CARLA] {
            let limits = AccountLimits {
                min_balance: Some(if number == asked::ISSUING {
                    -1_000_000
                } else {
                    0
                }),
                max_balance: None,
            };
            let id = asked::account(number);
            let lifted = ledger.update_account_limits(self.community, id, limits, None);
            lifted.await.unwrap();
            self.model.set_limits(id, limits).unwrap();
        }
    }

    /// A ledger as in another process: an engine and connections of its own.
    pub async fn replica(&self) -> Ledger {
        Ledger::new(self.database.pool(ROLE).await, self.clock.clone())
    }

    /// Connections that may do everything.
    pub async fn superuser(&self) -> PgPool {
        self.database.pool("").await
    }
}

/// What must find nothing, with what it means when it does; `$1` is the community.
const FAULTS: [(&str, &str); 13] = [
    (
        "I1: an asset's balances do not sum to zero",
        "select asset from ledger.account where community_id = $1 group by asset having sum(balance) <> 0",
    ),
    (
        "I2: a balance is not the sum of its entries",
        "select account_id::text from ledger.account where community_id = $1 and balance <>
            (select coalesce(sum(case when credit_account_id = account_id then amount else -amount end), 0) from ledger.entry
             where entry.community_id = $1 and account_id in (debit_account_id, credit_account_id) and entry.kind in (1, 3, 6, 7))",
    ),
    (
        "I3: sequences are not dense",
        "select next_sequence::text from ledger.journal where community_id = $1 and next_sequence - 1 <>
            (select count(*) from ledger.entry where entry.community_id = $1 and sequence between 1 and next_sequence - 1)
         union all select sequence::text from ledger.entry where community_id = $1 and sequence >=
            (select next_sequence from ledger.journal where community_id = $1)",
    ),
    (
        "I3: time runs backwards",
        "select sequence::text from (select sequence, recorded_at, lag(recorded_at) over (order by sequence) as previous
            from ledger.entry where community_id = $1) as timed where recorded_at < previous",
    ),
    (
        "I4: held is not what open holds reserve",
        "select account_id::text from ledger.account where community_id = $1 and held <>
            (select coalesce(sum(amount - captured - released), 0) from ledger.hold
             where hold.community_id = $1 and debit_account_id = account_id)",
    ),
    (
        "I4, I9: an account is outside its limits",
        "select account_id::text from ledger.account join ledger.journal using (community_id)
         where account.community_id = $1 and (case when expiry_account_id is null then balance - held < min_balance else balance < held end
            or max_balance < balance - (select coalesce(sum(remaining), 0) from ledger.lot
                where lot.community_id = $1 and lot.account_id = account.account_id and expires_at <= last_recorded_at))",
    ),
    (
        "I5: the lots of an account are not its balance",
        "select account_id::text from ledger.account where community_id = $1 and expiry_account_id is not null and (balance, held) <>
            (select coalesce(sum(remaining + held), 0)::bigint, coalesce(sum(held), 0)::bigint from ledger.lot
             where lot.community_id = $1 and lot.account_id = account.account_id)",
    ),
    (
        "I6: the lots that paid an entry are not its amount",
        "select sequence::text from ledger.entry join ledger.account on account.community_id = $1 and account_id = debit_account_id
         where entry.community_id = $1 and expiry_account_id is not null and amount <>
            (select coalesce(sum(amount), 0) from ledger.allocation
             where allocation.community_id = $1 and allocation.sequence = entry.sequence)",
    ),
    (
        "I7: a hold is not what its entries say",
        "select hold_id::text from ledger.hold where community_id = $1 and (captured, released) <>
            (select coalesce(sum(amount) filter (where kind = 3), 0)::bigint, coalesce(sum(amount) filter (where kind in (4, 5)), 0)::bigint
             from ledger.entry where entry.community_id = $1 and related_sequence = hold.sequence and kind in (3, 4, 5))",
    ),
    (
        "I8: a lot paid at or after its expiry",
        "select entry.sequence::text from ledger.entry join ledger.account on account.community_id = $1 and account_id = debit_account_id
             join ledger.allocation on allocation.community_id = $1 and allocation.sequence = entry.sequence
         where entry.community_id = $1 and expiry_account_id is not null and entry.kind in (1, 2, 7)
             and allocation.expires_at <= entry.recorded_at",
    ),
    (
        "I10: a request has two answers",
        "select request_id::text from (select request_id from ledger.entry where community_id = $1 and request_id is not null
            union all select request_id from ledger.refusal where community_id = $1) as answer
         group by request_id having count(*) > 1",
    ),
    (
        "I11: an entry is reversed by more than its amount",
        "select sequence::text from ledger.entry where community_id = $1 and amount <
            (select coalesce(sum(amount), 0) from ledger.entry as reversal
             where reversal.community_id = $1 and reversal.related_sequence = entry.sequence and reversal.kind = 7)",
    ),
    (
        "I16: an entry count or a head of a statement is not what the journal says",
        "select account_id::text from ledger.account where community_id = $1 and (entries, last_sequence) <>
            (select count(*), coalesce(max(sequence), 0) from ledger.entry where entry.community_id = $1
             and (debit_account_id = account_id or (credit_account_id = account_id and entry.kind in (1, 3, 6, 7))))",
    ),
];

/// Recomputes a community's books from its entries: in SQL, and with the ledger's own verification.
pub async fn assert_sound(pool: &PgPool, community: CommunityId) {
    let asked = Verification {
        community: Some(community),
        ..Verification::default()
    };
    let mut differences = vec![];
    let mut differs = |difference: Difference| differences.push(difference.to_string());
    verify(pool, &asked, &mut differs).await.unwrap();
    assert_eq!(differences, [""; 0]);
    for (fault, statement) in FAULTS {
        let found: Vec<String> = sqlx::query_scalar(statement)
            .bind(community.0)
            .fetch_all(pool)
            .await
            .unwrap();
        assert_eq!(found, [""; 0], "{fault}");
    }
}

/// Compares everything that the ledger shows with the model.
pub async fn assert_equal(ledger: &Ledger, community: CommunityId, model: &Model) {
    let query = ledger::EntryQuery::default();
    let entries = ledger.entries(community, query).await.unwrap();
    assert_eq!(entries, model.entries);
    for definition in &model.accounts {
        let mut there = ledger.account(community, definition.id).await.unwrap();
        // Of the row, not of the books.
        there.created_at = model.opened_at;
        assert_eq!(there, model.account(definition));
        let query = ledger::EntryQuery {
            account: Some(definition.id),
            ..query
        };
        let statement = ledger.entries(community, query).await.unwrap();
        let expected: Vec<_> = model.books().statement(definition.id).cloned().collect();
        assert_eq!(statement, expected);
    }
    for entry in &model.entries {
        if let (domain::EntryKind::Hold, Some((id, _))) = (entry.kind, entry.request) {
            let hold = ledger.hold(community, id).await.unwrap();
            assert_eq!(Some(hold), model.books().hold(id));
        }
    }
}
