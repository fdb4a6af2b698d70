//! The Postgres database: connections that take on a service's role, the embedded migrations, and what errors mean.

use std::{borrow::Cow, path::Path, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Problem;

/// Every schema change, in order, in this binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For so long after its last use a connection is taken to be alive.
const UNTESTED: Duration = Duration::from_secs(1);

/// Connects as the login user of `url` and takes on `role`; an empty role stays the login user.
///
/// A role `linli_x` wants the schema `x` to be there: the migrations make both.
pub async fn connect(url: &str, role: &str, max_connections: u32) -> Result<PgPool, Problem> {
    let mut options = parse(url)?
        .application_name(if role.is_empty() { "linli" } else { role })
        .options([
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
    if !role.is_empty() {
        options = options.options([("role", role)]);
    }
    // A pool retries refused connections in silence, so the first one is made by hand.
    let mut connection = open(&options).await?;
    if let Some(schema) = role.strip_prefix("linli_") {
        let found: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
            .bind(schema)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| Problem::new(format!("the database does not answer: {error}")))?;
        if !found {
            return Err(Problem::new(format!(
                "the database has no schema {schema}: run `linli migrate` first"
            )));
        }
    }
    // It has done its work; an error while closing is of no use to anyone.
    let _ = connection.close().await;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        // One that was at work a moment ago needs no question whether it is alive.
        .test_before_acquire(false)
        .before_acquire(|connection, of| {
            Box::pin(async move {
                if of.idle_for > UNTESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Brings the database up to this binary's migrations. Several at once are safe, and so is an older binary on a newer
/// schema: it leaves what it does not know alone.
pub async fn migrate(url: &str) -> Result<(), Problem> {
    apply(url, &MIGRATIONS).await
}

/// Makes the database that `url` names, if it is not there yet.
pub async fn create_database(url: &str) -> Result<(), Problem> {
    let options = parse(url)?;
    let Some(name) = options.get_database().map(str::to_owned) else {
        return Err(Problem::new("DATABASE_URL names no database"));
    };
    let mut connection = open(&options.database("postgres")).await?;
    let found: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| Problem::new(format!("the database does not answer: {error}")))?;
    if !found {
        let statement = format!("create database {}", quoted(&name));
        let made = sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await;
        match made {
            Ok(_) => {}
            // Another process made it in between.
            Err(error) if matches!(code(&error).as_deref(), Some("42P04" | "23505")) => {}
            Err(error) => {
                return Err(Problem::new(format!(
                    "can't create the database {name}: {error}"
                )));
            }
        }
    }
    let _ = connection.close().await;
    Ok(())
}

pub(crate) async fn apply(url: &str, migrations: &Migrator) -> Result<(), Problem> {
    let mut connection = open(&parse(url)?.application_name("linli migrate")).await?;
    let migrator = Migrator {
        migrations: migrations.migrations.clone(),
        ignore_missing: true,
        ..Migrator::DEFAULT
    };
    migrator
        .run(&mut connection)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMismatch(version) => Problem::new(format!(
                "migration {version} was applied to this database with another content: \
             use the binary that made it, or another database"
            )),
            error => Problem::new(format!("can't migrate the database: {}", chain(&error))),
        })?;
    let _ = connection.close().await;
    Ok(())
}

/// Whether the same transaction may succeed when run again: a serialisation failure or a deadlock.
pub fn is_retryable(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether the database is away, full or going down, rather than the statement wrong.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            // Classes: connection, resources, shutdown. Single codes: a statement or an idle transaction out of time,
            // and a primary that has become a replica.
            ["08", "53", "57P"]
                .iter()
                .any(|class| code.starts_with(class))
                || ["57014", "25P03", "25006"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

/// The name of the constraint that was broken.
pub fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

fn parse(url: &str) -> Result<PgConnectOptions, Problem> {
    // The address may hold a password, so it is never shown.
    url.parse().map_err(|error| {
        Problem::new(format!(
            "DATABASE_URL is not like postgres://user@host/database: {error}"
        ))
    })
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, Problem> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(refused(options, &error)),
        Err(_) => Err(Problem::new(format!(
            "no answer from the database at {} within {} s: check DATABASE_URL",
            place(options),
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
}

fn refused(options: &PgConnectOptions, error: &sqlx::Error) -> Problem {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    let place = place(options);
    let role = options.get_application_name().unwrap_or_default();
    Problem::new(match code(error).as_deref() {
        Some("22023") => format!("the database has no role {role}: run `linli migrate` first"),
        Some("42501") => {
            format!("the database user {user} may not act as {role}: grant {role} to {user}")
        }
        Some("3D000") => format!("no database {database} at {place}: create it first"),
        Some("28P01" | "28000") => {
            format!("the database at {place} refuses user {user}: check DATABASE_URL")
        }
        _ => format!(
            "can't reach the database at {place}: {}: check DATABASE_URL",
            chain(error)
        ),
    })
}

fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None if Path::new(options.get_host()).is_absolute() => options.get_host().to_owned(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors already say their cause.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::TestDatabase;

    async fn migrations(files: &[(&str, &str)]) -> Migrator {
        let folder = tempfile::tempdir().unwrap();
        for (name, sql) in files {
            fs::write(folder.path().join(name), sql).unwrap();
        }
        Migrator::new(folder.path()).await.unwrap()
    }

    const SHELF: &str = "create schema shelf;
        do $$ begin create role linli_shelf nologin; exception when duplicate_object then null; end $$;
        grant usage on schema shelf to linli_shelf;
        create table shelf.book (title text, constraint book_title_unique unique (title));
        grant select, insert on shelf.book to linli_shelf;";

    async fn shelf() -> (TestDatabase, PgPool) {
        let database = TestDatabase::empty().await;
        let migrations = migrations(&[("0001_shelf.sql", SHELF)]).await;
        apply(database.url(), &migrations).await.unwrap();
        let pool = database.pool("linli_shelf").await;
        (database, pool)
    }

    #[tokio::test]
    async fn a_service_has_only_the_rights_of_its_role() {
        let (_database, pool) = shelf().await;
        let insert = "insert into shelf.book values ('水浒')";
        sqlx::query(insert).execute(&pool).await.unwrap();

        let twice = sqlx::query(insert).execute(&pool).await.unwrap_err();
        let delete = sqlx::query("delete from shelf.book")
            .execute(&pool)
            .await
            .unwrap_err();

        assert_eq!(constraint(&twice), Some("book_title_unique"));
        assert_eq!(code(&delete).as_deref(), Some("42501"));
        assert!(!is_retryable(&twice) && !is_unavailable(&twice));
    }

    #[tokio::test]
    async fn connections_have_limits() {
        let (_database, pool) = shelf().await;
        let limits: (String, String) = sqlx::query_as(
            "select current_setting('statement_timeout'),
                    current_setting('idle_in_transaction_session_timeout')",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(limits, ("30s".to_owned(), "1min".to_owned()));
    }

    #[tokio::test]
    async fn several_may_migrate_at_once_and_an_older_binary_after_a_newer_one() {
        let database = TestDatabase::empty().await;
        let first = ("0001_shelf.sql", SHELF);
        let second = ("0002_box.sql", "create table shelf.box (n int)");
        let (older, newer) = (
            migrations(&[first]).await,
            migrations(&[first, second]).await,
        );

        let url = database.url();
        let (one, two, three) =
            tokio::join!(apply(url, &newer), apply(url, &newer), apply(url, &newer));

        assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
        assert_eq!(apply(url, &older).await, Ok(()));
    }

    #[tokio::test]
    async fn an_edited_migration_is_refused() {
        let (database, _pool) = shelf().await;
        let edited = migrations(&[("0001_shelf.sql", "create schema shelf")]).await;
        let problem = apply(database.url(), &edited)
            .await
            .unwrap_err()
            .to_string();
        assert!(problem.starts_with("migration 1 was applied"), "{problem}");
    }

    #[tokio::test]
    async fn a_deadlock_is_retryable_and_an_ended_session_unavailable() {
        let (_database, pool) = shelf().await;
        let raise = async |code: &str| {
            let statement = format!("do $$ begin raise exception using errcode = '{code}'; end $$");
            sqlx::query(AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .unwrap_err()
        };
        for code in ["40001", "40P01"] {
            let error = raise(code).await;
            assert!(is_retryable(&error) && !is_unavailable(&error), "{code}");
        }
        for code in ["57P01", "57014", "53300", "08006"] {
            let error = raise(code).await;
            assert!(is_unavailable(&error) && !is_retryable(&error), "{code}");
        }
        pool.close().await;
        let closed = sqlx::query("select 1").execute(&pool).await.unwrap_err();
        assert!(is_unavailable(&closed));
    }

    #[tokio::test]
    async fn what_is_missing_is_said_in_one_line() {
        let database = TestDatabase::empty().await;
        let problem =
            async |url: &str, role: &str| connect(url, role, 1).await.unwrap_err().to_string();

        assert_eq!(
            problem(database.url(), "linli_nobody").await,
            "the database has no role linli_nobody: run `linli migrate` first"
        );
        let (_other, _pool) = shelf().await;
        assert_eq!(
            problem(database.url(), "linli_shelf").await,
            "the database has no schema shelf: run `linli migrate` first"
        );
        let absent = problem("postgres://u:secret@127.0.0.1:1/linli", "").await;
        assert!(
            absent.starts_with("can't reach the database at 127.0.0.1:1: "),
            "{absent}"
        );
        assert!(!absent.contains("secret"));
        let malformed = problem("mysql//secret", "").await;
        assert!(
            malformed.starts_with("DATABASE_URL is not like"),
            "{malformed}"
        );
        assert!(!malformed.contains("secret"));
    }

    #[tokio::test]
    async fn a_database_is_made_once() {
        let database = TestDatabase::empty().await;
        let url = database.url().replace("/test_", "/new_");
        let (one, two) = tokio::join!(create_database(&url), create_database(&url));
        assert_eq!((one, two), (Ok(()), Ok(())));
        connect(&url, "", 1).await.unwrap();
    }
}
