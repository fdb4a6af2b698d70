//! What members show at counters.

use proto::redemption::v1::{
    self as red, member_code_service_client::MemberCodeServiceClient as Codes,
    offline_code_service_client::OfflineCodeServiceClient as OfflineCodes,
};
use runtime::{Bearer, Client, Holder, Role};
use tonic::Status;

use crate::{Member, Merchant, World, send};

impl World {
    /// A client of the codes with a token.
    pub fn codes(&self, token: &str) -> Codes<Client> {
        let channel = runtime::channel(&self.system.redemption.url()).unwrap();
        Codes::new(Client::new(channel, Some(Bearer::given(token).unwrap())))
    }

    /// The codes as staff reach them.
    pub fn code_desk(&self) -> Codes<Client> {
        self.codes(&self.token(&Holder::everywhere("STAFF01", [Role::Staff])))
    }

    /// The codes as a member's app reaches them.
    pub fn app(&self, member: &Member) -> Codes<Client> {
        let holder = Holder {
            resources: vec![member.name.clone()],
            ..Holder::everywhere("app", [Role::Member])
        };
        self.codes(&self.token(&holder))
    }

    /// The offline codes as a member's app reaches them.
    pub fn offline_app(&self, member: &Member) -> OfflineCodes<Client> {
        let holder = Holder {
            resources: vec![member.name.clone()],
            ..Holder::everywhere("app", [Role::Member])
        };
        self.offline_codes(&self.token(&holder))
    }

    /// A client of the offline codes with a token.
    pub fn offline_codes(&self, token: &str) -> OfflineCodes<Client> {
        let channel = runtime::channel(&self.system.redemption.url()).unwrap();
        OfflineCodes::new(Client::new(channel, Some(Bearer::given(token).unwrap())))
    }

    /// The request of an app that fetches offline codes.
    pub fn advance(
        &self,
        member: &Member,
        count: i32,
        points: i64,
    ) -> red::CreateOfflineCodesRequest {
        red::CreateOfflineCodesRequest {
            parent: member.name.clone(),
            programme: self.programme_name(),
            count,
            points,
            request_id: self.id(),
        }
    }

    /// Offline codes of a member.
    pub async fn fetch(&self, member: &Member, count: i32, points: i64) -> Vec<red::OfflineCode> {
        let message = self.advance(member, count, points);
        let made = send!(self.offline_app(member), create_offline_codes, message);
        made.unwrap().codes
    }

    /// The request of a till that forwards a sale which it has just made.
    pub fn forwarding(
        &self,
        code: &str,
        offer: &red::Offer,
        quantity: i64,
    ) -> red::SubmitOfflineRedemptionRequest {
        red::SubmitOfflineRedemptionRequest {
            parent: self.community_name(),
            request_id: self.id(),
            code: code.to_owned(),
            offer: offer.name.clone(),
            quantity,
            redeem_time: Some(runtime::timestamp(self.clock.now())),
        }
    }

    /// Forwards a sale, as staff.
    pub async fn forward(
        &self,
        sale: red::SubmitOfflineRedemptionRequest,
    ) -> Result<red::Redemption, Status> {
        let desk = self.token(&Holder::everywhere("STAFF01", [Role::Staff]));
        send!(self.offline_codes(&desk), submit_offline_redemption, sale)
    }

    /// What a member's app shows.
    pub async fn code(&self, member: &Member) -> red::MemberCode {
        let message = red::CreateMemberCodeRequest {
            parent: member.name.clone(),
            request_id: self.id(),
        };
        send!(self.app(member), create_member_code, message).unwrap()
    }

    /// The request of a till where a code is scanned.
    pub fn scan(&self, merchant: &Merchant, code: &str) -> red::ResolveMemberCodeRequest {
        red::ResolveMemberCodeRequest {
            parent: self.community_name(),
            merchant: merchant.name.clone(),
            code: code.to_owned(),
            pin: String::new(),
            request_id: self.id(),
        }
    }

    /// Resolves what was scanned, as staff.
    pub async fn resolve(
        &self,
        scan: red::ResolveMemberCodeRequest,
    ) -> Result<red::ResolveMemberCodeResponse, Status> {
        send!(self.code_desk(), resolve_member_code, scan)
    }

    /// A handle of a member at a merchant.
    pub async fn handle(&self, member: &Member, merchant: &Merchant) -> String {
        let code = self.code(member).await.code;
        let resolved = self.resolve(self.scan(merchant, &code)).await.unwrap();
        resolved.handle.unwrap().name
    }

    /// Makes a member's card.
    pub async fn card(&self, member: &Member) -> red::CreateMemberCardResponse {
        let message = red::CreateMemberCardRequest {
            parent: member.name.clone(),
            request_id: self.id(),
        };
        send!(self.code_desk(), create_member_card, message).unwrap()
    }
}
