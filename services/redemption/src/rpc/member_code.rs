//! Requests about member codes and cards.

use proto::redemption::v1::{self as pb, member_code_service_server::MemberCodeService};
use qrcode::{QrCode, render::svg};
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::{Request, Response, Status};

use super::{
    merchant::MERCHANTS,
    offer::OFFERS,
    own,
    read::{self, Asked, MEMBERS, fields},
    status::{self, DOMAIN},
    terminal::{TERMINALS, name},
};
use crate::{
    Presented, Redemption, Resolved, Usable,
    domain::{Card, CardState, MemberCode, Pin, Shown},
};

pub(super) const HANDLES: &str = "memberHandles";
const CARDS: &str = "memberCards";

/// Codes and cards, as the contract names them.
pub(super) struct MemberCodeRpc(pub Redemption);

#[tonic::async_trait]
impl MemberCodeService for MemberCodeRpc {
    async fn create_member_code(
        &self,
        request: Request<pb::CreateMemberCodeRequest>,
    ) -> Result<Response<pb::MemberCode>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let member = read::name(&mut fields, "parent", &request.parent, MEMBERS);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::member(access, member)?;
        let counted = self.0.counters.member_code(member.id);
        counted.map_err(|wait| runtime::rate_limited(DOMAIN, "member", wait))?;
        let about = (member.community, &request.parent[..]);
        let call = read::call(access, about, request_id, "CreateMemberCode", &request);
        let (code, expires_at) = self.0.create_member_code(call, member).await?;
        Ok(Response::new(pb::MemberCode {
            qr_svg: qr_svg(&code.to_string()),
            code: code.to_string(),
            expire_time: Some(timestamp(expires_at)),
        }))
    }

    async fn resolve_member_code(
        &self,
        request: Request<pb::ResolveMemberCodeRequest>,
    ) -> Result<Response<pb::ResolveMemberCodeResponse>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let mut request = request.into_inner();
        let mut fields = fields(access);
        let community = read::parent(&mut fields, &request.parent);
        let field = "merchant";
        let merchant =
            read::name_within(&mut fields, community, field, &request.merchant, MERCHANTS);
        let merchant = crate::domain::Name {
            community,
            id: merchant,
        };
        let presented = read_presented(&mut fields, &request.code, &request.pin);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::merchant(access, merchant)?;
        let presented = presented.ok_or_else(runtime::internal)?;
        let till = access.only(community, TERMINALS).unwrap_or(merchant.id);
        if let Err(wait) = self.0.counters.resolving(till) {
            tracing::warn!(till = %till, "Many member codes are tried at till {till}");
            return Err(runtime::rate_limited(DOMAIN, "till", wait));
        }
        // Nothing is kept from which a PIN could be guessed.
        request.pin.clear();
        let about = (community, &request.parent[..]);
        let call = read::call(access, about, request_id, "ResolveMemberCode", &request);
        let resolved = self
            .0
            .resolve_member_code(call, merchant, presented, deadline)
            .await?;
        Ok(Response::new(resolved_message(resolved)))
    }

    async fn create_member_card(
        &self,
        request: Request<pb::CreateMemberCardRequest>,
    ) -> Result<Response<pb::CreateMemberCardResponse>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let member = read::name(&mut fields, "parent", &request.parent, MEMBERS);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let about = (member.community, &request.parent[..]);
        let call = read::call(access, about, request_id, "CreateMemberCard", &request);
        let (card, number, pin) = self.0.create_member_card(call, member, deadline).await?;
        Ok(Response::new(pb::CreateMemberCardResponse {
            card: Some(card_message(card)),
            qr_svg: qr_svg(&number.to_string()),
            number: number.to_string(),
            pin: pin.to_string(),
        }))
    }

    async fn reset_member_card_pin(
        &self,
        request: Request<pb::ResetMemberCardPinRequest>,
    ) -> Result<Response<pb::ResetMemberCardPinResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let card = read::name(&mut fields, "name", &request.name, CARDS);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let about = (card.community, &request.name[..]);
        let call = read::call(access, about, request_id, "ResetMemberCardPin", &request);
        let pin = self.0.reset_member_card_pin(call, card).await?.to_string();
        Ok(Response::new(pb::ResetMemberCardPinResponse { pin }))
    }

    async fn revoke_member_card(
        &self,
        request: Request<pb::RevokeMemberCardRequest>,
    ) -> Result<Response<pb::MemberCard>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let card = read::name(&mut fields, "name", &request.name, CARDS);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::member_card(&self.0, access, card).await?;
        let about = (card.community, &request.name[..]);
        let call = read::call(access, about, request_id, "RevokeMemberCard", &request);
        let revoked = self.0.revoke_member_card(call, card).await?;
        Ok(Response::new(card_message(revoked)))
    }

    async fn list_member_cards(
        &self,
        request: Request<pb::ListMemberCardsRequest>,
    ) -> Result<Response<pb::ListMemberCardsResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let member = read::name(&mut fields, "parent", &request.parent, MEMBERS);
        let query = format!("ListMemberCards {}", request.parent);
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        own::member(access, member)?;
        let rows = self.0.list_member_cards(member, asked.page()).await?;
        let (rows, next_page_token) = asked.cut(rows, |row| row.id);
        Ok(Response::new(pb::ListMemberCardsResponse {
            cards: rows.into_iter().map(card_message).collect(),
            next_page_token,
        }))
    }
}

