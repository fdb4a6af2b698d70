//! The stream of events.

use proto::wish::v1::{self as pb, WishEventKind, wish_event_service_server::WishEventService};
use runtime::{Access, Messages, Stop, Watch};
use tonic::{Request, Response, Status};

use super::{DOMAIN, community, fields, optional_neighbour, own, pledge::MEMBERS};
use crate::{
    Wishes,
    domain::{
        Community,
        event::{Event, EventFilter},
    },
};

/// The service as the contract names it.
pub(super) struct EventRpc(pub(super) Wishes);

#[tonic::async_trait]
impl WishEventService for EventRpc {
    type WatchWishEventsStream = Messages<pb::WishEvent>;

    async fn watch_wish_events(
        &self,
        request: Request<pb::WatchWishEventsRequest>,
    ) -> Result<Response<Self::WatchWishEventsStream>, Status> {
        watch(&self.0, request).map(Response::new)
    }
}

fn watch(
    wishes: &Wishes,
    request: Request<pb::WatchWishEventsRequest>,
) -> Result<Messages<pb::WishEvent>, Status> {
    let access = Access::of(&request);
    let stop = Stop::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let after = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    let place = (community, MEMBERS);
    let member = optional_neighbour(&mut fields, "member", &request.member, place);
    fields.finish()?;
    own::list_of(&access, community, member)?;
    let watch = Watch {
        heads: wishes.heads.clone(),
        clock: wishes.clock.clone(),
        stop,
        until: access.until(),
        domain: DOMAIN,
        community: community.0,
        after,
    };
    let wishes = wishes.clone();
    Ok(watch.stream(move |window| {
        let wishes = wishes.clone();
        async move {
            let filter = EventFilter { community, member };
            let events = wishes.watched_events(filter, window).await?;
            let render = |event: Event| (event.sequence, encode(community, event));
            Ok(events.into_iter().map(render).collect())
        }
    }))
}

fn read_kind(kind: &str) -> WishEventKind {
    let name = format!("WISH_EVENT_KIND_{}", kind.to_uppercase());
    WishEventKind::from_str_name(&name).unwrap_or_default()
}

fn encode(community: Community, event: Event) -> pb::WishEvent {
    pb::WishEvent {
        name: format!("communities/{}/wishEvents/{}", community.0, event.sequence),
        sequence: event.sequence,
        kind: read_kind(&event.kind).into(),
        subject: format!("communities/{}/{}", community.0, event.subject),
        member: event
            .member
            .map(|id| format!("communities/{}/{MEMBERS}/{id}", community.0))
            .unwrap_or_default(),
        create_time: Some(runtime::timestamp(event.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    /// What is written of things without a table of states, and beside one.
    const OTHERS: [&str; 9] = [
        "pledge_reversed",
        "round_created",
        "round_published",
        "beneficiary_active",
        "beneficiary_updated",
        "beneficiary_ended",
        "beneficiary_erased",
        "visit_recorded",
        "value_ceilings_set",
    ];

    #[test]
    fn the_contract_knows_all_that_is_told_of_and_nothing_else() {
        let mut told = store::event_kinds();
        told.retain(|kind| kind != "pledge_pending");
        told.extend(OTHERS.map(str::to_owned));
        for kind in &told {
            assert_ne!(read_kind(kind), WishEventKind::Unspecified, "{kind}");
        }
        let kinds = (1..).map_while(|number| WishEventKind::try_from(number).ok());
        for kind in kinds {
            let is_told = told.iter().any(|word| read_kind(word) == kind);
            assert!(is_told, "{}", kind.as_str_name());
        }
    }
}
