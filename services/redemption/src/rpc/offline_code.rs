//! Requests about offline codes.

use proto::redemption::v1::{self as pb, offline_code_service_server::OfflineCodeService};
use runtime::{Access, Deadline, timestamp};
use tonic::{Request, Response, Status};

use super::{
    member_code::qr_svg,
    offer::OFFERS,
    own,
    read::{self, Asked, MEMBERS, fields},
    redemption,
    terminal::name,
};
use crate::{
    Error, Forwarded, NewOfflineCodes, Redemption,
    domain::{KeptOfflineCode, MAX_QUANTITY, MOST_CODES, Name, OfflineState, Refusal},
};

const CODES: &str = "offlineCodes";
const PROGRAMMES: &str = "programmes";
const MAX_CODE_CHARS: usize = 191;

/// Offline codes, as the contract names them.
pub(super) struct OfflineCodeRpc(pub Redemption);

#[tonic::async_trait]
impl OfflineCodeService for OfflineCodeRpc {
    async fn create_offline_codes(
        &self,
        request: Request<pb::CreateOfflineCodesRequest>,
    ) -> Result<Response<pb::CreateOfflineCodesResponse>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let member = read::name(&mut fields, "parent", &request.parent, MEMBERS);
        let community = member.community;
        let programme = &request.programme;
        let most = self.0.offline.most_points.max(1);
        let new = NewOfflineCodes {
            programme: read::name_within(
                &mut fields,
                community,
                "programme",
                programme,
                PROGRAMMES,
            ),
            count: i16::try_from(fields.range(
                "count",
                i64::from(request.count),
                1,
                i64::from(MOST_CODES),
            ))
            .unwrap_or_default(),
            points: fields.range("points", request.points, 1, most),
        };
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::member(access, member)?;
        if self.0.offline.keys.public().next().is_none() {
            return Err(Error::Refused(Refusal::OfflineCodesOff).into());
        }
        let about = (community, &request.parent[..]);
        let call = read::call(access, about, request_id, "CreateOfflineCodes", &request);
        let codes = self.0.create_offline_codes(call, member, new, deadline);
        let codes = codes
            .await?
            .into_iter()
            .map(|(kept, code)| pb::OfflineCode {
                qr_svg: qr_svg(&code),
                code,
                ..message(kept)
            });
        Ok(Response::new(pb::CreateOfflineCodesResponse {
            codes: codes.collect(),
        }))
    }

    async fn list_offline_codes(
        &self,
        request: Request<pb::ListOfflineCodesRequest>,
    ) -> Result<Response<pb::ListOfflineCodesResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let member = read::name(&mut fields, "parent", &request.parent, MEMBERS);
        let query = format!("ListOfflineCodes {}", request.parent);
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        own::member(access, member)?;
        let rows = self.0.list_offline_codes(member, asked.page()).await?;
        let (rows, next_page_token) = asked.cut(rows, |row| row.code.id);
        let now = self.0.clock.now();
        let rows = rows.into_iter().map(|row| {
            let state = row.state_at(now);
            message(KeptOfflineCode { state, ..row })
        });
        Ok(Response::new(pb::ListOfflineCodesResponse {
            codes: rows.collect(),
            next_page_token,
        }))
    }

    async fn get_offline_code_keys(
        &self,
        _request: Request<pb::GetOfflineCodeKeysRequest>,
    ) -> Result<Response<pb::OfflineCodeKeys>, Status> {
        let keys = self.0.offline.keys.public().map(|(id, public_key)| {
            let [a, b, c, d] = id;
            pb::OfflineCodeKey {
                key_id: format!("{a:02x}{b:02x}{c:02x}{d:02x}"),
                public_key: public_key.to_vec(),
            }
        });
        Ok(Response::new(pb::OfflineCodeKeys {
            keys: keys.collect(),
        }))
    }

    async fn submit_offline_redemption(
        &self,
        request: Request<pb::SubmitOfflineRedemptionRequest>,
    ) -> Result<Response<pb::Redemption>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let community = read::parent(&mut fields, &request.parent);
        let request_id = fields.request_id(&request.request_id);
        let sale = Forwarded {
            code: fields.text("code", &request.code, MAX_CODE_CHARS),
            offer: read::name_within(&mut fields, community, "offer", &request.offer, OFFERS),
            quantity: fields.range("quantity", request.quantity, 1, MAX_QUANTITY),
            sold_at: fields.time("redeem_time", &request.redeem_time),
            till: redemption::till(access, community),
        };
        fields.finish()?;
        let offer = Name {
            community,
            id: sale.offer,
        };
        own::offer(&self.0, access, offer).await?;
        let about = (community, &request.parent[..]);
        let call = read::call(
            access,
            about,
            request_id,
            "SubmitOfflineRedemption",
            &request,
        );
        let sold = self.0.submit_offline_redemption(call, sale, deadline);
        Ok(Response::new(redemption::message(access, sold.await?)))
    }
}

fn message(kept: KeptOfflineCode) -> pb::OfflineCode {
    let community = kept.code.community;
    let state = match kept.state {
        OfflineState::Held => pb::OfflineCodeState::Held,
        OfflineState::Used => pb::OfflineCodeState::Used,
        OfflineState::Returned => pb::OfflineCodeState::Returned,
    };
    let redemption = kept
        .sale
        .map(|(id, _)| name(community, redemption::REDEMPTIONS, id));
    pb::OfflineCode {
        name: name(community, CODES, kept.code.id),
        programme: name(community, PROGRAMMES, kept.code.programme),
        points: kept.code.points,
        state: state.into(),
        create_time: Some(timestamp(kept.code.created_at)),
        expire_time: Some(timestamp(kept.code.expires_at)),
        return_time: Some(timestamp(kept.returns_at)),
        redemption: redemption.unwrap_or_default(),
        ..pb::OfflineCode::default()
    }
}
