//! Rows for `COPY … FROM STDIN (FORMAT binary)`: the cheapest way into a table, for rows are neither planned nor kept twice on
//! the way. The format is in PostgreSQL's documentation of COPY under "Binary Format"; the values are encoded by sqlx.

use std::time::Instant;

use sqlx::{Encode, PgConnection, Postgres, encode::IsNull, postgres::PgArgumentBuffer};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// No flags, and no bytes more of a header.
const HEADER: [u8; 8] = [0; 8];
const NULL: i32 = -1;
const END: i16 = -1;

/// Rows on their way into a table.
pub(super) struct CopyRows {
    columns: i16,
    bytes: PgArgumentBuffer,
}

impl CopyRows {
    /// No rows yet, each of which is going to have so many columns.
    pub(super) fn new(columns: i16) -> Self {
        let mut bytes = PgArgumentBuffer::default();
        bytes.extend(SIGNATURE);
        bytes.extend(HEADER);
        Self { columns, bytes }
    }

    /// Begins a row; all its columns follow.
    pub(super) fn row(&mut self) -> &mut Self {
        self.bytes.extend(self.columns.to_be_bytes());
        self
    }

    /// Adds a column to the row.
    pub(super) fn column<'q>(
        &mut self,
        value: impl Encode<'q, Postgres>,
    ) -> sqlx::Result<&mut Self> {
        let start = self.bytes.len();
        self.bytes.extend(NULL.to_be_bytes());
        let encoded = value.encode(&mut self.bytes);
        if let IsNull::No = encoded.map_err(sqlx::Error::Encode)? {
            let length = i32::try_from(self.bytes.len() - start - 4)
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(self)
    }

    /// Sends the rows with a `COPY` statement.
    pub(super) async fn send(
        mut self,
        conn: &mut PgConnection,
        statement: &'static str,
    ) -> sqlx::Result<()> {
        self.bytes.extend(END.to_be_bytes());
        let started = Instant::now();
        let mut copy = conn.copy_in_raw(statement).await?;
        copy.send(&self.bytes[..]).await?;
        let rows_affected = copy.finish().await?;
        // As sqlx logs every other statement.
        let (summary, elapsed) = (statement.trim(), started.elapsed());
        tracing::debug!(target: "sqlx::query", summary, rows_affected, ?elapsed);
        Ok(())
    }
}
