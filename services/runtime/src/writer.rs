//! Transactions that write many rows at once, and connections that are kept for the next one.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction, raw_sql};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Leaves the planner only what goes to rows by their keys. On a table that nobody has analyzed, a join with a list may else read the
/// whole community, or compare all with all, and a plan is kept for as long as its connection.
const BY_KEY: &str = "
    set local enable_seqscan = off;
    set local enable_hashjoin = off;
    set local enable_mergejoin = off;
    set local enable_material = off";

/// How long a writer without work keeps its connection.
const LINGER: Duration = Duration::from_secs(1);
/// How often a connection that is kept is outside of a transaction for a moment.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins a transaction that works on lists: the planner goes to rows by their keys.
pub async fn begin_by_key(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with(AssertSqlSafe(format!("begin; {BY_KEY}")))
        .await
}

/// A pool that writers share: at most half of its connections are kept by them, the rest is for those who read and for writers that
/// have none of their own.
#[derive(Debug, Clone)]
pub struct Writers {
    pool: PgPool,
    permits: Arc<Semaphore>,
}

impl Writers {
    /// Writers on a pool.
    pub fn new(pool: PgPool) -> Self {
        let kept = pool.options().get_max_connections() / 2;
        Self {
            pool,
            permits: Arc::new(Semaphore::new(kept.try_into().unwrap_or_default())),
        }
    }

    /// One of them.
    pub fn writer(&self) -> Writer {
        Writer {
            shared: self.clone(),
            permit: None,
            begun: None,
            paused_at: Instant::now(),
        }
    }
}

/// One that writes one transaction after another. A backend that has just written is faster at it than one that comes fresh from the
/// pool; and the commit of one transaction begins the next, in which nothing is done while there is no work.
#[derive(Debug)]
pub struct Writer {
    shared: Writers,
    permit: Option<OwnedSemaphorePermit>,
    begun: Option<Transaction<'static, Postgres>>,
    paused_at: Instant,
}

impl Writer {
    /// A transaction that works on lists. One that is dropped is rolled back.
    pub async fn begin(&mut self) -> sqlx::Result<Transaction<'static, Postgres>> {
        match self.begun.take() {
            Some(begun) => Ok(begun),
            None => begin_by_key(&self.shared.pool).await,
        }
    }

    /// Commits, and begins the next one without waiting once more when there is a connection to keep.
    pub async fn commit(&mut self, mut tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
        if self.permit.is_none() {
            self.permit = self.shared.permits.clone().try_acquire_owned().ok();
        }
        if self.permit.is_none() {
            return tx.commit().await;
        }
        if self.paused_at.elapsed() < PAUSE {
            run(&mut tx, format!("commit and chain; {BY_KEY}")).await?;
        } else {
            // Between transactions a backend tells what it has changed, else no table would ever be vacuumed or analyzed. And a plan that
            // was made while a table was small may go by another index than the key's: it is made anew.
            run(&mut tx, "commit".to_owned()).await?;
            run(&mut tx, format!("discard plans; begin; {BY_KEY}")).await?;
            self.paused_at = Instant::now();
        }
        self.begun = Some(tx);
        Ok(())
    }

    /// Waits a moment for work with the connection kept; nothing when none has come, or the pool is closing, and the connection has
    /// been given back.
    pub async fn linger<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut closed = self.shared.pool.close_event();
        let lingering = tokio::time::timeout(LINGER, work);
        if let Ok(Ok(work)) = closed.do_until(lingering).await {
            return Some(work);
        }
        self.begun = None;
        self.permit = None;
        None
    }
}

async fn run(tx: &mut Transaction<'static, Postgres>, statements: String) -> sqlx::Result<()> {
    raw_sql(AssertSqlSafe(statements))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TestDatabase, connect};

    /// Its backend, and a transaction that writes.
    async fn write(writer: &mut Writer) -> i32 {
        let mut tx = writer.begin().await.unwrap();
        let backend =
            sqlx::query_scalar("insert into written values (pg_backend_pid()) returning *");
        let backend = backend.fetch_one(&mut *tx).await.unwrap();
        writer.commit(tx).await.unwrap();
        backend
    }

    async fn written(pool: &PgPool) -> i64 {
        let count = sqlx::query_scalar("select count(*) from written");
        count.fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn a_writer_keeps_its_connection_and_half_of_the_pool_stays_free() {
        let database = TestDatabase::empty().await;
        let pool = connect(database.url(), "", 2).await.unwrap();
        sqlx::query("create table written (backend integer)")
            .execute(&pool)
            .await
            .unwrap();
        let writers = Writers::new(pool.clone());
        let (mut one, mut other) = (writers.writer(), writers.writer());
        let backend = write(&mut one).await;
        assert_eq!(write(&mut one).await, backend);
        // It is outside of a transaction for a moment, and the same connection goes on.
        one.paused_at -= PAUSE;
        assert_eq!(write(&mut one).await, backend);
        assert_eq!(write(&mut one).await, backend);
        assert!(one.begun.is_some());
        // The other half is for whoever comes.
        write(&mut other).await;
        assert!(other.begun.is_none());
        assert_eq!(written(&pool).await, 5);
        // What is dropped never was.
        let mut tx = one.begin().await.unwrap();
        sqlx::query("insert into written values (0)")
            .execute(&mut *tx)
            .await
            .unwrap();
        drop(tx);
        write(&mut one).await;
        assert_eq!(written(&pool).await, 6);
        // Work that comes finds the connection kept; a pool that closes gets it back.
        assert_eq!(one.linger(async { 7 }).await, Some(7));
        assert!(one.begun.is_some());
        let closing = pool.close();
        let lingering = one.linger(std::future::pending::<()>());
        assert_eq!(tokio::join!(closing, lingering).1, None);
        assert!(one.begun.is_none());
    }
}
