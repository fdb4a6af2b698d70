//! Runs a command with `DATABASE_URL` set to a temporary database that has every migration of a folder applied:
//! `cargo run -p runtime --example with_postgres -- migrations -- cargo check`.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};
use runtime::Postgres;
use sqlx::{ConnectOptions, migrate::Migrator, postgres::PgConnectOptions};

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("with_postgres: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, dashes, program, rest @ ..] = arguments.as_slice() else {
        bail!("usage: with_postgres <migrations folder> -- <command> [argument…]");
    };
    if dashes != "--" {
        bail!("put -- between the migrations folder and the command");
    }
    let postgres = Postgres::temporary()?;
    let url = postgres.url("postgres");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(migrate(Path::new(folder), &url))?;
    let status = Command::new(program)
        .args(rest)
        .env("DATABASE_URL", &url)
        .status()
        .with_context(|| format!("can't run {program}"))?;
    // A command that a signal ended has no code of its own.
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

async fn migrate(folder: &Path, url: &str) -> anyhow::Result<()> {
    // Read now, not built in: this must work before anything that checks its queries compiles.
    let migrator = Migrator::new(folder).await?;
    let options: PgConnectOptions = url.parse()?;
    migrator.run(&mut options.connect().await?).await?;
    Ok(())
}
