//! Requests that read the journal, the past and what will expire.

use chrono::{DateTime, Utc};
use proto::ledger::v1 as pb;
use runtime::{Access, Fields, decode_page_token};
use tonic::Status;
use uuid::Uuid;

use super::{account_id, community, optional_programme, read_entry_name};
use crate::{
    domain::{AccountId, CommunityId, EntryKind},
    reading::{EntrySearch, Point},
    rpc::DOMAIN,
    store::{LotQuery, ScheduleQuery},
};

pub fn account_balance(
    access: &Access,
    request: &pb::GetAccountBalanceRequest,
) -> Result<(CommunityId, AccountId, Point), Status> {
    use pb::get_account_balance_request::Point as Asked;
    let mut fields = Fields::new(DOMAIN, access);
    let [community, account] = fields.name("name", &request.name, ["communities", "accounts"]);
    let point = match &request.point {
        Some(Asked::Sequence(sequence)) => {
            Point::Sequence(fields.range("sequence", *sequence, 0, i64::MAX))
        }
        Some(Asked::Time(time)) => Point::Time(fields.time("time", &Some(*time))),
        None => {
            fields.fail("point", "required: sequence or time");
            Point::Sequence(0)
        }
    };
    fields.finish()?;
    Ok((CommunityId(community), AccountId(account), point))
}

pub fn entry_name(access: &Access, value: &str) -> Result<(CommunityId, i64), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let name = read_entry_name(&mut fields, value);
    fields.finish()?;
    Ok(name)
}

pub fn list_entries(
    access: &Access,
    request: &pb::ListEntriesRequest,
) -> Result<(CommunityId, EntrySearch, String), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let account = (!request.account.is_empty())
        .then(|| account_id(&mut fields, community, "account", &request.account));
    let first = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    let kinds = request.kinds.iter().enumerate();
    let kinds: Vec<EntryKind> = kinds
        .filter_map(|(index, kind)| entry_kind(&mut fields, &format!("kinds[{index}]"), *kind))
        .collect();
    let start = fields.optional_time("start_time", &request.start_time);
    let end = fields.optional_time("end_time", &request.end_time);
    fields.check(
        "end_time",
        start.zip(end).is_none_or(|(start, end)| start < end),
        "not after start_time",
    );
    let limit = fields.page_size(request.page_size);
    let token_query = format!(
        "entries/{}/{}/{first}/{:?}/{start:?}/{end:?}",
        request.parent, request.account, request.kinds
    );
    let after = decode_page_token(&mut fields, &token_query, &request.page_token);
    fields.finish()?;
    let search = EntrySearch {
        account,
        kinds,
        start,
        end,
        after: after.unwrap_or(first),
        limit,
    };
    Ok((community, search, token_query))
}

pub fn watch_entries(
    access: &Access,
    request: &pb::WatchEntriesRequest,
) -> Result<(CommunityId, i64), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let after = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    fields.finish()?;
    Ok((community, after))
}

pub fn list_expiring_lots(
    access: &Access,
    request: &pb::ListExpiringLotsRequest,
) -> Result<(CommunityId, LotQuery, String), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let account = (!request.account.is_empty())
        .then(|| account_id(&mut fields, community, "account", &request.account));
    let programme = optional_programme(&mut fields, community, &request.programme);
    let end = fields.optional_time("end_time", &request.end_time);
    let limit = fields.page_size(request.page_size);
    let token_query = format!(
        "expiring lots/{}/{}/{}/{end:?}",
        request.parent, request.account, request.programme
    );
    let after: Option<(DateTime<Utc>, Uuid)> =
        decode_page_token(&mut fields, &token_query, &request.page_token);
    fields.finish()?;
    let query = LotQuery {
        account,
        programme,
        end,
        after,
        limit,
    };
    Ok((community, query, token_query))
}

pub fn list_expiry_schedule(
    access: &Access,
    request: &pb::ListExpiryScheduleRequest,
) -> Result<(CommunityId, ScheduleQuery, String), Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, &request.parent);
    let programme = optional_programme(&mut fields, community, &request.programme);
    let end = fields.optional_time("end_time", &request.end_time);
    let limit = fields.page_size(request.page_size);
    let token_query = format!(
        "expiry schedule/{}/{}/{end:?}",
        request.parent, request.programme
    );
    let after: Option<(DateTime<Utc>, String)> =
        decode_page_token(&mut fields, &token_query, &request.page_token);
    fields.finish()?;
    let query = ScheduleQuery {
        programme,
        end,
        after,
        limit,
    };
    Ok((community, query, token_query))
}

fn entry_kind(fields: &mut Fields, field: &str, value: i32) -> Option<EntryKind> {
    Some(match fields.enumeration::<pb::EntryKind>(field, value)? {
        // `enumeration` has recorded the violation already.
        pb::EntryKind::Unspecified => return None,
        pb::EntryKind::Transfer => EntryKind::Transfer,
        pb::EntryKind::Hold => EntryKind::Hold,
        pb::EntryKind::Capture => EntryKind::Capture,
        pb::EntryKind::Release => EntryKind::Release,
        pb::EntryKind::HoldExpiry => EntryKind::HoldExpiry,
        pb::EntryKind::LotExpiry => EntryKind::LotExpiry,
        pb::EntryKind::Reversal => EntryKind::Reversal,
    })
}
