//! What this service asks of the activity service: who a member is, what a programme's asset and time zone are; and that it tells members something.

use proto::activity::v1::{
    self as pb, CardEventKind, GetMemberRequest, GetProgrammeRequest, MemberKind as Kind,
    activity_service_client::ActivityServiceClient, new_notice::Detail,
    notice_service_client::NoticeServiceClient,
};
use runtime::{Client, Deadline};
use tonic::Code;
use uuid::Uuid;

use super::{broken, call};
use crate::{
    domain::{CardChange, Content, Member, MemberKind, Name, Telling, Zone},
    error::Error,
};

const SERVICE: &str = "activity";

/// A client of the activity service.
#[derive(Debug, Clone)]
pub struct Activity {
    members: ActivityServiceClient<Client>,
    notices: NoticeServiceClient<Client>,
}

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
        Self {
            members: ActivityServiceClient::new(client.clone()),
            notices: NoticeServiceClient::new(client),
        }
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
        let mut client = self.members.clone();
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
        let mut client = self.members.clone();
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

    /// Has members told, all or none; or says why activity never will. It tells each once, however often it is asked.
    pub async fn record_notices(
        &self,
        community: Uuid,
        tellings: &[&Telling],
        deadline: Deadline,
    ) -> Result<Result<(), String>, Error> {
        let notices = tellings
            .iter()
            .filter_map(|telling| notice(community, telling));
        let message = pb::RecordNoticesRequest {
            parent: format!("communities/{community}"),
            notices: notices.collect(),
        };
        let mut client = self.notices.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.record_notices(request).await
        });
        let recorded = answer.await?;
        Ok(recorded
            .map(|_| ())
            .map_err(|status| status.message().to_owned()))
    }
}

/// A telling as the contract writes it; nothing, when a later release wrote it.
fn notice(community: Uuid, telling: &Telling) -> Option<pb::NewNotice> {
    let name = |kind, id| format!("communities/{community}/{kind}/{id}");
    let detail = Some(match &telling.content {
        Content::RedemptionReversed {
            redemption,
            title,
            programme,
            quantity,
            amount,
            is_whole,
        } => Detail::RedemptionReversed(pb::RedemptionReversed {
            redemption: name("redemptions", *redemption),
            title: title.clone(),
            programme: name("programmes", *programme),
            quantity: *quantity,
            amount: *amount,
            whole: *is_whole,
        }),
        Content::RedemptionAssisted {
            redemption,
            title,
            programme,
            amount,
        } => Detail::RedemptionAssisted(pb::RedemptionAssisted {
            redemption: name("redemptions", *redemption),
            title: title.clone(),
            programme: name("programmes", *programme),
            amount: *amount,
        }),
        Content::CardChanged { card, change } => Detail::CardChanged(pb::CardChanged {
            member_card: name("memberCards", *card),
            kind: card_event(*change).into(),
        }),
        Content::Unknown => return None,
    });
    Some(pb::NewNotice {
        id: telling.id.to_string(),
        member: name("members", telling.member),
        detail,
    })
}

fn card_event(change: CardChange) -> CardEventKind {
    match change {
        CardChange::Created => CardEventKind::Created,
        CardChange::PinReset => CardEventKind::PinReset,
        CardChange::Blocked => CardEventKind::Blocked,
        CardChange::Revoked => CardEventKind::Revoked,
    }
}
