//! The stream of events.

use proto::redemption::v1::{
    self as pb, RedemptionEventKind, redemption_event_service_server::RedemptionEventService,
};
use runtime::{Access, Messages, Stop, Watch, timestamp};
use tonic::{Request, Response, Status};

use super::{
    merchant::MERCHANTS,
    own,
    read::{self, MEMBERS, fields},
    status::DOMAIN,
};
use crate::{
    Redemption,
    domain::{Event, EventFilter},
};

/// The service as the contract names it.
pub(super) struct EventRpc(pub(super) Redemption);

#[tonic::async_trait]
impl RedemptionEventService for EventRpc {
    type WatchRedemptionEventsStream = Messages<pb::RedemptionEvent>;

    async fn watch_redemption_events(
        &self,
        request: Request<pb::WatchRedemptionEventsRequest>,
    ) -> Result<Response<Self::WatchRedemptionEventsStream>, Status> {
        watch(&self.0, request).map(Response::new)
    }
}

fn watch(
    service: &Redemption,
    request: Request<pb::WatchRedemptionEventsRequest>,
) -> Result<Messages<pb::RedemptionEvent>, Status> {
    let access = Access::of(&request);
    let stop = Stop::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = read::parent(&mut fields, &request.parent);
    let after = fields.range("after_sequence", request.after_sequence, 0, i64::MAX);
    let (member, merchant) = (&request.member, &request.merchant);
    let filter = EventFilter {
        community,
        member: read::optional_name_within(&mut fields, community, "member", member, MEMBERS),
        merchant: read::optional_name_within(
            &mut fields,
            community,
            "merchant",
            merchant,
            MERCHANTS,
        ),
    };
    fields.finish()?;
    own::list_of(&access, community, (filter.member, filter.merchant))?;
    let watch = Watch {
        heads: service.heads(),
        clock: service.clock.clone(),
        stop,
        until: access.until(),
        domain: DOMAIN,
        community,
        after,
    };
    let service = service.clone();
    Ok(watch.stream(move |window| {
        let (service, access) = (service.clone(), access.clone());
        async move {
            let events = service.watched_events(filter, window).await?;
            let render = |event: Event| (event.sequence, message(&access, filter, event));
            Ok(events.into_iter().map(render).collect())
        }
    }))
}

fn message(access: &Access, filter: EventFilter, event: Event) -> pb::RedemptionEvent {
    let community = filter.community;
    let kind = format!("REDEMPTION_EVENT_KIND_{}", event.kind.to_uppercase());
    let kind = RedemptionEventKind::from_str_name(&kind);
    // A shop need not know which of its visitors are the same person.
    let member = event
        .member
        .filter(|member| access.owns(community, MEMBERS, *member));
    let named = |kind, id| format!("communities/{community}/{kind}/{id}");
    pb::RedemptionEvent {
        name: format!(
            "communities/{community}/redemptionEvents/{}",
            event.sequence
        ),
        sequence: event.sequence,
        kind: kind.unwrap_or_default().into(),
        subject: format!("communities/{community}/{}", event.subject),
        member: member.map(|id| named(MEMBERS, id)).unwrap_or_default(),
        merchant: event
            .merchant
            .map(|id| named(MERCHANTS, id))
            .unwrap_or_default(),
        create_time: Some(timestamp(event.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Happened;

    #[test]
    fn the_contract_knows_all_that_happens_and_nothing_else() {
        let words = Happened::ALL.map(|happened| {
            let word = happened.word().to_uppercase();
            format!("REDEMPTION_EVENT_KIND_{word}")
        });
        let kinds = (1..).map_while(|number| RedemptionEventKind::try_from(number).ok());
        let names: Vec<&str> = kinds.map(|kind| kind.as_str_name()).collect();
        for word in &words {
            assert!(names.contains(&&word[..]), "{word}");
        }
        for name in &names {
            assert!(words.iter().any(|word| word == name), "{name}");
        }
    }
}
