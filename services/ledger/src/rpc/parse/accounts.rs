//! Requests about assets, accounts and their sums.

use proto::ledger::v1 as pb;
use runtime::{Access, Fields, decode_page_token};
use tonic::Status;
use uuid::Uuid;

use super::{account_id, account_kind, community, optional_programme, within};
use crate::{
    domain::{AccountDefinition, AccountId, AccountKind, AccountLimits, CommunityId},
    rpc::DOMAIN,
    store::AccountQuery,
};

pub fn create_asset(
    access: &Access,
    request: pb::CreateAssetRequest,
) -> Result<(CommunityId, String, i16), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    fields.check("asset", request.asset.is_some(), "required");
    let asset = request.asset.unwrap_or_default();
    let code = asset_code(&mut fields, "asset.code", &asset.code);
    let exponent = fields.range("asset.exponent", i64::from(asset.exponent), 0, 9);
    fields.finish()?;
    Ok((community, code, i16::try_from(exponent).unwrap_or_default()))
}

pub fn create_account(
    access: &Access,
    request: pb::CreateAccountRequest,
) -> Result<(CommunityId, AccountDefinition), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let id = AccountId(fields.uuid("account_id", &request.account_id));
    fields.check("account", request.account.is_some(), "required");
    let account = request.account.unwrap_or_default();
    let [programme] = within(
        &mut fields,
        community,
        "account.programme",
        &account.programme,
        ["programmes"],
    );
    let asset = asset_code(&mut fields, "account.asset", &account.asset);
    let kind = account_kind(&mut fields, "account.kind", account.kind);
    let owner = fields.optional_uuid("account.owner", &account.owner);
    let expiry_account = (!account.expiry_account.is_empty()).then(|| {
        account_id(
            &mut fields,
            community,
            "account.expiry_account",
            &account.expiry_account,
        )
    });
    let limits = AccountLimits {
        min_balance: account.min_balance,
        max_balance: account.max_balance,
    };
    check_limits(&mut fields, "account.", limits);
    // An account starts with nothing on it.
    fields.check(
        "account.min_balance",
        limits.min_balance.is_none_or(|min| min <= 0),
        "0 or less for a new account",
    );
    fields.check(
        "account.max_balance",
        limits.max_balance.is_none_or(|max| max >= 0),
        "0 or more for a new account",
    );
    let needs_floor = expiry_account.is_some() && limits.min_balance != Some(0);
    fields.check(
        "account.min_balance",
        !needs_floor,
        "must be 0 for an account that keeps lots",
    );
    fields.check(
        "account.expiry_account",
        expiry_account != Some(id),
        "must be another account",
    );
    fields.finish()?;
    let kind = kind.unwrap_or(AccountKind::Member);
    Ok((
        community,
        AccountDefinition {
            id,
            programme,
            asset,
            kind,
            owner,
            expiry_account,
            limits,
        },
    ))
}

pub fn account_name(access: &Access, value: &str) -> Result<(CommunityId, AccountId), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let [community, account] = fields.name("name", value, ["communities", "accounts"]);
    fields.finish()?;
    Ok((CommunityId(community), AccountId(account)))
}

pub fn list_accounts(
    access: &Access,
    request: &pb::ListAccountsRequest,
) -> Result<(CommunityId, AccountQuery, String), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let programme = optional_programme(&mut fields, community, &request.programme);
    let kind = (request.kind != 0)
        .then(|| account_kind(&mut fields, "kind", request.kind))
        .flatten();
    let limit = fields.page_size(request.page_size);
    let token_query = format!(
        "accounts/{}/{}/{}",
        request.parent, request.programme, request.kind
    );
    let after = decode_page_token(&mut fields, &token_query, &request.page_token);
    fields.finish()?;
    let query = AccountQuery {
        programme,
        kind,
        after: after.unwrap_or(Uuid::nil()),
        limit,
    };
    Ok((community, query, token_query))
}

pub fn update_account_limits(
    access: &Access,
    request: pb::UpdateAccountLimitsRequest,
) -> Result<(CommunityId, AccountId, AccountLimits, Option<i64>), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let [community, account] = fields.name("name", &request.name, ["communities", "accounts"]);
    let limits = AccountLimits {
        min_balance: request.min_balance,
        max_balance: request.max_balance,
    };
    check_limits(&mut fields, "", limits);
    let revision = (!request.etag.is_empty()).then(|| request.etag.parse().ok());
    fields.check(
        "etag",
        revision != Some(None),
        "not an etag of this service",
    );
    fields.finish()?;
    Ok((
        CommunityId(community),
        AccountId(account),
        limits,
        revision.flatten(),
    ))
}

pub fn trial_balance(
    access: &Access,
    request: &pb::GetTrialBalanceRequest,
) -> Result<(CommunityId, Option<Uuid>), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let programme = optional_programme(&mut fields, community, &request.programme);
    fields.finish()?;
    Ok((community, programme))
}

fn asset_code(fields: &mut Fields, field: &str, value: &str) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let good = (1..=16).contains(&value.len()) && value.chars().all(known);
    fields.check(field, good, "1 to 16 of A–Z, a–z, 0–9, \"-\" and \"_\"");
    value.to_owned()
}

fn check_limits(fields: &mut Fields, prefix: &str, limits: AccountLimits) {
    let crossed =
        matches!((limits.min_balance, limits.max_balance), (Some(min), Some(max)) if min > max);
    fields.check(
        &format!("{prefix}max_balance"),
        !crossed,
        "less than min_balance",
    );
}
