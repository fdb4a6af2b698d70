//! What payouts ask of the ledger: who is owed what, and a hold a line, captured or released.

use proto::{
    account_id,
    ledger::v1::{
        Account, AccountKind, CaptureHoldRequest, CreateHoldRequest, GetAccountRequest,
        ListAccountsRequest, ReleaseHoldRequest,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{PATIENCE, account, account_name, is_transient, open_request};
use crate::{
    Activity,
    domain::{
        payout::{Available, Line, LineState, Payout, Said},
        programme::Programme,
    },
};

const PAGE: i32 = 1_000;

/// What came of telling the ledger of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineTold {
    /// It answered.
    Said(Said),
    /// It did not answer.
    Unanswered(String),
    /// It refused what it never should.
    Broken(String),
}

impl From<Status> for LineTold {
    fn from(status: Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        if is_transient(&status) {
            Self::Unanswered(text)
        } else {
            Self::Broken(text)
        }
    }
}

impl Activity {
    /// Opens the account of what a programme has paid in money.
    pub(crate) async fn open_paid_out(&self, programme: &Programme) -> Result<(), Status> {
        let id = account_id(programme.id, AccountKind::PaidOut, None);
        let definition = Account {
            min_balance: Some(0),
            ..account(programme, AccountKind::PaidOut, None)
        };
        let request = runtime::request(open_request(programme, id, definition), PATIENCE);
        self.ledger.clone().create_account(request).await?;
        Ok(())
    }

    /// What the members of a programme have, of those who have anything.
    pub(crate) async fn available(&self, programme: &Programme) -> Result<Vec<Available>, Status> {
        let mut found = Vec::new();
        let mut asked = ListAccountsRequest {
            parent: format!("communities/{}", programme.community.0),
            programme: format!(
                "communities/{}/programmes/{}",
                programme.community.0, programme.id
            ),
            kind: AccountKind::Member.into(),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let request = runtime::request(asked.clone(), PATIENCE);
            let page = self.ledger.clone().list_accounts(request).await?;
            let page = page.into_inner();
            for account in page.accounts {
                let member = account.owner.parse().map_err(|_| {
                    Status::internal(format!("the ledger's {} has no owner", account.name))
                })?;
                if account.available > 0 {
                    let amount = account.available;
                    found.push(Available { member, amount });
                }
            }
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            asked.page_token = page.next_page_token;
        }
    }

    /// What a member has available and held in a programme; nothing of either before the first reward.
    pub(crate) async fn cash_of(
        &self,
        programme: &Programme,
        member: Uuid,
    ) -> Result<(i64, i64), Status> {
        let id = account_id(programme.id, AccountKind::Member, Some(member));
        let name = account_name(programme.community, id);
        let request = runtime::request(GetAccountRequest { name }, PATIENCE);
        match self.ledger.clone().get_account(request).await {
            Ok(account) => {
                let Account {
                    available, held, ..
                } = account.into_inner();
                Ok((available, held))
            }
            Err(status) if status.code() == Code::NotFound => Ok((0, 0)),
            Err(status) => Err(status),
        }
    }

    /// Tells the ledger what a line stands for.
    pub(crate) async fn tell_line(&self, payout: &Payout, line: &Line) -> LineTold {
        let told = match line.state {
            LineState::Pending => self.hold_line(payout, line).await,
            LineState::Paying => self.capture_line(payout, line).await,
            LineState::Failing => self.release_line(payout, line).await,
            LineState::Cancelling => self.undo_line(payout, line).await,
            LineState::Held
            | LineState::NotHeld
            | LineState::Paid
            | LineState::Failed
            | LineState::Cancelled => {
                let state = line.state;
                Ok(LineTold::Broken(format!("a {state:?} line was to be told")))
            }
        };
        told.unwrap_or_else(LineTold::from)
    }

    async fn hold_line(&self, payout: &Payout, line: &Line) -> Result<LineTold, Status> {
        let (community, programme) = (payout.community, payout.programme);
        let debit = account_id(programme, AccountKind::Member, Some(line.member));
        let credit = account_id(programme, AccountKind::PaidOut, None);
        let request = CreateHoldRequest {
            parent: format!("communities/{}", community.0),
            request_id: line.hold().to_string(),
            debit_account: account_name(community, debit),
            credit_account: account_name(community, credit),
            amount: line.amount,
            expire_time: Some(runtime::timestamp(payout.holds_until())),
            description: describe(payout, line),
        };
        let request = runtime::request(request, PATIENCE);
        match self.ledger.clone().create_hold(request).await {
            Ok(_) => Ok(LineTold::Said(Said::Held)),
            Err(status) => match runtime::reason_of(&status).as_deref() {
                // Spent, on another list, or forfeited since; or the ledger was away for as long as the list may last.
                Some("INSUFFICIENT_POINTS" | "HOLD_EXPIRED") => Ok(LineTold::Said(Said::NotHeld)),
                _ => Err(status),
            },
        }
    }

    async fn capture_line(&self, payout: &Payout, line: &Line) -> Result<LineTold, Status> {
        let hold = line.hold();
        let request = CaptureHoldRequest {
            name: format!("communities/{}/holds/{hold}", payout.community.0),
            request_id: line.capture().to_string(),
            amount: line.amount,
            r#final: true,
            description: describe(payout, line),
            credit_account: String::new(),
        };
        let request = runtime::request(request, PATIENCE);
        let captured = self.ledger.clone().capture_hold(request).await?;
        Ok(match captured.into_inner().entry {
            Some(entry) => LineTold::Said(Said::Captured(entry.sequence)),
            None => LineTold::Broken("the ledger gave no entry of a capture".to_owned()),
        })
    }

    async fn release_line(&self, payout: &Payout, line: &Line) -> Result<LineTold, Status> {
        let hold = line.hold();
        let request = ReleaseHoldRequest {
            name: format!("communities/{}/holds/{hold}", payout.community.0),
            request_id: line.release().to_string(),
        };
        let request = runtime::request(request, PATIENCE);
        match self.ledger.clone().release_hold(request).await {
            Ok(_) => Ok(LineTold::Said(Said::Returned)),
            Err(status) => match runtime::reason_of(&status).as_deref() {
                Some("HOLD_EXPIRED") => Ok(LineTold::Said(Said::Returned)),
                _ => Err(status),
            },
        }
    }

    /// A hold that nobody knows to be there is made first: after that no late call can make it, for its answer is kept.
    async fn undo_line(&self, payout: &Payout, line: &Line) -> Result<LineTold, Status> {
        match self.hold_line(payout, line).await? {
            LineTold::Said(Said::NotHeld) => Ok(LineTold::Said(Said::Returned)),
            LineTold::Said(_) => self.release_line(payout, line).await,
            other => Ok(other),
        }
    }
}

fn describe(payout: &Payout, line: &Line) -> String {
    format!("payout {} line {}", payout.id, line.number)
}
