//! Requests as domain values; whatever is wrong with a field is found here and named.

mod accounts;
mod journal;
mod reading;

use proto::ledger::v1 as pb;
use runtime::{Access, Fields};
use tonic::Status;
use uuid::Uuid;

pub use accounts::{
    account_name, create_account, create_asset, list_accounts, trial_balance, update_account_limits,
};
pub use journal::{
    MAX_TRANSFERS, capture_hold, create_hold, hold_name, post_transfers, release_hold,
    reverse_entry, stream_item, stream_parent,
};
pub use reading::{
    account_balance, entry_name, list_entries, list_expiring_lots, list_expiry_schedule,
    watch_entries,
};

use super::DOMAIN;
use crate::domain::{AccountId, AccountKind, CommunityId};

pub fn parent(access: &Access, value: &str) -> Result<CommunityId, Status> {
    let mut fields = Fields::new(DOMAIN, access);
    let community = community(&mut fields, value);
    fields.finish()?;
    Ok(community)
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
    if !id.is_nil() && of != community.0 {
        fields.fail(field, format!("of another community than the call: {of}"));
    }
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
        pb::AccountKind::PaidOut => AccountKind::PaidOut,
        pb::AccountKind::Wish => AccountKind::Wish,
    })
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
