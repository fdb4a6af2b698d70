//! The contract `linli.ledger.v1` in front of the use cases: reads requests, renders answers, maps errors.

mod own;
mod parse;
mod proof;
mod render;
mod status;
mod stream;

use proto::ledger::v1::{
    self as pb,
    ledger_service_server::{LedgerService, LedgerServiceServer},
    proof_service_server::ProofServiceServer,
};
use runtime::{Access, Messages, Server, Stop, encode_page_token};
use tonic::{Request, Response, Status, Streaming, service::Routes};

use self::{render::Community, status::status};
use crate::Ledger;

/// The error domain of the ledger.
pub const DOMAIN: &str = "ledger.linli";
const NAME: &str = "linli.ledger.v1.LedgerService";
/// A batch of 8,190 transfers with long descriptions fits.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

type Answer<T> = Result<Response<T>, Status>;

struct Rpc(Ledger);

impl Ledger {
    /// The gRPC server in front of this ledger.
    pub fn server(&self) -> Server {
        let service = LedgerServiceServer::new(Rpc(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let proofs = ProofServiceServer::new(proof::ProofRpc(self.clone()));
        let routes = Routes::new(service).add_service(proofs);
        Server::new(NAME, routes, pb::DESCRIPTOR)
    }
}

#[tonic::async_trait]
impl LedgerService for Rpc {
    type StreamTransfersStream = Messages<pb::StreamTransfersResponse>;
    type WatchEntriesStream = Messages<pb::Entry>;

    async fn create_asset(&self, request: Request<pb::CreateAssetRequest>) -> Answer<pb::Asset> {
        let access = Access::of(&request);
        let (community, code, exponent) = parse::create_asset(&access, request.into_inner())?;
        let asset = self
            .0
            .create_asset(community, code, exponent)
            .await
            .map_err(status)?;
        Ok(Response::new(Community(community).asset(asset)))
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> Answer<pb::Account> {
        let access = Access::of(&request);
        let (community, definition) = parse::create_account(&access, request.into_inner())?;
        let account = self
            .0
            .create_account(community, definition)
            .await
            .map_err(status)?;
        Ok(Response::new(
            Community(community).account(account, self.0.now()),
        ))
    }

    async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Answer<pb::Account> {
        let access = Access::of(&request);
        let (community, id) = parse::account_name(&access, &request.into_inner().name)?;
        own::account(&self.0, &access, community, id).await?;
        let account = self.0.account(community, id).await.map_err(status)?;
        Ok(Response::new(
            Community(community).account(account, self.0.now()),
        ))
    }

    async fn get_account_balance(
        &self,
        request: Request<pb::GetAccountBalanceRequest>,
    ) -> Answer<pb::AccountBalance> {
        let access = Access::of(&request);
        let (community, account, point) = parse::account_balance(&access, request.get_ref())?;
        own::account(&self.0, &access, community, account).await?;
        let balance = self
            .0
            .account_balance(community, account, point)
            .await
            .map_err(status)?;
        let balance = Community(community).account_balance(account, balance);
        Ok(Response::new(balance))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Answer<pb::ListAccountsResponse> {
        let access = Access::of(&request);
        let (community, query, token_query) = parse::list_accounts(&access, &request.into_inner())?;
        let accounts = self.0.accounts(community, query).await.map_err(status)?;
        let last = last_of_full(&accounts, query.limit).map(|account| account.id().0);
        let now = self.0.now();
        let without_lots = |account| pb::Account {
            lots: vec![],
            ..Community(community).account(account, now)
        };
        Ok(Response::new(pb::ListAccountsResponse {
            next_page_token: last
                .map(|id| encode_page_token(&token_query, &id))
                .unwrap_or_default(),
            accounts: accounts.into_iter().map(without_lots).collect(),
        }))
    }

    async fn update_account_limits(
        &self,
        request: Request<pb::UpdateAccountLimitsRequest>,
    ) -> Answer<pb::Account> {
        let access = Access::of(&request);
        let (community, id, limits, revision) =
            parse::update_account_limits(&access, request.into_inner())?;
        let account = self
            .0
            .update_account_limits(community, id, limits, revision)
            .await
            .map_err(status)?;
        Ok(Response::new(
            Community(community).account(account, self.0.now()),
        ))
    }

    async fn post_transfers(
        &self,
        request: Request<pb::PostTransfersRequest>,
    ) -> Answer<pb::PostTransfersResponse> {
        let access = Access::of(&request);
        let (community, requests) = parse::post_transfers(&access, request.into_inner())?;
        let outcomes = self
            .0
            .post_transfers(community, requests)
            .await
            .map_err(status)?;
        let verdicts = outcomes
            .into_iter()
            .map(|outcome| Community(community).verdict(outcome))
            .collect();
        Ok(Response::new(pb::PostTransfersResponse { verdicts }))
    }

    async fn stream_transfers(
        &self,
        request: Request<Streaming<pb::StreamTransfersRequest>>,
    ) -> Answer<Self::StreamTransfersStream> {
        let access = Access::of(&request);
        let stop = Stop::of(&request);
        let verdicts = stream::transfers(self.0.clone(), request.into_inner(), access, stop);
        Ok(Response::new(verdicts))
    }

    async fn create_hold(&self, request: Request<pb::CreateHoldRequest>) -> Answer<pb::Hold> {
        let access = Access::of(&request);
        let (community, id, hold) = parse::create_hold(&access, request.into_inner())?;
        let hold = self
            .0
            .create_hold(community, id, hold)
            .await
            .map_err(status)?;
        Ok(Response::new(Community(community).hold(hold)))
    }

    async fn get_hold(&self, request: Request<pb::GetHoldRequest>) -> Answer<pb::Hold> {
        let access = Access::of(&request);
        let (community, hold) = parse::hold_name(&access, &request.into_inner().name)?;
        let hold = self.0.hold(community, hold).await.map_err(status)?;
        Ok(Response::new(Community(community).hold(hold)))
    }

    async fn capture_hold(
        &self,
        request: Request<pb::CaptureHoldRequest>,
    ) -> Answer<pb::CaptureHoldResponse> {
        let access = Access::of(&request);
        let (community, id, capture) = parse::capture_hold(&access, request.into_inner())?;
        let (hold, entry) = self
            .0
            .capture_hold(community, id, capture)
            .await
            .map_err(status)?;
        let render = Community(community);
        Ok(Response::new(pb::CaptureHoldResponse {
            hold: Some(render.hold(hold)),
            entry: Some(render.entry(entry)),
        }))
    }

    async fn release_hold(&self, request: Request<pb::ReleaseHoldRequest>) -> Answer<pb::Hold> {
        let access = Access::of(&request);
        let (community, id, release) = parse::release_hold(&access, &request.into_inner())?;
        let hold = self
            .0
            .release_hold(community, id, release)
            .await
            .map_err(status)?;
        Ok(Response::new(Community(community).hold(hold)))
    }

    async fn reverse_entry(&self, request: Request<pb::ReverseEntryRequest>) -> Answer<pb::Entry> {
        let access = Access::of(&request);
        let (community, id, reverse) = parse::reverse_entry(&access, request.into_inner())?;
        let entry = self
            .0
            .reverse_entry(community, id, reverse)
            .await
            .map_err(status)?;
        Ok(Response::new(Community(community).entry(entry)))
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Answer<pb::Entry> {
        let access = Access::of(&request);
        let (community, sequence) = parse::entry_name(&access, &request.into_inner().name)?;
        own::entry(&self.0, &access, community, sequence).await?;
        let entry = self.0.entry(community, sequence).await.map_err(status)?;
        let shown = own::hide(&self.0, &access, community, vec![entry]).await?;
        let entry = shown.into_iter().next().ok_or_else(runtime::internal)?;
        Ok(Response::new(Community(community).entry(entry)))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Answer<pb::ListEntriesResponse> {
        let access = Access::of(&request);
        let (community, search, token_query) = parse::list_entries(&access, request.get_ref())?;
        own::list_of(&self.0, &access, community, search.account).await?;
        let page = self
            .0
            .list_entries(community, &search)
            .await
            .map_err(status)?;
        let entries = own::hide(&self.0, &access, community, page.entries).await?;
        Ok(Response::new(pb::ListEntriesResponse {
            next_page_token: page
                .next
                .map(|next| encode_page_token(&token_query, &next))
                .unwrap_or_default(),
            entries: entries
                .into_iter()
                .map(|entry| Community(community).entry(entry))
                .collect(),
        }))
    }

    async fn watch_entries(
        &self,
        request: Request<pb::WatchEntriesRequest>,
    ) -> Answer<Self::WatchEntriesStream> {
        let access = Access::of(&request);
        let place = parse::watch_entries(&access, request.get_ref())?;
        let stop = Stop::of(&request);
        let entries = stream::entries(self.0.clone(), place, &access, stop);
        Ok(Response::new(entries))
    }

    async fn list_expiring_lots(
        &self,
        request: Request<pb::ListExpiringLotsRequest>,
    ) -> Answer<pb::ListExpiringLotsResponse> {
        let access = Access::of(&request);
        let (community, query, token_query) =
            parse::list_expiring_lots(&access, request.get_ref())?;
        own::list_of(&self.0, &access, community, query.account).await?;
        let lots = self
            .0
            .list_expiring_lots(community, &query)
            .await
            .map_err(status)?;
        let last = last_of_full(&lots, query.limit);
        Ok(Response::new(pb::ListExpiringLotsResponse {
            next_page_token: last
                .map(|lot| encode_page_token(&token_query, &(lot.expires_at, lot.account)))
                .unwrap_or_default(),
            lots: lots
                .into_iter()
                .map(|lot| Community(community).expiring_lot(lot))
                .collect(),
        }))
    }

    async fn list_expiry_schedule(
        &self,
        request: Request<pb::ListExpiryScheduleRequest>,
    ) -> Answer<pb::ListExpiryScheduleResponse> {
        let access = Access::of(&request);
        let (community, query, token_query) =
            parse::list_expiry_schedule(&access, request.get_ref())?;
        let sums = self
            .0
            .list_expiry_schedule(community, &query)
            .await
            .map_err(status)?;
        let last = last_of_full(&sums, query.limit);
        Ok(Response::new(pb::ListExpiryScheduleResponse {
            next_page_token: last
                .map(|sum| encode_page_token(&token_query, &(sum.expires_at, &sum.asset)))
                .unwrap_or_default(),
            expiries: sums.into_iter().map(render::scheduled_expiry).collect(),
        }))
    }

    async fn sweep_expired(
        &self,
        request: Request<pb::SweepExpiredRequest>,
    ) -> Answer<pb::SweepExpiredResponse> {
        let access = Access::of(&request);
        let community = parse::parent(&access, &request.into_inner().parent)?;
        let swept = self.0.sweep_expired(community).await.map_err(status)?;
        Ok(Response::new(pb::SweepExpiredResponse {
            expired_lots: swept.lots,
            expired_holds: swept.holds,
        }))
    }

    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Answer<pb::TrialBalance> {
        let access = Access::of(&request);
        let (community, programme) = parse::trial_balance(&access, &request.into_inner())?;
        let balance = self
            .0
            .trial_balance(community, programme)
            .await
            .map_err(status)?;
        Ok(Response::new(render::trial_balance(balance)))
    }
}

/// Where the next page begins: behind the last row, when there are as many as were asked for.
fn last_of_full<T>(rows: &[T], limit: i64) -> Option<&T> {
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    rows.last().filter(|_| full)
}
