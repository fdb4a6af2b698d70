//! Rounds.

use proto::wish::v1 as pb;
use runtime::{Access, Fields, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, Step, call, chosen_id, community, fields, neighbour, required, resource, wish::WISHES,
};
use crate::{
    Wishes,
    domain::{Community, round::Round},
    round::NewRound,
};

const ROUNDS: &str = "rounds";
const MAX_WISHES: usize = 500;

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::CreateRoundRequest>,
) -> Result<pb::Round, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateRound", &request);
    let id = chosen_id(&mut fields, "round_id", &request.round_id);
    let round = required(&mut fields, "round", request.round);
    let new = NewRound {
        id,
        title: fields.text("round.title", &round.title, 120),
        wishes: read_wishes(&mut fields, community, &round.wishes),
    };
    fields.finish()?;
    Ok(encode(wishes.create_round(&call, new).await?))
}

fn read_wishes(fields: &mut Fields, community: Community, names: &[String]) -> Vec<Uuid> {
    let why = format!("{} wishes, must be 1 to {MAX_WISHES}", names.len());
    let in_range = (1..=MAX_WISHES).contains(&names.len());
    fields.check("round.wishes", in_range, why);
    let mut wishes = Vec::new();
    for (at, name) in names.iter().take(MAX_WISHES).enumerate() {
        let field = format!("round.wishes[{at}]");
        let wish = neighbour(fields, &field, name, (community, WISHES));
        fields.check(
            &field,
            wish.is_nil() || !wishes.contains(&wish),
            "is there twice",
        );
        wishes.push(wish);
    }
    wishes
}

pub(super) async fn publish(
    wishes: &Wishes,
    request: Request<pb::PublishRoundRequest>,
) -> Result<pb::Round, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "PublishRound",
        kind: ROUNDS,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    Ok(encode(wishes.publish_round(&call, id).await?))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetRoundRequest>,
) -> Result<pb::Round, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, ROUNDS);
    fields.finish()?;
    Ok(encode(wishes.get_round(community, id).await?))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListRoundsRequest>,
) -> Result<pb::ListRoundsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let query = format!("ListRounds {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes.list_rounds(community, after, place.size).await?;
    Ok(pb::ListRoundsResponse {
        next_page_token: place.next_page_token(&page),
        rounds: page.items.into_iter().map(encode).collect(),
    })
}

fn encode(round: Round) -> pb::Round {
    let community = round.community.0;
    let name = |kind: &str, id: Uuid| format!("communities/{community}/{kind}/{id}");
    pb::Round {
        name: name(ROUNDS, round.id),
        title: round.title,
        wishes: round.wishes.iter().map(|id| name(WISHES, *id)).collect(),
        state: match round.published_at {
            None => pb::RoundState::Draft,
            Some(_) => pb::RoundState::Published,
        }
        .into(),
        create_time: Some(timestamp(round.created_at)),
        publish_time: round.published_at.map(timestamp),
    }
}
