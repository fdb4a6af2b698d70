//! The contract `linli.redemption.v1`: requests into values, values into answers, errors into statuses. It decides nothing.

mod audit;
mod event;
mod keys;
mod member_code;
mod merchant;
mod offer;
mod offline_code;
mod own;
mod read;
mod redemption;
mod settlement;
mod sheet;
mod status;
mod terminal;

#[cfg(test)]
mod tests;

use proto::redemption::v1::{
    self as pb, DESCRIPTOR,
    member_code_service_server::MemberCodeServiceServer,
    offline_code_service_server::OfflineCodeServiceServer,
    redemption_event_service_server::RedemptionEventServiceServer,
    redemption_service_server::{RedemptionService, RedemptionServiceServer},
    settlement_service_server::SettlementServiceServer,
    terminal_service_server::TerminalServiceServer,
};
use runtime::{Access, Deadline, Server};
use tonic::{Request, Response, Status, service::Routes};

use self::{
    event::EventRpc, member_code::MemberCodeRpc, offline_code::OfflineCodeRpc,
    settlement::SettlementRpc, terminal::TerminalRpc,
};
use crate::Redemption;

impl Redemption {
    /// Makes the gRPC server of this service.
    pub fn server(&self) -> Server {
        let terminals = TerminalServiceServer::new(TerminalRpc(self.clone()));
        let routes = Routes::new(RedemptionServiceServer::new(Rpc(self.clone())));
        let codes = MemberCodeServiceServer::new(MemberCodeRpc(self.clone()));
        let routes = routes.add_service(terminals).add_service(codes);
        let codes = OfflineCodeServiceServer::new(OfflineCodeRpc(self.clone()));
        let routes = routes.add_service(codes);
        let settlements = SettlementServiceServer::new(SettlementRpc::new(self.clone()));
        let events = RedemptionEventServiceServer::new(EventRpc(self.clone()));
        let routes = routes.add_service(settlements).add_service(events);
        let name = "linli.redemption.v1.RedemptionService";
        Server::new(name, routes, DESCRIPTOR).with_keys(keys::keys(self.clone()))
    }
}

/// The service as the contract names it.
struct Rpc(Redemption);

#[tonic::async_trait]
impl RedemptionService for Rpc {
    async fn create_merchant(
        &self,
        request: Request<pb::CreateMerchantRequest>,
    ) -> Result<Response<pb::Merchant>, Status> {
        let access = Access::of(&request);
        let answer = merchant::create(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_merchant(
        &self,
        request: Request<pb::GetMerchantRequest>,
    ) -> Result<Response<pb::Merchant>, Status> {
        let access = Access::of(&request);
        let answer = merchant::get(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_merchants(
        &self,
        request: Request<pb::ListMerchantsRequest>,
    ) -> Result<Response<pb::ListMerchantsResponse>, Status> {
        let access = Access::of(&request);
        let answer = merchant::list(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn suspend_merchant(
        &self,
        request: Request<pb::SuspendMerchantRequest>,
    ) -> Result<Response<pb::Merchant>, Status> {
        let access = Access::of(&request);
        let answer = merchant::suspend(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn resume_merchant(
        &self,
        request: Request<pb::ResumeMerchantRequest>,
    ) -> Result<Response<pb::Merchant>, Status> {
        let access = Access::of(&request);
        let answer = merchant::resume(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn terminate_merchant(
        &self,
        request: Request<pb::TerminateMerchantRequest>,
    ) -> Result<Response<pb::Merchant>, Status> {
        let access = Access::of(&request);
        let answer = merchant::terminate(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn create_agreement(
        &self,
        request: Request<pb::CreateAgreementRequest>,
    ) -> Result<Response<pb::Agreement>, Status> {
        let access = Access::of(&request);
        let answer = merchant::create_agreement(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_agreements(
        &self,
        request: Request<pb::ListAgreementsRequest>,
    ) -> Result<Response<pb::ListAgreementsResponse>, Status> {
        let access = Access::of(&request);
        let answer = merchant::list_agreements(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_merchant_summary(
        &self,
        request: Request<pb::GetMerchantSummaryRequest>,
    ) -> Result<Response<pb::MerchantSummary>, Status> {
        let access = Access::of(&request);
        let answer = merchant::summary(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn create_offer(
        &self,
        request: Request<pb::CreateOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = offer::create(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn get_offer(
        &self,
        request: Request<pb::GetOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::get(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_offers(
        &self,
        request: Request<pb::ListOffersRequest>,
    ) -> Result<Response<pb::ListOffersResponse>, Status> {
        let access = Access::of(&request);
        let answer = offer::list(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn submit_offer(
        &self,
        request: Request<pb::SubmitOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::submit(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn return_offer(
        &self,
        request: Request<pb::ReturnOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::send_back(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn activate_offer(
        &self,
        request: Request<pb::ActivateOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::activate(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn pause_offer(
        &self,
        request: Request<pb::PauseOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::pause(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn resume_offer(
        &self,
        request: Request<pb::ResumeOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::resume(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn end_offer(
        &self,
        request: Request<pb::EndOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::end(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn revise_offer(
        &self,
        request: Request<pb::ReviseOfferRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::revise(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn adjust_offer_stock(
        &self,
        request: Request<pb::AdjustOfferStockRequest>,
    ) -> Result<Response<pb::Offer>, Status> {
        let access = Access::of(&request);
        let answer = offer::adjust_stock(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn hold_redemption(
        &self,
        request: Request<pb::HoldRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::hold(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn capture_redemption(
        &self,
        request: Request<pb::CaptureRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::capture(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn release_redemption(
        &self,
        request: Request<pb::ReleaseRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::release(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn redeem(
        &self,
        request: Request<pb::RedeemRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::redeem(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn reverse_redemption(
        &self,
        request: Request<pb::ReverseRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::reverse(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn cancel_redemption_by_request_id(
        &self,
        request: Request<pb::CancelRedemptionByRequestIdRequest>,
    ) -> Result<Response<pb::CancelRedemptionByRequestIdResponse>, Status> {
        let access = Access::of(&request);
        let deadline = Deadline::of(&request);
        let answer = redemption::cancel(&self.0, &access, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn get_redemption(
        &self,
        request: Request<pb::GetRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = Access::of(&request);
        let answer = redemption::get(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_redemptions(
        &self,
        request: Request<pb::ListRedemptionsRequest>,
    ) -> Result<Response<pb::ListRedemptionsResponse>, Status> {
        let access = Access::of(&request);
        let answer = redemption::list(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let access = Access::of(&request);
        let answer = audit::list(&self.0, &access, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
