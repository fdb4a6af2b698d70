//! What settlement reads in the ledger: what was posted to merchants' accounts.

use chrono::{DateTime, Utc};
use proto::{
    account_id,
    ledger::v1::{
        AccountKind, Entry, EntryKind, GetAccountBalanceRequest, ListEntriesRequest,
        get_account_balance_request::Point,
    },
};
use runtime::Deadline;

use super::{
    broken, call,
    ledger::{Ledger, SERVICE, receipt_of},
};
use crate::{
    domain::{LedgerReceipt, MerchantAccount, Posting},
    error::Error,
};

/// The entries that change balances; those about holds only reserve. Were there one more kind, statements would not add up and not be closed.
const MOVES: [EntryKind; 4] = [
    EntryKind::Transfer,
    EntryKind::Capture,
    EntryKind::LotExpiry,
    EntryKind::Reversal,
];

/// Which of the entries of a merchant's account.
#[derive(Debug, Clone, Copy)]
pub struct PostingQuery {
    /// Whose account.
    pub of: MerchantAccount,
    /// Only entries with a greater sequence.
    pub after: i64,
    /// Only entries of this instant or later.
    pub start: Option<DateTime<Utc>>,
    /// Only earlier entries.
    pub end: Option<DateTime<Utc>>,
    /// At most so many; the ledger gives no more than 1,000.
    pub limit: i32,
}

/// A page of what was posted.
#[derive(Debug, Clone)]
pub struct Postings {
    /// In the ledger's order.
    pub postings: Vec<Posting>,
    /// After which entry to go on; nothing at the end.
    pub next: Option<i64>,
}

impl Ledger {
    /// Returns a page of what was posted to a merchant's account; it is empty only at the end.
    pub async fn postings(
        &self,
        query: PostingQuery,
        deadline: Deadline,
    ) -> Result<Postings, Error> {
        let account = settled_account(query.of);
        let mut message = ListEntriesRequest {
            parent: format!("communities/{}", query.of.community),
            account: account.clone(),
            after_sequence: query.after,
            page_size: query.limit,
            kinds: MOVES.map(i32::from).to_vec(),
            start_time: query.start.map(runtime::timestamp),
            end_time: query.end.map(runtime::timestamp),
            ..ListEntriesRequest::default()
        };
        loop {
            let (mut client, request) = (self.0.clone(), message.clone());
            let answer = call(SERVICE, deadline, request, |request| async move {
                client.list_entries(request).await
            });
            let page = match answer.await? {
                Ok(page) => page,
                Err(status) => return Err(broken(SERVICE, status.message())),
            };
            // A page that found none of these kinds is not the last.
            if page.entries.is_empty() && !page.next_page_token.is_empty() {
                message.page_token = page.next_page_token;
                continue;
            }
            let next = page.entries.last().map(|entry| entry.sequence);
            let postings = page.entries.into_iter();
            let postings = postings.map(|entry| posting(&account, entry));
            return Ok(Postings {
                postings: postings.collect::<Result<_, _>>()?,
                next: next.filter(|_| !page.next_page_token.is_empty()),
            });
        }
    }

    /// Returns what a merchant had after the last entry at or before an instant.
    pub async fn balance_at(
        &self,
        of: MerchantAccount,
        at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<i64, Error> {
        let message = GetAccountBalanceRequest {
            name: settled_account(of),
            point: Some(Point::Time(runtime::timestamp(at))),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_account_balance(request).await
        });
        match answer.await? {
            Ok(balance) => Ok(balance.balance),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }
}

/// The name of a merchant's account.
pub(super) fn settled_account(of: MerchantAccount) -> String {
    let id = account_id(of.programme, AccountKind::Merchant, Some(of.merchant));
    format!("communities/{}/accounts/{id}", of.community)
}

/// An entry as the owner of one of its accounts sees it.
fn posting(account: &str, entry: Entry) -> Result<Posting, Error> {
    let (points, balance) = if entry.credit_account == account {
        (entry.amount, entry.credit_balance)
    } else {
        (-entry.amount, entry.debit_balance)
    };
    let LedgerReceipt {
        entry: sequence,
        at,
    } = receipt_of(&entry)?;
    Ok(Posting {
        sequence,
        points,
        balance,
        at,
        description: entry.description,
    })
}
