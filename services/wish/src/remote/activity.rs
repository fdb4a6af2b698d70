//! What this service asks of the activity service: what a programme's asset is, whether somebody is a member, and to tell members something.

use proto::activity::v1::{
    DispatchEventKind, DispatchMoved, GetMemberRequest, GetProgrammeRequest, NewNotice,
    PledgeEventKind, PledgeMoved, RecordNoticesRequest,
    activity_service_client::ActivityServiceClient, new_notice::Detail,
    notice_service_client::NoticeServiceClient,
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
        telling::{DispatchTold, PledgeTold, Telling},
    },
    store::telling::Due,
};

const SERVICE: &str = "activity";

/// A client of the activity service.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(super) members: ActivityServiceClient<Client>,
    notices: NoticeServiceClient<Client>,
}

impl Activity {
    /// Makes a client.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            members: ActivityServiceClient::new(client.clone()),
            notices: NoticeServiceClient::new(client),
        }
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
        let mut client = self.members.clone();
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
        let mut client = self.members.clone();
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

    /// Tells members something; returns why not, when it is refused.
    pub(crate) async fn record_notices(
        &self,
        community: Community,
        tellings: &[Due],
        deadline: Deadline,
    ) -> Result<Result<(), String>, Error> {
        let parent = format!("communities/{}", community.0);
        let notices = tellings.iter().map(|due| NewNotice {
            id: due.id.to_string(),
            member: format!("{parent}/members/{}", due.member),
            detail: detail(&parent, &due.telling),
        });
        let message = RecordNoticesRequest {
            notices: notices.collect(),
            parent,
        };
        let mut client = self.notices.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.record_notices(request).await
        });
        let refused = |status: tonic::Status| status.message().to_owned();
        Ok(answer.await?.map(|_| ()).map_err(refused))
    }
}

fn detail(parent: &str, telling: &Telling) -> Option<Detail> {
    Some(match telling {
        Telling::Unknown => return None,
        Telling::Pledge {
            pledge,
            wish,
            title,
            what,
            back,
        } => Detail::PledgeMoved(PledgeMoved {
            pledge: format!("{parent}/pledges/{pledge}"),
            wish: format!("{parent}/wishes/{wish}"),
            title: title.clone(),
            kind: match what {
                PledgeTold::Confirmed => PledgeEventKind::Confirmed,
                PledgeTold::Refused => PledgeEventKind::Refused,
                PledgeTold::Revoked => PledgeEventKind::Revoked,
                PledgeTold::Lapsed => PledgeEventKind::Lapsed,
                PledgeTold::Reversed => PledgeEventKind::Reversed,
            }
            .into(),
            programme: match back {
                Some((programme, _)) => format!("{parent}/programmes/{programme}"),
                None => String::new(),
            },
            amount: back.map_or(0, |(_, amount)| amount),
        }),
        Telling::Dispatch {
            dispatch,
            wish,
            title,
            what,
        } => Detail::DispatchMoved(DispatchMoved {
            dispatch: format!("{parent}/dispatches/{dispatch}"),
            wish: format!("{parent}/wishes/{wish}"),
            title: title.clone(),
            kind: match what {
                DispatchTold::Issued => DispatchEventKind::Issued,
                DispatchTold::Expired => DispatchEventKind::Expired,
                DispatchTold::Withdrawn => DispatchEventKind::Withdrawn,
            }
            .into(),
        }),
    })
}
