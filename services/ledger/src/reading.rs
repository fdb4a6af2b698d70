//! Use cases about the past and the future: balances at a point, statements with filters, what expires when.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Error, Ledger,
    domain::{AccountId, CommunityId, EntryKind, Refusal},
    store::{self, EntryPage, ExpiringLot, LotQuery, ScheduleQuery, ScheduledExpiry, Span},
};

/// A point of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After the entry with this sequence.
    Sequence(i64),
    /// After the last entry that was posted at or before this instant.
    Time(DateTime<Utc>),
}

/// What an account had at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// Credits less debits.
    pub balance: i64,
    /// The journal's last sequence at or before the point; 0 when there is none.
    pub sequence: i64,
    /// The last entry up to there that changed the account; 0 when there is none.
    pub last_sequence: i64,
}

/// Which entries to list, a page at a time.
#[derive(Clone, Debug)]
pub struct EntrySearch {
    /// Only those that changed it.
    pub account: Option<AccountId>,
    /// Only of these kinds; all when there is none.
    pub kinds: Vec<EntryKind>,
    /// Only those that were posted at this instant or later.
    pub start: Option<DateTime<Utc>>,
    /// Only those that were posted earlier.
    pub end: Option<DateTime<Utc>>,
    /// Only those with a greater sequence.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

impl Ledger {
    /// What an account had at a point of the past.
    pub async fn account_balance(
        &self,
        community: CommunityId,
        account: AccountId,
        point: Point,
    ) -> Result<AccountBalance, Error> {
        let mut tx = self.snapshot().await?;
        let not_found = Refusal::AccountNotFound { account };
        store::account_find(&mut tx, community, account)
            .await?
            .ok_or(not_found)?;
        let sequence = match point {
            Point::Sequence(sequence) => {
                sequence.min(store::journal_sequence(&mut tx, community).await?)
            }
            Point::Time(at) => store::journal_sequence_at(&mut tx, community, at).await?,
        };
        let (balance, last_sequence) =
            store::balance_at(&mut tx, community, account, sequence).await?;
        Ok(AccountBalance {
            balance,
            sequence,
            last_sequence,
        })
    }

    /// A page of entries. It may be short, even empty, and still not the last.
    pub async fn list_entries(
        &self,
        community: CommunityId,
        search: &EntrySearch,
    ) -> Result<EntryPage, Error> {
        let mut tx = self.snapshot().await?;
        // The journal keeps microseconds, so the last entry before an instant is the last one up to a microsecond earlier.
        let before = |at: DateTime<Utc>| at - TimeDelta::microseconds(1);
        let first = match search.start {
            Some(start) => store::journal_sequence_at(&mut tx, community, before(start)).await?,
            None => 0,
        };
        let last = match search.end {
            Some(end) => store::journal_sequence_at(&mut tx, community, before(end)).await?,
            None => store::journal_sequence(&mut tx, community).await?,
        };
        let span = Span {
            after: search.after.max(first),
            last,
        };
        let EntrySearch {
            account,
            ref kinds,
            limit,
            ..
        } = *search;
        Ok(store::entry_page(&mut tx, community, account, span, kinds, limit).await?)
    }

    /// Lots that will expire, by expiry and account.
    pub async fn list_expiring_lots(
        &self,
        community: CommunityId,
        query: &LotQuery,
    ) -> Result<Vec<ExpiringLot>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::lot_list(&mut tx, community, self.clock.now(), query).await?)
    }

    /// What will expire, summed by expiry and asset.
    pub async fn list_expiry_schedule(
        &self,
        community: CommunityId,
        query: &ScheduleQuery,
    ) -> Result<Vec<ScheduledExpiry>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::expiry_schedule(&mut tx, community, self.clock.now(), query).await?)
    }
}
