//! What a figure costs besides time: log and tables written, statements, memory.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use runtime::Problem;
use sqlx::{PgConnection, query_as, query_scalar};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// Where sqlx logs each statement.
const STATEMENTS: &str = "sqlx::query";

/// Counts the statements of this process as sqlx logs them.
#[derive(Debug, Clone, Default)]
pub struct Statements(Arc<AtomicU64>);

impl Statements {
    /// Starts to count, and to log what a service logs in production.
    pub fn count() -> Self {
        let statements = Self::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        // Spans are made as in production; lines are not, for nobody waits for them.
        let ours = ["linli", "runtime", "ledger", "activity", "redemption"];
        let spans = Targets::new()
            .with_targets(ours.map(|name| (name, LevelFilter::INFO)))
            .with_target(STATEMENTS, LevelFilter::DEBUG);
        // An error means that somebody was first: then nothing is counted.
        let _ = tracing_subscriber::registry()
            .with(statements.clone().with_filter(spans))
            .with(lines.with_filter(LevelFilter::WARN))
            .try_init();
        statements
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == STATEMENTS {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What was written up to an instant, and what is written between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of the write-ahead log, whoever wrote it.
    pub wal_bytes: i64,
    /// Of the ledger's tables with their indexes.
    pub table_bytes: i64,
    /// Of the ledger: how many.
    pub statements: i64,
}

impl Reading {
    /// What it is now.
    pub async fn take(
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<Self, Problem> {
        let sizes: (i64, i64) = query_as(
            r#"
            -- bench.reading_take
            select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, sum(pg_total_relation_size(oid))::bigint
            from pg_class where relnamespace = 'ledger'::regnamespace and relkind = 'r'
            "#,
        )
        .fetch_one(connection)
        .await
        .map_err(database)?;
        Ok(Self {
            wal_bytes: sizes.0,
            table_bytes: sizes.1,
            statements: i64::try_from(statements.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
        })
    }

    /// What came since an earlier one.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            wal_bytes: self.wal_bytes - earlier.wal_bytes,
            table_bytes: self.table_bytes - earlier.table_bytes,
            statements: self.statements - earlier.statements,
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            wal_bytes: self.wal_bytes + other.wal_bytes,
            table_bytes: self.table_bytes + other.table_bytes,
            statements: self.statements + other.statements,
        }
    }
}

/// The server's version, and which of its settings are not its own. Refuses one that could lose what it has committed.
pub async fn settings(connection: &mut PgConnection) -> Result<(String, Vec<String>), Problem> {
    let safe: bool = query_scalar(
        r#"
        -- bench.settings_are_safe
        select bool_and(setting = 'on') from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')
        "#,
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(database)?;
    if !safe {
        return Err(Problem::new(
            "the private PostgreSQL could lose commits: its figures would mean nothing",
        ));
    }
    let version: String = query_scalar("show server_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(database)?;
    let changed = query_scalar(
        r#"
        -- bench.settings_changed
        select name || '=' || setting from pg_settings
        where source = 'command line' and setting is distinct from boot_val order by name
        "#,
    )
    .fetch_all(connection)
    .await
    .map_err(database)?;
    Ok((version, changed))
}

/// How much memory this process has, the service and its callers, in MB; 0 where that can't be seen.
pub fn memory_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident_kb(&status).unwrap_or(0) / 1024
}

fn resident_kb(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// An error of the benchmark's own statements.
pub fn database(error: sqlx::Error) -> Problem {
    Problem::new(format!(
        "the private PostgreSQL does not do its part: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_the_process() {
        let status = "Name:\tlinli\nVmHWM:\t  900000 kB\nVmRSS:\t  204800 kB\nThreads:\t9\n";
        assert_eq!(resident_kb(status), Some(204_800));
        assert_eq!(resident_kb("Name:\tlinli\n"), None);
    }

    #[test]
    fn readings_subtract_and_add() {
        let reading = |number| Reading {
            wal_bytes: number,
            table_bytes: 2 * number,
            statements: 3 * number,
        };
        assert_eq!(reading(7).since(reading(2)), reading(5));
        assert_eq!(reading(7).plus(reading(2)), reading(9));
    }
}
