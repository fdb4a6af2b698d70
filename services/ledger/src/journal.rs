//! Use cases that write to the journal or read it.

use crate::{
    Error, Ledger,
    domain::{
        CaptureHold, Command, CommunityId, CreateHold, Entry, Hold, Refusal, ReleaseHold, Request,
        RequestId, ReverseEntry,
    },
    engine::Outcome,
    store::{self, EntryQuery},
};

impl Ledger {
    /// Posts transfers, each with an outcome of its own.
    pub async fn post_transfers(
        &self,
        community: CommunityId,
        requests: Vec<Request>,
    ) -> Result<Vec<Outcome>, Error> {
        self.engine.post(community, requests).await
    }

    /// Reserves an amount.
    pub async fn create_hold(
        &self,
        community: CommunityId,
        id: RequestId,
        hold: CreateHold,
    ) -> Result<Hold, Error> {
        let (entry, _) = self
            .post_one(community, id, Command::CreateHold(hold))
            .await?;
        let made = Hold::as_made(&entry);
        Ok(made.ok_or(Refusal::HoldNotFound { hold: id.0 })?)
    }

    /// Moves what is reserved, or a part of it.
    pub async fn capture_hold(
        &self,
        community: CommunityId,
        id: RequestId,
        capture: CaptureHold,
    ) -> Result<(Hold, Entry), Error> {
        let of = capture.hold;
        let (entry, hold) = self
            .post_one(community, id, Command::CaptureHold(capture))
            .await?;
        let hold = match hold {
            Some(hold) => hold,
            None => self.hold_as_answered(community, of, entry.sequence).await?,
        };
        Ok((hold, entry))
    }

    /// Gives back what is still reserved.
    pub async fn release_hold(
        &self,
        community: CommunityId,
        id: RequestId,
        release: ReleaseHold,
    ) -> Result<Hold, Error> {
        let of = release.hold;
        let (entry, hold) = self
            .post_one(community, id, Command::ReleaseHold(release))
            .await?;
        match hold {
            Some(hold) => Ok(hold),
            None => self.hold_as_answered(community, of, entry.sequence).await,
        }
    }

    /// Undoes a transfer or a capture, wholly or in part.
    pub async fn reverse_entry(
        &self,
        community: CommunityId,
        id: RequestId,
        reverse: ReverseEntry,
    ) -> Result<Entry, Error> {
        let command = Command::ReverseEntry(reverse);
        let (entry, _) = self.post_one(community, id, command).await?;
        Ok(entry)
    }

    /// A hold as it stands.
    pub async fn hold(&self, community: CommunityId, id: RequestId) -> Result<Hold, Error> {
        let mut tx = self.snapshot().await?;
        let hold = store::hold_find(&mut tx, community, id).await?;
        Ok(hold.ok_or(Refusal::HoldNotFound { hold: id.0 })?)
    }

    /// One entry.
    pub async fn entry(&self, community: CommunityId, sequence: i64) -> Result<Entry, Error> {
        let entry = self.find_entry(community, sequence).await?;
        Ok(entry.ok_or(Refusal::EntryNotFound { sequence })?)
    }

    /// One entry, if it is there.
    pub async fn find_entry(
        &self,
        community: CommunityId,
        sequence: i64,
    ) -> Result<Option<Entry>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::entry_find(&mut tx, community, sequence).await?)
    }

    /// Entries by sequence.
    pub async fn entries(
        &self,
        community: CommunityId,
        query: EntryQuery,
    ) -> Result<Vec<Entry>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::entry_list(&mut tx, community, query).await?)
    }

    async fn post_one(
        &self,
        community: CommunityId,
        id: RequestId,
        command: Command,
    ) -> Result<(Entry, Option<Hold>), Error> {
        let request = Request::new(id, false, command);
        self.engine.post_one(community, request).await
    }

    /// The hold as an earlier request that posted `sequence` left it. It needs no snapshot: all that it reads is as it was then.
    async fn hold_as_answered(
        &self,
        community: CommunityId,
        hold: RequestId,
        sequence: i64,
    ) -> Result<Hold, Error> {
        let mut conn = self.pool.acquire().await?;
        let recorded = store::hold_recorded(&mut conn, community, hold).await?;
        let not_found = Refusal::HoldNotFound { hold: hold.0 };
        Ok(recorded.ok_or(not_found)?.as_answered(sequence))
    }

    /// A transaction in which every statement sees the same state.
    pub(crate) async fn snapshot(
        &self,
    ) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
        Ok(self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?)
    }
}
