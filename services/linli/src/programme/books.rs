//! Takes a programme's figures from the services' own answers, and checks that their books agree with each other.

use std::collections::{BTreeMap, HashMap};

use proto::{
    activity::v1 as act,
    ledger::v1::{self as led, AccountKind},
    redemption::v1 as red,
};
use runtime::Problem;
use sha2::{Digest, Sha256};

use super::{Figures, Programme, numbering::Numbering, replay::Answers, wishes};
use crate::{call, rpc::failure, system::Clients};

const PAGE_SIZE: i32 = 1000;

/// Takes the figures, at the clock's time, after everything that has expired was swept.
pub async fn take(
    programme: &Programme,
    numbering: &Numbering,
    clients: &Clients,
    answers: Answers,
) -> Result<Figures, Problem> {
    let books = Books {
        programme,
        numbering,
        clients,
    };
    let summary = books.summary().await?;
    let shops = books.shops().await?;
    let members = books.accounts(AccountKind::Member).await?;
    let merchants = books.accounts(AccountKind::Merchant).await?;
    let trial = books.trial_balance().await?;
    let wishes = wishes::tally(programme, numbering, clients).await?;

    let balance = |kind| trial.get(&kind).copied().unwrap_or_default();
    let expired = balance(AccountKind::Expired);
    let captured: i64 = shops.values().map(|shop| shop.captured).sum();
    let spent = captured + wishes.spent;
    let returned: i64 = shops.values().map(|shop| shop.reversed).sum();
    let redemptions = shops.values().map(|shop| shop.redemptions).sum();
    let reversals = shops.values().map(|shop| shop.reversals).sum();
    let outstanding: i64 = members.values().map(|account| account.balance).sum();

    agree(
        "grants on their way to the ledger",
        0,
        summary.unposted_grants,
    )?;
    agree("granted", summary.granted, -balance(AccountKind::Issuing))?;
    agree("outstanding", outstanding, balance(AccountKind::Member))?;
    agree(
        "taken by merchants",
        captured - returned,
        balance(AccountKind::Merchant),
    )?;
    agree("given to wishes", wishes.spent, balance(AccountKind::Wish))?;
    agree(
        "granted less expired and spent plus returned",
        summary.granted - expired - spent + returned,
        outstanding,
    )?;
    let captured = i64::try_from(answers.captured.len()).unwrap_or(i64::MAX);
    agree("redemptions captured", captured, redemptions)?;
    agree("reversals", answers.reversals, reversals)?;
    for (number, shop) in &shops {
        let owner = numbering.id("merchants", number).to_string();
        let balance = merchants.get(&owner).map_or(0, |account| account.balance);
        agree(
            &format!("taken by merchant {number}"),
            shop.captured - shop.reversed,
            balance,
        )?;
    }

    Ok(Figures {
        granted: summary.granted,
        awaiting_budget: summary.awaiting_budget,
        expired,
        spent,
        returned,
        held: members.values().map(|account| account.held).sum(),
        outstanding,
        service_minutes: summary.service_minutes,
        grants: summary.grants,
        redemptions,
        refused: answers.refused,
        reversals,
        merchants: shops
            .into_iter()
            .filter(|(_, shop)| shop.redemptions > 0)
            .map(|(number, shop)| (number, shop.captured - shop.reversed))
            .collect(),
        wishes: wishes.states,
        balances_sha256: books.balances_sha256(&members),
    })
}

fn agree(what: &str, left: i64, right: i64) -> Result<(), Problem> {
    if left == right {
        return Ok(());
    }
    Err(Problem::new(format!(
        "the books of the services disagree on {what}: {left} and {right}"
    )))
}

/// What redemption says of one merchant.
#[derive(Debug, Default)]
struct Shop {
    redemptions: i64,
    captured: i64,
    reversed: i64,
    reversals: i64,
}

struct Books<'a> {
    programme: &'a Programme,
    numbering: &'a Numbering,
    clients: &'a Clients,
}

impl Books<'_> {
    async fn summary(&self) -> Result<act::ProgrammeSummary, Problem> {
        let request = act::GetProgrammeSummaryRequest {
            name: self.numbering.programme.clone(),
        };
        call!(self.clients.activity, get_programme_summary, request)
            .await
            .map_err(|status| failure("GetProgrammeSummary", &status))
    }

    async fn shops(&self) -> Result<BTreeMap<String, Shop>, Problem> {
        let mut shops = BTreeMap::new();
        for merchant in &self.programme.records.merchants {
            let number = &merchant.number;
            let request = red::GetMerchantSummaryRequest {
                name: self.numbering.name("merchants", number),
            };
            let summary = call!(self.clients.redemption, get_merchant_summary, request)
                .await
                .map_err(|status| failure(format!("GetMerchantSummary {number}"), &status))?;
            let mut shop = Shop::default();
            for row in summary.rows {
                shop.redemptions += row.redemptions;
                shop.captured += row.captured_points;
                shop.reversed += row.reversed_points;
                shop.reversals += row.reversals;
            }
            shops.insert(number.clone(), shop);
        }
        Ok(shops)
    }

    /// The programme's accounts of one kind, by owner.
    async fn accounts(&self, kind: AccountKind) -> Result<HashMap<String, led::Account>, Problem> {
        let mut accounts = HashMap::new();
        let mut page_token = String::new();
        loop {
            let request = led::ListAccountsRequest {
                parent: self.numbering.community.clone(),
                programme: self.numbering.programme.clone(),
                kind: kind.into(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = call!(self.clients.ledger, list_accounts, request)
                .await
                .map_err(|status| failure("ListAccounts", &status))?;
            for account in page.accounts {
                accounts.insert(account.owner.clone(), account);
            }
            if page.next_page_token.is_empty() {
                return Ok(accounts);
            }
            page_token = page.next_page_token;
        }
    }

    async fn trial_balance(&self) -> Result<HashMap<AccountKind, i64>, Problem> {
        let request = led::GetTrialBalanceRequest {
            parent: self.numbering.community.clone(),
            programme: self.numbering.programme.clone(),
        };
        let trial = call!(self.clients.ledger, get_trial_balance, request)
            .await
            .map_err(|status| failure("GetTrialBalance", &status))?;
        let mut balances = HashMap::new();
        for row in &trial.rows {
            *balances.entry(row.kind()).or_default() += row.balance;
        }
        agree("the sum of all accounts", 0, balances.values().sum())?;
        Ok(balances)
    }

    /// Of a line for every member, in order of their numbers; who has never had an account has nothing.
    fn balances_sha256(&self, accounts: &HashMap<String, led::Account>) -> String {
        let members = &self.programme.records.members;
        let mut numbers: Vec<&str> = members.iter().map(|member| &member.number[..]).collect();
        numbers.sort_unstable();
        let mut hash = Sha256::new();
        for number in numbers {
            let owner = self.numbering.id("members", number).to_string();
            let balance = accounts.get(&owner).map_or(0, |account| account.balance);
            hash.update(format!("{number},{balance}\n"));
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
