//! What this service asks of the ledger: an account for what members give to wishes.

use proto::{
    account_id,
    ledger::v1::{
        Account, AccountKind, CreateAccountRequest, ledger_service_client::LedgerServiceClient,
    },
};
use runtime::{Client, Deadline};
use uuid::Uuid;

use super::{broken, call};
use crate::{Error, domain::Community};

const SERVICE: &str = "ledger";

/// A client of the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(LedgerServiceClient<Client>);

impl Ledger {
    /// Makes a client.
    pub(crate) fn new(client: Client) -> Self {
        Self(LedgerServiceClient::new(client))
    }

    /// Opens a programme's account for wishes, or finds it open.
    pub(crate) async fn open_account(
        &self,
        (community, programme, asset): (Community, Uuid, &str),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let message = CreateAccountRequest {
            parent: format!("communities/{}", community.0),
            account_id: account_id(programme, AccountKind::Wish, None).to_string(),
            account: Some(Account {
                programme: format!("communities/{}/programmes/{programme}", community.0),
                asset: asset.to_owned(),
                kind: AccountKind::Wish.into(),
                min_balance: Some(0),
                ..Account::default()
            }),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.create_account(request).await
        });
        match answer.await? {
            Ok(_) => Ok(()),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }
}
