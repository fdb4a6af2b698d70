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
