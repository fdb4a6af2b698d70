//! Requests that write to the journal.

use proto::ledger::v1 as pb;
use runtime::{Access, Fields};
use tonic::Status;

use super::{account_id, community, read_entry_name};
use crate::{
    domain::{
        CaptureHold, Command, CommunityId, CreateHold, MAX_AMOUNT, NEVER, Posting, ReleaseHold,
        Request, RequestId, ReverseEntry, Transfer,
    },
    rpc::DOMAIN,
};

/// The most transfers of one call, or of one chain.
pub const MAX_TRANSFERS: usize = 8_190;
const MAX_DESCRIPTION: usize = 200;

pub fn post_transfers(
    access: &Access,
    request: pb::PostTransfersRequest,
) -> Result<(CommunityId, Vec<Request>), Status> {
    let mut fields = Fields::new(DOMAIN, access);
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
        .map(|(index, transfer)| {
            let item = || format!("transfers[{index}]");
            fields.item(item, |fields| read_transfer(fields, community, transfer))
        })
        .collect();
    fields.finish()?;
    Ok((community, requests))
}

/// The community of a stream of transfers: named in the first message, and in no other or the same.
pub fn stream_parent(
    access: &Access,
    value: &str,
    before: Option<CommunityId>,
) -> Result<CommunityId, Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let named = match before {
        Some(before) if value.is_empty() => before,
        _ => community(&mut fields, value),
    };
    fields.check(
        "parent",
        before.is_none_or(|before| before == named),
        "another community than in the first message",
    );
    fields.finish()?;
    Ok(named)
}

/// The transfer with this number in a stream.
pub fn stream_item(
    access: &Access,
    community: CommunityId,
    number: u64,
    transfer: pb::Transfer,
) -> Result<Request, Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let item = || format!("item {number}");
    let request = fields.item(item, |fields| read_transfer(fields, community, transfer));
    fields.finish()?;
    Ok(request)
}

fn read_transfer(fields: &mut Fields, community: CommunityId, transfer: pb::Transfer) -> Request {
    let id = fields.uuid("request_id", &transfer.request_id);
    fields.check(
        "request_id",
        transfer.request_id.is_empty() || !id.is_nil(),
        "must be a UUID that is not all zeros",
    );
    let posting = Posting {
        debit: account_id(fields, community, "debit_account", &transfer.debit_account),
        credit: account_id(
            fields,
            community,
            "credit_account",
            &transfer.credit_account,
        ),
        amount: fields.range("amount", transfer.amount, 1, MAX_AMOUNT),
    };
    check_posting(fields, "credit_account", &posting);
    let expires_at = fields.optional_time("expire_time", &transfer.expire_time);
    fields.check(
        "expire_time",
        expires_at.is_none_or(|at| at < NEVER),
        "before 9999-12-31; leave it out for never",
    );
    let description = fields.optional_text("description", &transfer.description, MAX_DESCRIPTION);
    let command = Command::Transfer(Transfer {
        posting,
        expires_at,
        description,
    });
    Request::new(RequestId(id), transfer.linked, command)
}

pub fn create_hold(
    access: &Access,
    request: pb::CreateHoldRequest,
) -> Result<(CommunityId, RequestId, CreateHold), Status> {
    let mut fields = Fields::new(DOMAIN, access);
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

pub fn hold_name(access: &Access, value: &str) -> Result<(CommunityId, RequestId), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let [community, hold] = fields.name("name", value, ["communities", "holds"]);
    fields.finish()?;
    Ok((CommunityId(community), RequestId(hold)))
}

pub fn capture_hold(
    access: &Access,
    request: pb::CaptureHoldRequest,
) -> Result<(CommunityId, RequestId, CaptureHold), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let [community, hold] = fields.name("name", &request.name, ["communities", "holds"]);
    let id = fields.request_id(&request.request_id);
    let capture = CaptureHold {
        hold: RequestId(hold),
        amount: fields.range("amount", request.amount, 1, MAX_AMOUNT),
        is_final: request.r#final,
        credit: match &request.credit_account[..] {
            "" => None,
            name => Some(account_id(
                &mut fields,
                CommunityId(community),
                "credit_account",
                name,
            )),
        },
        description: fields.optional_text("description", &request.description, MAX_DESCRIPTION),
    };
    fields.finish()?;
    Ok((CommunityId(community), RequestId(id), capture))
}

pub fn release_hold(
    access: &Access,
    request: &pb::ReleaseHoldRequest,
) -> Result<(CommunityId, RequestId, ReleaseHold), Status> {
    let mut fields = Fields::new(DOMAIN, access);
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
    access: &Access,
    request: pb::ReverseEntryRequest,
) -> Result<(CommunityId, RequestId, ReverseEntry), Status> {
    let mut fields = Fields::new(DOMAIN, access);
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

fn check_posting(fields: &mut Fields, field: &str, posting: &Posting) {
    let same = posting.debit == posting.credit && !posting.debit.0.is_nil();
    fields.check(field, !same, "the same account as debit_account");
}
