//! Requests about merchants and agreements.

use proto::redemption::v1 as pb;
use runtime::{Access, timestamp};
use tonic::Status;

use super::{
    own,
    read::{self, Asked, checked, fields},
};
use crate::{
    NewAgreement, NewMerchant, Redemption,
    domain::{Agreement, Merchant, MerchantState, Name},
    store::{Call, SummaryRow},
};

pub(super) const MERCHANTS: &str = "merchants";

pub(super) async fn create(
    service: &Redemption,
    access: &Access,
    request: pb::CreateMerchantRequest,
) -> Result<pb::Merchant, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let id = fields.optional_uuid("merchant_id", &request.merchant_id);
    let about = (community, &request.parent[..]);
    let call = read::call(access, about, request_id, "CreateMerchant", &request);
    let merchant = read::required(&mut fields, "merchant", request.merchant);
    let new = NewMerchant {
        id,
        number: fields.text("merchant.number", &merchant.number, 32),
        display_name: fields.text("merchant.display_name", &merchant.display_name, 120),
        category: fields.optional_text("merchant.category", &merchant.category, 60),
    };
    fields.finish()?;
    Ok(message(service.create_merchant(call, new).await?))
}

pub(super) async fn get(
    service: &Redemption,
    access: &Access,
    request: pb::GetMerchantRequest,
) -> Result<pb::Merchant, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, MERCHANTS);
    fields.finish()?;
    Ok(message(service.get_merchant(name).await?))
}

pub(super) async fn list(
    service: &Redemption,
    access: &Access,
    request: pb::ListMerchantsRequest,
) -> Result<pb::ListMerchantsResponse, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let query = format!("ListMerchants {community}");
    let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
    fields.finish()?;
    let rows = service.list_merchants(community, asked.page()).await?;
    let (rows, next_page_token) = asked.cut(rows, |row| row.id);
    Ok(pb::ListMerchantsResponse {
        merchants: rows.into_iter().map(message).collect(),
        next_page_token,
    })
}

pub(super) async fn suspend(
    service: &Redemption,
    access: &Access,
    request: pb::SuspendMerchantRequest,
) -> Result<pb::Merchant, Status> {
    let (call, name) = step(
        access,
        "SuspendMerchant",
        &request.name,
        &request.request_id,
        &request,
    )?;
    Ok(message(service.suspend_merchant(call, name).await?))
}

pub(super) async fn resume(
    service: &Redemption,
    access: &Access,
    request: pb::ResumeMerchantRequest,
) -> Result<pb::Merchant, Status> {
    let (call, name) = step(
        access,
        "ResumeMerchant",
        &request.name,
        &request.request_id,
        &request,
    )?;
    Ok(message(service.resume_merchant(call, name).await?))
}

pub(super) async fn terminate(
    service: &Redemption,
    access: &Access,
    request: pb::TerminateMerchantRequest,
) -> Result<pb::Merchant, Status> {
    let (call, name) = step(
        access,
        "TerminateMerchant",
        &request.name,
        &request.request_id,
        &request,
    )?;
    Ok(message(service.terminate_merchant(call, name).await?))
}

pub(super) async fn create_agreement(
    service: &Redemption,
    access: &Access,
    request: pb::CreateAgreementRequest,
) -> Result<pb::Agreement, Status> {
    let mut fields = fields(access);
    let merchant = read::name(&mut fields, "parent", &request.parent, MERCHANTS);
    let request_id = fields.request_id(&request.request_id);
    let id = fields.optional_uuid("agreement_id", &request.agreement_id);
    let about = (merchant.community, &request.parent[..]);
    let call = read::call(access, about, request_id, "CreateAgreement", &request);
    let agreement = read::required(&mut fields, "agreement", request.agreement);
    let span = read::span(
        &mut fields,
        "agreement.",
        &agreement.start_date,
        &agreement.end_date,
    );
    fields.finish()?;
    let new = NewAgreement {
        id,
        start: span.start,
        end: span.end,
    };
    let agreement = service.create_agreement(call, merchant, new).await?;
    Ok(agreement_message(agreement))
}

pub(super) async fn list_agreements(
    service: &Redemption,
    access: &Access,
    request: pb::ListAgreementsRequest,
) -> Result<pb::ListAgreementsResponse, Status> {
    let mut fields = fields(access);
    let merchant = read::name(&mut fields, "parent", &request.parent, MERCHANTS);
    let query = format!("ListAgreements {} {}", merchant.community, merchant.id);
    let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
    fields.finish()?;
    own::merchant(access, merchant)?;
    let rows = service.list_agreements(merchant, asked.page()).await?;
    let (rows, next_page_token) = asked.cut(rows, |row| (row.start, row.id));
    Ok(pb::ListAgreementsResponse {
        agreements: rows.into_iter().map(agreement_message).collect(),
        next_page_token,
    })
}

pub(super) async fn summary(
    service: &Redemption,
    access: &Access,
    request: pb::GetMerchantSummaryRequest,
) -> Result<pb::MerchantSummary, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, MERCHANTS);
    fields.finish()?;
    own::merchant(access, name)?;
    let rows = service.get_merchant_summary(name).await?;
    Ok(pb::MerchantSummary {
        rows: rows.into_iter().map(summary_row).collect(),
    })
}

/// Reads a request that has a name and an id and nothing else.
fn step(
    access: &Access,
    method: &'static str,
    text: &str,
    request_id: &str,
    message: &impl prost::Message,
) -> Result<(Call, Name), Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", text, MERCHANTS);
    let request_id = fields.request_id(request_id);
    let about = (name.community, text);
    let call = read::call(access, about, request_id, method, message);
    checked(fields, (call, name))
}

fn message(merchant: Merchant) -> pb::Merchant {
    let state = match merchant.state {
        MerchantState::Active => pb::MerchantState::Active,
        MerchantState::Suspended => pb::MerchantState::Suspended,
        MerchantState::Terminated => pb::MerchantState::Terminated,
    };
    pb::Merchant {
        name: format!(
            "communities/{}/merchants/{}",
            merchant.community, merchant.id
        ),
        number: merchant.number,
        display_name: merchant.display_name,
        category: merchant.category,
        state: state.into(),
        create_time: Some(timestamp(merchant.created_at)),
    }
}

fn agreement_message(agreement: Agreement) -> pb::Agreement {
    pb::Agreement {
        name: format!(
            "communities/{}/merchants/{}/agreements/{}",
            agreement.community, agreement.merchant, agreement.id
        ),
        start_date: Some(read::date_message(agreement.start)),
        end_date: Some(read::date_message(agreement.end)),
    }
}

fn summary_row(row: SummaryRow) -> pb::MerchantSummaryRow {
    pb::MerchantSummaryRow {
        asset: row.asset,
        redemptions: row.redemptions,
        captured_points: row.captured_points,
        reversed_points: row.reversed_points,
        reversals: row.reversals,
        held_points: row.held_points,
    }
}
