//! Requests as domain values; whatever is wrong with a field is found here and named.

use proto::ledger::v1 as pb;
use runtime::{Fields, decode_page_token};
use tonic::Status;
use uuid::Uuid;

use super::DOMAIN;
use crate::{
    domain::{
        AccountDefinition, AccountId, AccountKind, AccountLimits, CaptureHold, Command,
        CommunityId, CreateHold, MAX_AMOUNT, NEVER, Posting, ReleaseHold, Request, RequestId,
        ReverseEntry, Transfer,
    },
    store::{AccountQuery, EntryQuery},
};

const MAX_TRANSFERS: usize = 8_190;
const MAX_DESCRIPTION: usize = 200;

pub fn parent(value: &str) -> Result<CommunityId, Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, value);
    fields.finish()?;
    Ok(community)
}

pub fn create_asset(request: pb::CreateAssetRequest) -> Result<(CommunityId, String, i16), Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, &request.parent);
    fields.check("asset", request.asset.is_some(), "required");
    let asset = request.asset.unwrap_or_default();
    let code = asset_code(&mut fields, "asset.code", &asset.code);
    let exponent = fields.range("asset.exponent", i64::from(asset.exponent), 0, 9);
    fields.finish()?;
    Ok((community, code, i16::try_from(exponent).unwrap_or_default()))
}

pub fn create_account(
    request: pb::CreateAccountRequest,
) -> Result<(CommunityId, AccountDefinition), Status> {
    let mut fields = Fields::new(DOMAIN);
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

pub fn account_name(value: &str) -> Result<(CommunityId, AccountId), Status> {
    let mut fields = Fields::new(DOMAIN);
    let [community, account] = fields.name("name", value, ["communities", "accounts"]);
    fields.finish()?;
    Ok((CommunityId(community), AccountId(account)))
}

pub fn list_accounts(
    request: &pb::ListAccountsRequest,
) -> Result<(CommunityId, AccountQuery, String), Status> {
    let mut fields = Fields::new(DOMAIN);
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
    request: pb::UpdateAccountLimitsRequest,
) -> Result<(CommunityId, AccountId, AccountLimits, Option<i64>), Status> {
    let mut fields = Fields::new(DOMAIN);
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

pub fn post_transfers(
    request: pb::PostTransfersRequest,
) -> Result<(CommunityId, Vec<Request>), Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, &request.parent);
    let count = request.transfers.len();
    fields.check(
        "transfers",
        (1..=MAX_TRANSFERS).contains(&count),
        format!("from 1 to {MAX_TRANSFERS} transfers, not {count}"),
    );
    if request.transfers.last().is_some_and(|last| last.linked) {
        fields.fail(
            &format!("transfers[{}].linked", count - 1),
            "the last transfer has none to be linked to",
        );
    }
    let transfers = request
        .transfers
        .into_iter()
        .take(MAX_TRANSFERS)
        .enumerate();
    let requests = transfers
        .map(|(index, transfer)| read_transfer(&mut fields, community, index, transfer))
        .collect();
    fields.finish()?;
    Ok((community, requests))
}

fn read_transfer(
    fields: &mut Fields,
    community: CommunityId,
    index: usize,
    transfer: pb::Transfer,
) -> Request {
    let at = |field: &str| format!("transfers[{index}].{field}");
    let id = fields.uuid(&at("request_id"), &transfer.request_id);
    fields.check(
        &at("request_id"),
        transfer.request_id.is_empty() || !id.is_nil(),
        "must be a UUID that is not all zeros",
    );
    let posting = Posting {
        debit: account_id(
            fields,
            community,
            &at("debit_account"),
            &transfer.debit_account,
        ),
        credit: account_id(
            fields,
            community,
            &at("credit_account"),
            &transfer.credit_account,
        ),
        amount: fields.range(&at("amount"), transfer.amount, 1, MAX_AMOUNT),
    };
    check_posting(fields, &at("credit_account"), &posting);
    let expires_at = fields.optional_time(&at("expire_time"), &transfer.expire_time);
    fields.check(
        &at("expire_time"),
        expires_at.is_none_or(|at| at < NEVER),
        "before 9999-12-31; leave it out for never",
    );
    let description =
        fields.optional_text(&at("description"), &transfer.description, MAX_DESCRIPTION);
    Request {
        id: Some(RequestId(id)),
        linked: transfer.linked,
        command: Command::Transfer(Transfer {
            posting,
            expires_at,
            description,
        }),
    }
}

pub fn create_hold(
    request: pb::CreateHoldRequest,
) -> Result<(CommunityId, RequestId, CreateHold), Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, &request.parent);
    let id = fields.request_id(&request.request_id);
    let posting = Posting {
        debit: account_id(
            &mut fields,
            community,
            "debit_account",
            &request.debit_account,
        ),
        credit: account_id(
            &mut fields,
            community,
            "credit_account",
            &request.credit_account,
        ),
        amount: fields.range("amount", request.amount, 1, MAX_AMOUNT),
    };
    check_posting(&mut fields, "credit_account", &posting);
    let expires_at = fields.time("expire_time", &request.expire_time);
    let description = fields.optional_text("description", &request.description, MAX_DESCRIPTION);
    fields.finish()?;
    Ok((
        community,
        RequestId(id),
        CreateHold {
            posting,
            expires_at,
            description,
        },
    ))
}

pub fn hold_name(value: &str) -> Result<(CommunityId, RequestId), Status> {
    let mut fields = Fields::new(DOMAIN);
    let [community, hold] = fields.name("name", value, ["communities", "holds"]);
    fields.finish()?;
    Ok((CommunityId(community), RequestId(hold)))
}

