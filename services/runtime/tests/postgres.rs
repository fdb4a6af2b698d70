//! Private clusters, with real processes: what a person at the keyboard does to them.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use runtime::{Durability, Postgres};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

/// Set for the process that `a_killed_owner_takes_postgres_along` starts.
const HOLD: &str = "LINLI_TEST_HOLD";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Folders below must be open to Postgres, which may run as another user.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn run(url: &str, statement: &'static str) -> i64 {
    let options: PgConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    sqlx::query_scalar(statement)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

const ANSWER: &str = "select count(*) from pg_database";

#[tokio::test]
async fn a_second_start_keeps_what_the_first_has_stored() {
    let folder = folder();
    let first = Postgres::start(folder.path(), Durability::Durable).unwrap();
    let url = first.url("kept");
    runtime::create_database(&url).await.unwrap();
    first.stop();

    let second = Postgres::start(folder.path(), Durability::Durable).unwrap();

    assert_eq!(second.url("kept"), url);
    assert_eq!(
        run(
            &url,
            "select count(*) from pg_database where datname = 'kept'"
        )
        .await,
        1
    );
    second.stop();
    let left = fs::read_dir(folder.path().join("run")).unwrap().count();
    assert_eq!(left, 0, "no socket is left");
}

#[test]
fn a_folder_in_use_names_the_process() {
    let folder = folder();
    let _first = Postgres::start(folder.path(), Durability::Throwaway).unwrap();
    let problem = Postgres::start(folder.path(), Durability::Throwaway)
        .unwrap_err()
        .to_string();
    let expected = format!("is in use by process {}", std::process::id());
    assert!(problem.contains(&expected), "{problem}");
}

#[tokio::test]
async fn any_path_will_do() {
    let folder = folder();
    let dir = folder
        .path()
        .join("data of 100% & 邻里")
        .join("x".repeat(90));
    let postgres = Postgres::start(&dir, Durability::Throwaway).unwrap();
    assert!(run(&postgres.url("postgres"), ANSWER).await > 0);
    let short = folder.path().join("a b&c%");
    let postgres = Postgres::start(&short, Durability::Throwaway).unwrap();
    assert!(run(&postgres.url("postgres"), ANSWER).await > 0);
}

#[test]
fn a_closed_folder_on_the_way_is_named() {
    let folder = folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let dir = closed.join("data");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();

    let problem = Postgres::start(&dir, Durability::Throwaway)
        .unwrap_err()
        .to_string();

    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(problem.contains("closed"), "{problem}");
}

#[test]
fn a_start_that_fails_gives_postgres_own_reason() {
    let folder = folder();
    Postgres::start(folder.path(), Durability::Throwaway)
        .unwrap()
        .stop();
    fs::write(
        folder.path().join("data/postgresql.conf"),
        "max_connections = many\n",
    )
    .unwrap();
    let problem = Postgres::start(folder.path(), Durability::Throwaway)
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("PostgreSQL did not start: "),
        "{problem}"
    );
    assert!(problem.contains("FATAL:"), "{problem}");
}

#[test]
fn data_of_another_version_is_left_alone() {
    let folder = folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/PG_VERSION"), "9\n").unwrap();
    let problem = Postgres::start(folder.path(), Durability::Throwaway)
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("the data folder was made by PostgreSQL 9"),
        "{problem}"
    );
}

#[test]
fn a_new_folder_that_only_we_may_enter_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    Postgres::start(folder.path(), Durability::Throwaway)
        .unwrap()
        .stop();
}

#[test]
fn a_temporary_cluster_leaves_nothing() {
    let postgres = Postgres::temporary().unwrap();
    let url = postgres.url("postgres");
    let run = url.split_once("?host=").unwrap().1.to_owned();
    let dir = Path::new(&run).parent().unwrap().to_owned();
    assert!(dir.exists());
    postgres.stop();
    assert!(!dir.exists());
}

#[test]
fn a_thread_that_started_postgres_may_end() {
    let postgres = std::thread::spawn(|| Postgres::temporary().unwrap())
        .join()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert!(runtime.block_on(run(&postgres.url("postgres"), ANSWER)) > 0);
}

#[tokio::test]
async fn a_killed_owner_takes_postgres_along_and_the_next_start_recovers() {
    let folder = folder();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_cluster_when_asked_to"])
        .env(HOLD, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !folder.path().join("held").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the owner does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }

    owner.kill().unwrap();
    owner.wait().unwrap();
    let postgres = Postgres::start(folder.path(), Durability::Durable).unwrap();

    let url = postgres.url("postgres");
    assert_eq!(
        run(
            &url,
            "select count(*) from pg_database where datname = 'kept'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn holds_a_cluster_when_asked_to() {
    let Some(dir) = std::env::var_os(HOLD) else {
        return;
    };
    let dir = Path::new(&dir);
    let postgres = Postgres::start(dir, Durability::Durable).unwrap();
    runtime::create_database(&postgres.url("kept"))
        .await
        .unwrap();
    fs::write(dir.join("held"), "").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}
