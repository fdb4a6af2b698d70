//! The stream of events.

use proto::activity::v1::{
    self as pb, ActivityEventKind, activity_event_service_server::ActivityEventService,
};
use runtime::{Access, Messages, Stop, Watch};
use tonic::{Request, Response, Status};

use super::{DOMAIN, community, fields, member, optional_neighbour, own};
use crate::{
    Activity,
    domain::{
        Community,
        event::{Event, EventFilter},
    },
};

/// The service as the contract names it.
pub(super) struct EventRpc(pub(super) Activity);

#[tonic::async_trait]
impl ActivityEventService for EventRpc {
    type WatchActivityEventsStream = Messages<pb::ActivityEvent>;

    async fn watch_activity_events(
        &self,
        request: Request<pb::WatchActivityEventsRequest>,
    ) -> Result<Response<Self::WatchActivityEventsStream>, Status> {
        watch(&self.0, request).await.map(Response::new)
    }
}

async fn watch(
    activity: &Activity,
    request: Request<pb::WatchActivityEventsRequest>,
) -> Result<Messages<pb::ActivityEvent>, Status> {
    let access = Access::of(&request);
    let stop = Stop::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let after = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    let place = (community, "members");
    let member = optional_neighbour(&mut fields, "member", &request.member, place);
    fields.finish()?;
    own::list_of(activity, &access, community, member).await?;
    let watch = Watch {
        heads: activity.heads.clone(),
        clock: activity.clock.clone(),
        stop,
        until: access.until(),
        domain: DOMAIN,
        community: community.0,
        after,
    };
    let activity = activity.clone();
    Ok(watch.stream(move |window| {
        let activity = activity.clone();
        async move {
            let filter = EventFilter { community, member };
            let events = activity.watched_events(filter, window).await?;
            let render = |event: Event| (event.sequence, encode(community, event));
            Ok(events.into_iter().map(render).collect())
        }
    }))
}

fn read_kind(kind: &str) -> ActivityEventKind {
    let name = format!("ACTIVITY_EVENT_KIND_{}", kind.to_uppercase());
    ActivityEventKind::from_str_name(&name).unwrap_or_default()
}

fn encode(community: Community, event: Event) -> pb::ActivityEvent {
    pb::ActivityEvent {
        name: format!(
            "communities/{}/activityEvents/{}",
            community.0, event.sequence
        ),
        sequence: event.sequence,
        kind: read_kind(&event.kind).into(),
        subject: format!("communities/{}/{}", community.0, event.subject),
        member: event
            .member
            .map(|id| member::name(community, id))
            .unwrap_or_default(),
        create_time: Some(runtime::timestamp(event.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        adjustment::AdjustmentState, event::Happened, grant::GrantState, payout::PayoutState,
        report::EventKind, revision::RevisionState, service_record::RecordState,
    };

    #[test]
    fn the_contract_knows_all_that_happens_and_nothing_else() {
        let happened = [
            Happened::ProgrammeCreated,
            Happened::TeamCreated,
            Happened::MemberCreated,
            Happened::MemberErased,
            Happened::PolicyRevision(RevisionState::Draft),
            Happened::PolicyRevision(RevisionState::Active),
            Happened::PolicyRevision(RevisionState::Retired),
            Happened::PolicyRevision(RevisionState::Discarded),
            Happened::ServiceRecord(RecordState::Pending),
            Happened::ServiceRecord(RecordState::Verified),
            Happened::ServiceRecord(RecordState::Rejected),
            Happened::ServiceRecord(RecordState::Revoked),
            Happened::Grant(GrantState::Empty),
            Happened::Grant(GrantState::AwaitingBudget),
            Happened::Grant(GrantState::Pending),
            Happened::Grant(GrantState::Posted),
            Happened::Grant(GrantState::Revoking),
            Happened::Grant(GrantState::Revoked),
            Happened::Adjustment(AdjustmentState::Proposed),
            Happened::Adjustment(AdjustmentState::Approved),
            Happened::Adjustment(AdjustmentState::Applied),
            Happened::Adjustment(AdjustmentState::Declined),
            Happened::Adjustment(AdjustmentState::Refused),
            Happened::Report(EventKind::Submitted),
            Happened::Report(EventKind::Detail),
            Happened::Report(EventKind::Accepted),
            Happened::Report(EventKind::Rejected),
            Happened::Report(EventKind::Abuse),
            Happened::Report(EventKind::Duplicate),
            Happened::Report(EventKind::Referred),
            Happened::Report(EventKind::Assigned),
            Happened::Report(EventKind::HandedBack),
            Happened::Report(EventKind::Started),
            Happened::Report(EventKind::Progress),
            Happened::Report(EventKind::Resolved),
            Happened::Report(EventKind::Reopened),
            Happened::Report(EventKind::Closed),
            Happened::Report(EventKind::Rated),
            Happened::Report(EventKind::Visibility),
            Happened::Payout(PayoutState::Draft),
            Happened::Payout(PayoutState::Exported),
            Happened::Payout(PayoutState::Confirmed),
            Happened::Payout(PayoutState::Cancelled),
            Happened::NoticeRecorded,
            Happened::ServiceEvidenceAdded,
            Happened::ServiceSettingsSet,
            Happened::ReportSettingsSet,
        ];
        let words = happened.map(|happened| {
            let word = happened.word().to_uppercase();
            format!("ACTIVITY_EVENT_KIND_{word}")
        });
        let kinds = (1..).map_while(|number| ActivityEventKind::try_from(number).ok());
        let names: Vec<&str> = kinds.map(|kind| kind.as_str_name()).collect();
        for word in &words {
            assert!(names.contains(&&word[..]), "{word}");
        }
        for name in &names {
            assert!(words.iter().any(|word| word == name), "{name}");
        }
    }
}
