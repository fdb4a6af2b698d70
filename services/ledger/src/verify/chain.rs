//! The chains of definitions and refusals, held against every checkpoint.

use sqlx::PgConnection;

use super::{PAGE, Report};
use crate::{
    Error,
    proof::note::ChainHead,
    store::{self, CheckpointRow},
};

/// Follows a chain from checkpoint to checkpoint.
pub struct Chain {
    table: &'static str,
    /// What a checkpoint says of this chain.
    said: fn(&CheckpointRow) -> (i64, &[u8]),
    pub head: ChainHead,
    /// The last record under the checkpoint before.
    covered: i64,
    checkpoints: Vec<CheckpointRow>,
    after: i64,
}

impl Chain {
    pub fn new(table: &'static str, said: fn(&CheckpointRow) -> (i64, &[u8])) -> Self {
        let head = ChainHead::default();
        Self {
            table,
            said,
            head,
            covered: 0,
            checkpoints: Vec::new(),
            after: 0,
        }
    }

    /// Compares with the checkpoints that cover just what came so far.
    pub async fn compare(
        &mut self,
        conn: &mut PgConnection,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        loop {
            if self.checkpoints.is_empty() {
                let next =
                    store::checkpoints_after(conn, report.community, self.after, PAGE).await?;
                self.checkpoints = next;
                self.checkpoints.reverse();
            }
            let Some(next) = self.checkpoints.last() else {
                return Ok(());
            };
            let (count, hash) = (self.said)(next);
            if count > self.head.count {
                return Ok(());
            }
            if count == self.head.count && hash != self.head.hash {
                let key = format!("{} to {count}", self.covered + 1);
                let what = format!("the hash of checkpoint {}", next.number);
                report.differs(self.table, key, &what, hex(hash), hex(&self.head.hash));
                if let Ok(hash) = hash.try_into() {
                    self.head.hash = hash;
                }
            }
            self.covered = count;
            self.after = next.number;
            self.checkpoints.pop();
        }
    }

    /// Takes in the next record.
    pub async fn push(
        &mut self,
        conn: &mut PgConnection,
        number: i64,
        record: &[u8],
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        while self.head.count + 1 < number {
            report.missing(self.table, self.head.count + 1);
            self.head.push(&[]);
        }
        if number <= self.head.count {
            report.unexpected(self.table, number);
            return Ok(());
        }
        self.head.push(record);
        self.compare(conn, report).await
    }

    pub fn end(&self, report: &mut Report<'_>) {
        if let Some(next) = self.checkpoints.last() {
            let (count, _) = (self.said)(next);
            let key = format!("{} to {count}", self.head.count + 1);
            report.missing(self.table, key);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
