//! Databases for tests: one private Postgres a test process, started on first use, and in it a database of its own for
//! each test. Nothing is left when the process ends, however its tests end. And callers who may do everything.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, postgres::PgConnectOptions};

use crate::{
    Access, Authority, Bearer, Clock, Holder, Minter, Postgres, Problem, Role, Roles, connect,
    create_database, migrate,
};

const TEMPLATE: &str = "linli_template";

/// A migrated database that no other test uses.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

static CLUSTER: OnceLock<Mutex<Option<Postgres>>> = OnceLock::new();
/// Databases whose tests have ended; the next test drops them, so that a long run needs little disk.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl TestDatabase {
    /// A fresh database with every migration applied.
    ///
    /// # Panics
    /// When there is no Postgres on this machine, or a migration fails.
    pub async fn new() -> Self {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        let template = cluster_url(TEMPLATE).await;
        // Blocks the other tests until the template is whole; a runtime of its own, for theirs may end at any time.
        blocking(move || {
            MIGRATED.get_or_init(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime for the template");
                let made: Result<(), Problem> = runtime.block_on(async {
                    create_database(&template).await?;
                    migrate(&template).await
                });
                made.unwrap_or_else(|problem| panic!("the template of test databases: {problem}"));
            });
        })
        .await;
        Self::from_template(TEMPLATE).await
    }

    /// A fresh database with nothing in it.
    ///
    /// # Panics
    /// When there is no Postgres on this machine.
    pub async fn empty() -> Self {
        Self::from_template("template0").await
    }

    /// Where it is, for anything that takes a `DATABASE_URL`; the user there may do everything.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections with the rights of `role`, as a service has them.
    ///
    /// # Panics
    /// When the role or its schema is missing.
    pub async fn pool(&self, role: &str) -> PgPool {
        connect(&self.url, role, 8)
            .await
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    async fn from_template(template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let ended = std::mem::take(&mut *ENDED.lock().expect("no holder of this lock panics"));
        let options: PgConnectOptions = cluster_url("postgres")
            .await
            .parse()
            .expect("our own address");
        let mut connection = options.connect().await.expect("our own Postgres answers");
        let mut statements: Vec<String> = ended
            .iter()
            .map(|name| format!("drop database if exists {name} with (force)"))
            .collect();
        statements.push(format!("create database {name} template {template}"));
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .expect("our own Postgres makes a database");
        }
        connection.close().await.expect("our own Postgres answers");
        let url = cluster_url(&name).await;
        Self { name, url }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Ok(mut ended) = ENDED.lock() {
            ended.push(std::mem::take(&mut self.name));
        }
    }
}

async fn cluster_url(database: &str) -> String {
    let database = database.to_owned();
    blocking(move || {
        let cluster = CLUSTER.get_or_init(|| {
            let postgres = Postgres::temporary().unwrap_or_else(|problem| panic!("{problem}"));
            // The test harness ends the process without dropping statics.
            // SAFETY: `stop_cluster` is a plain function that lives as long as the program.
            unsafe { libc::atexit(stop_cluster) };
            Mutex::new(Some(postgres))
        });
        let cluster = cluster.lock().expect("no holder of this lock panics");
        cluster
            .as_ref()
            .expect("it stops only when the process ends")
            .url(&database)
    })
    .await
}

extern "C" fn stop_cluster() {
    if let Some(Ok(mut cluster)) = CLUSTER.get().map(Mutex::lock) {
        drop(cluster.take());
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A request of someone who may do everything.
pub fn asked<T>(message: T) -> tonic::Request<T> {
    asked_by("test", message)
}

/// The same of someone in particular.
pub fn asked_by<T>(subject: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Access::everything(subject));
    request
}

/// Whom a server is to trust, and what may then do everything there, in any process of the test.
pub fn acquainted() -> (Authority, Bearer) {
    let clock = Clock::system();
    let minter = Minter::new("test", [7; 32]);
    let trusted = vec![minter.issuer(Roles::from_iter(Role::ALL))];
    let holder = Holder::everywhere("test", Role::ALL);
    let authority = Authority::new(clock.clone(), trusted).expect("its key is at hand");
    (authority, Bearer::minted(minter, holder, clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tests_do_not_see_each_other() {
        let (one, other) = (TestDatabase::empty().await, TestDatabase::empty().await);
        let pool = one.pool("").await;
        sqlx::query("create table note (body text)")
            .execute(&pool)
            .await
            .unwrap();

        let found: bool = sqlx::query_scalar("select to_regclass('note') is not null")
            .fetch_one(&other.pool("").await)
            .await
            .unwrap();

        assert_ne!(one.url(), other.url());
        assert!(!found);
    }
}
