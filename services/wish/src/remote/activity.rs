//! What this service asks of the activity service: what a programme's asset is, and
//! whether somebody is a member.

use proto::activity::v1::{
    GetMemberRequest, GetProgrammeRequest, activity_service_client::ActivityServiceClient,
};
use runtime::{Client, Deadline};
use tonic::Code;
use uuid::Uuid;

use super::{broken, call};
use crate::{
    Error,
    domain::{
        Community,
        refusal::{Refusal, Resource},
    },
};

const SERVICE: &str = "activity";

/// A client of the activity service.
#[derive(Debug, Clone)]
pub(crate) struct Activity(pub(super) ActivityServiceClient<Client>);

impl Activity {
    /// Makes a client.
    pub(crate) fn new(client: Client) -> Self {
        Self(ActivityServiceClient::new(client))
    }

    /// Returns the asset of a programme; nothing when there is no such programme.
    pub(crate) async fn asset(
        &self,
        community: Community,
        programme: Uuid,
        deadline: Deadline,
    ) -> Result<Option<String>, Error> {
        let message = GetProgrammeRequest {
            name: format!("communities/{}/programmes/{programme}", community.0),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_programme(request).await
        });
        match answer.await? {
            Ok(programme) => Ok(Some(programme.asset)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }

    /// Sees that a member is there and was not erased.
    pub(crate) async fn require_member(
        &self,
        community: Community,
        id: Uuid,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let message = GetMemberRequest {
            name: format!("communities/{}/members/{id}", community.0),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_member(request).await
        });
        match answer.await? {
            Ok(member) if member.erase_time.is_some() => {
                Err(Refusal::MemberErased { member: id }.into())
            }
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Err(Refusal::NotFound {
                resource: Resource::Member,
                id,
            }
            .into()),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }
}
