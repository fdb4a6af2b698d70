//! What this service asks of the activity service: who a member is, and what a programme's asset and time zone are.

use proto::activity::v1::{
    GetMemberRequest, GetProgrammeRequest, MemberKind as Kind,
    activity_service_client::ActivityServiceClient,
};
use runtime::{Client, Deadline};
use tonic::Code;

use super::{broken, call};
use crate::{
    domain::{Member, MemberKind, Name, Zone},
    error::Error,
};

const SERVICE: &str = "activity";

/// A client of the activity service.
#[derive(Debug, Clone)]
pub struct Activity(ActivityServiceClient<Client>);

/// What an offer takes from its programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// Code of its asset.
    pub asset: String,
    /// Its time zone.
    pub time_zone: Zone,
}

impl Activity {
    /// Makes a client.
    pub fn new(client: Client) -> Self {
        Self(ActivityServiceClient::new(client))
    }

    /// Returns what a decision needs of a member; nothing when there is none.
    pub async fn member(&self, name: Name, deadline: Deadline) -> Result<Option<Member>, Error> {
        let found = self.masked_member(name, deadline).await?;
        Ok(found.map(|(member, _)| member))
    }

    /// The same, and the member's masked name.
    pub async fn masked_member(
        &self,
        name: Name,
        deadline: Deadline,
    ) -> Result<Option<(Member, String)>, Error> {
        let message = GetMemberRequest {
            name: format!("communities/{}/members/{}", name.community, name.id),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_member(request).await
        });
        let member = match answer.await? {
            Ok(member) => member,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(broken(SERVICE, status.message())),
        };
        let kind = match member.kind() {
            Kind::Resident => MemberKind::Resident,
            Kind::Courier => MemberKind::Courier,
            Kind::Rider => MemberKind::Rider,
            Kind::Driver => MemberKind::Driver,
            Kind::Staff => MemberKind::Staff,
            // A kind that came after this was written takes part like anyone.
            Kind::Unspecified => MemberKind::Resident,
        };
        let birth_year = (member.birth_year != 0).then_some(member.birth_year);
        let found = Member {
            kind,
            birth_year,
            is_erased: member.erase_time.is_some(),
        };
        Ok(Some((found, member.masked_name)))
    }

    /// Returns what an offer takes from its programme; nothing when there is none.
    pub async fn programme(
        &self,
        name: Name,
        deadline: Deadline,
    ) -> Result<Option<Programme>, Error> {
        let message = GetProgrammeRequest {
            name: format!("communities/{}/programmes/{}", name.community, name.id),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_programme(request).await
        });
        let programme = match answer.await? {
            Ok(programme) => programme,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(broken(SERVICE, status.message())),
        };
        let time_zone = Zone::try_from(programme.time_zone)
            .map_err(|error| broken(SERVICE, &error.to_string()))?;
        Ok(Some(Programme {
            asset: programme.asset,
            time_zone,
        }))
    }
}