pub fn capture_hold(
    request: pb::CaptureHoldRequest,
) -> Result<(CommunityId, RequestId, CaptureHold), Status> {
    let mut fields = Fields::new(DOMAIN);
    let [community, hold] = fields.name("name", &request.name, ["communities", "holds"]);
    let id = fields.request_id(&request.request_id);
    let capture = CaptureHold {
        hold: RequestId(hold),
        amount: fields.range("amount", request.amount, 1, MAX_AMOUNT),
        is_final: request.r#final,
        description: fields.optional_text("description", &request.description, MAX_DESCRIPTION),
    };
    fields.finish()?;
    Ok((CommunityId(community), RequestId(id), capture))
}

pub fn release_hold(
    request: &pb::ReleaseHoldRequest,
) -> Result<(CommunityId, RequestId, ReleaseHold), Status> {
    let mut fields = Fields::new(DOMAIN);
    let [community, hold] = fields.name("name", &request.name, ["communities", "holds"]);
    let id = fields.request_id(&request.request_id);
    fields.finish()?;
    Ok((
        CommunityId(community),
        RequestId(id),
        ReleaseHold {
            hold: RequestId(hold),
        },
    ))
}

pub fn reverse_entry(
    request: pb::ReverseEntryRequest,
) -> Result<(CommunityId, RequestId, ReverseEntry), Status> {
    let mut fields = Fields::new(DOMAIN);
    let (community, sequence) = read_entry_name(&mut fields, &request.name);
    let id = fields.request_id(&request.request_id);
    let reverse = ReverseEntry {
        sequence,
        amount: fields.range("amount", request.amount, 1, MAX_AMOUNT),
        allow_partial: request.allow_partial,
        description: fields.optional_text("description", &request.description, MAX_DESCRIPTION),
    };
    fields.finish()?;
    Ok((community, RequestId(id), reverse))
}

pub fn entry_name(value: &str) -> Result<(CommunityId, i64), Status> {
    let mut fields = Fields::new(DOMAIN);
    let name = read_entry_name(&mut fields, value);
    fields.finish()?;
    Ok(name)
}

pub fn list_entries(
    request: &pb::ListEntriesRequest,
) -> Result<(CommunityId, EntryQuery, String), Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, &request.parent);
    let account = (!request.account.is_empty())
        .then(|| account_id(&mut fields, community, "account", &request.account));
    let first = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    let limit = fields.page_size(request.page_size);
    let token_query = format!("entries/{}/{}/{first}", request.parent, request.account);
    let after = decode_page_token(&mut fields, &token_query, &request.page_token);
    fields.finish()?;
    let query = EntryQuery {
        account,
        related: None,
        after: after.unwrap_or(first),
        limit,
    };
    Ok((community, query, token_query))
}

pub fn trial_balance(
    request: &pb::GetTrialBalanceRequest,
) -> Result<(CommunityId, Option<Uuid>), Status> {
    let mut fields = Fields::new(DOMAIN);
    let community = community(&mut fields, &request.parent);
    let programme = optional_programme(&mut fields, community, &request.programme);
    fields.finish()?;
    Ok((community, programme))
}

fn community(fields: &mut Fields, value: &str) -> CommunityId {
    let [community] = fields.name("parent", value, ["communities"]);
    CommunityId(community)
}

/// Reads the name of something in the community that the call is about.
fn within(
    fields: &mut Fields,
    community: CommunityId,
    field: &str,
    value: &str,
    kind: [&'static str; 1],
) -> [Uuid; 1] {
    let [of, id] = fields.name(field, value, ["communities", kind[0]]);
    fields.check(
        field,
        id.is_nil() || of == community.0,
        format!("of another community than the call: {of}"),
    );
    [id]
}

fn account_id(fields: &mut Fields, community: CommunityId, field: &str, value: &str) -> AccountId {
    let [id] = within(fields, community, field, value, ["accounts"]);
    AccountId(id)
}

fn optional_programme(fields: &mut Fields, community: CommunityId, value: &str) -> Option<Uuid> {
    (!value.is_empty()).then(|| within(fields, community, "programme", value, ["programmes"])[0])
}

fn account_kind(fields: &mut Fields, field: &str, value: i32) -> Option<AccountKind> {
    Some(match fields.enumeration::<pb::AccountKind>(field, value)? {
        pb::AccountKind::Unspecified => return None,
        pb::AccountKind::Issuing => AccountKind::Issuing,
        pb::AccountKind::Expired => AccountKind::Expired,
        pb::AccountKind::Member => AccountKind::Member,
        pb::AccountKind::Merchant => AccountKind::Merchant,
    })
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

fn check_posting(fields: &mut Fields, field: &str, posting: &Posting) {
    let same = posting.debit == posting.credit && !posting.debit.0.is_nil();
    fields.check(field, !same, "the same account as debit_account");
}

fn read_entry_name(fields: &mut Fields, value: &str) -> (CommunityId, i64) {
    let parsed = value
        .rsplit_once("/entries/")
        .and_then(|(parent, sequence)| {
            let canonical = |number: &i64| *number > 0 && number.to_string() == sequence;
            Some((parent, sequence.parse::<i64>().ok().filter(canonical)?))
        });
    let Some((parent, sequence)) = parsed else {
        fields.fail(
            "name",
            "not of the form communities/{uuid}/entries/{sequence}",
        );
        return (CommunityId(Uuid::nil()), 0);
    };
    let [community] = fields.name("name", parent, ["communities"]);
    (CommunityId(community), sequence)
}
