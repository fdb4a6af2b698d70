//! The textbook way, to compare with: a function that locks two accounts in the order of their ids, checks, updates both and
//! inserts one row; one call and one commit a transfer, from 64 connections. It keeps no lots, no holds and no proof.

use std::{str::FromStr, sync::Arc};

use rand::{SeedableRng, rngs::StdRng};
use runtime::{Ids, Problem};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions, query,
    query_scalar,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    books::ACCOUNTS,
    load::{Sample, Timing, drive},
    meter::database,
    workload::Pick,
};

/// How many connections call the function at once.
pub const CONNECTIONS: usize = 64;
const PAIRS: usize = 65_536;

const SCHEMA: &str = r#"
create schema baseline;
create table baseline.account (
    account_id uuid   not null,
    balance    bigint not null,
    constraint account_pk primary key (account_id),
    constraint account_balance_range check (balance >= 0)
);
create table baseline.entry (
    entry_id          bigint      not null generated always as identity,
    request_id        uuid        not null,
    debit_account_id  uuid        not null,
    credit_account_id uuid        not null,
    amount            bigint      not null,
    recorded_at       timestamptz not null default now(),
    constraint entry_pk primary key (entry_id),
    constraint entry_request_unique unique (request_id)
);
create function baseline.transfer(request uuid, debit uuid, credit uuid, points bigint) returns bigint
language plpgsql as $$
declare
    available bigint;
    entry     bigint;
begin
    if debit < credit then
        select balance into available from baseline.account where account_id = debit for update;
        perform balance from baseline.account where account_id = credit for update;
    else
        perform balance from baseline.account where account_id = credit for update;
        select balance into available from baseline.account where account_id = debit for update;
    end if;
    if available < points then
        raise exception 'insufficient points';
    end if;
    update baseline.account set balance = balance - points where account_id = debit;
    update baseline.account set balance = balance + points where account_id = credit;
    insert into baseline.entry (request_id, debit_account_id, credit_account_id, amount)
    values (request, debit, credit, points)
    returning entry_id into entry;
    return entry;
end
$$;
"#;

/// The baseline's connections and accounts.
#[derive(Debug, Clone)]
pub struct Baseline {
    connections: Arc<Vec<Mutex<PgConnection>>>,
    ids: Ids,
    pairs: Arc<Vec<(Uuid, Uuid)>>,
    hot: Uuid,
}

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payee {
    /// Anyone.
    Any,
    /// Always the same account.
    Hot,
}

impl Baseline {
    /// Makes the schema and opens the connections.
    pub async fn set_up(url: &str, ids: &Ids) -> Result<Self, Problem> {
        // Statements are counted by their log; these are not the ledger's.
        let options = PgConnectOptions::from_str(url)
            .map_err(database)?
            .disable_statement_logging();
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let connection = PgConnection::connect_with(&options);
            connections.push(connection.await.map_err(database)?);
        }
        let accounts: Vec<Uuid> = (0..=ACCOUNTS).map(|_| ids.next()).collect();
        let connection = &mut connections[0];
        connection.execute(SCHEMA).await.map_err(database)?;
        query("insert into baseline.account select unnest($1::uuid[]), 1000000000000")
            .bind(&accounts)
            .execute(connection)
            .await
            .map_err(database)?;
        let (pick, mut rng) = (Pick::Uniform(ACCOUNTS), StdRng::seed_from_u64(0));
        let pair = |_| {
            let (debit, credit) = pick.pair(&mut rng);
            (accounts[debit], accounts[credit])
        };
        Ok(Self {
            connections: Arc::new(connections.into_iter().map(Mutex::new).collect()),
            ids: ids.clone(),
            pairs: Arc::new((0..PAIRS).map(pair).collect()),
            hot: accounts[ACCOUNTS],
        })
    }

    /// Measures it over the first `connections` connections.
    pub async fn measure(
        &self,
        payee: Payee,
        connections: usize,
        timing: Timing,
    ) -> Result<Sample, Problem> {
        let baseline = self.clone();
        drive(connections, timing, move |connection| {
            let baseline = baseline.clone();
            async move { baseline.transfer(connection, payee).await }
        })
        .await
    }

    async fn transfer(&self, connection: usize, payee: Payee) -> Result<u64, Problem> {
        let request = self.ids.next();
        let place = usize::try_from(request.as_u128() % PAIRS as u128).unwrap_or_default();
        let (debit, any) = self.pairs[place];
        let credit = match payee {
            Payee::Any => any,
            Payee::Hot => self.hot,
        };
        let mut connection = self.connections[connection].lock().await;
        let entry: i64 = query_scalar("select baseline.transfer($1, $2, $3, $4)")
            .bind(request)
            .bind(debit)
            .bind(credit)
            .bind(7_i64)
            .fetch_one(&mut *connection)
            .await
            .map_err(database)?;
        Ok(u64::from(entry > 0))
    }
}