/// Neither value is repeated in a violation: it may be right but for a digit.
fn read_presented(fields: &mut Fields, code: &str, pin: &str) -> Option<Presented> {
    let code = MemberCode::read(code);
    let why = "18 digits of a member code or a card, the last of them a check digit";
    fields.check("code", code.is_some(), why);
    let pin = (!pin.is_empty()).then(|| {
        let read = Pin::read(pin);
        fields.check("pin", read.is_some(), "6 digits");
        read
    });
    let code = code?;
    match (code.shown, pin) {
        (Shown::Code, _) => Some(Presented::Code(code)),
        (Shown::Card, Some(pin)) => Some(Presented::Card(code, pin?)),
        (Shown::Card, None) => {
            fields.fail("pin", "required with a card");
            None
        }
    }
}

/// Digits alone make the smallest code, which old scanners read too.
pub(super) fn qr_svg(code: &str) -> String {
    let code = QrCode::new(code).expect("200 characters fit in a QR code");
    code.render::<svg::Color<'_>>()
        .min_dimensions(240, 240)
        .build()
}

fn resolved_message(resolved: Resolved) -> pb::ResolveMemberCodeResponse {
    let handle = resolved.handle;
    let community = handle.community;
    let bands = resolved.bands.into_iter();
    let offers = resolved.offers.into_iter();
    pb::ResolveMemberCodeResponse {
        handle: Some(pb::MemberHandle {
            name: name(community, HANDLES, handle.id),
            masked_name: resolved.masked_name,
            expire_time: Some(timestamp(handle.expires_at)),
        }),
        balances: bands
            .map(|(programme, asset, at_least_points)| pb::BalanceBand {
                programme: name(community, "programmes", programme),
                asset,
                at_least_points,
            })
            .collect(),
        offers: offers.map(usable_message).collect(),
    }
}

fn usable_message(Usable { offer, most }: Usable) -> pb::UsableOffer {
    let refusal = most.as_ref().err();
    pb::UsableOffer {
        offer: name(offer.community, OFFERS, offer.id),
        title: offer.title,
        points: offer.points,
        refusal: refusal
            .map(|refusal| status::reason(refusal).0.to_owned())
            .unwrap_or_default(),
        max_quantity: most.unwrap_or_default(),
    }
}

fn card_message(card: Card) -> pb::MemberCard {
    let state = match card.state {
        CardState::Active => pb::MemberCardState::Active,
        CardState::Blocked => pb::MemberCardState::Blocked,
        CardState::Revoked => pb::MemberCardState::Revoked,
    };
    pb::MemberCard {
        name: name(card.community, CARDS, card.id),
        member: name(card.community, MEMBERS, card.member),
        state: state.into(),
        create_time: Some(timestamp(card.created_at)),
    }
}
