//! Teams.

use proto::activity::v1 as pb;
use runtime::Access;
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Place, call, chosen_id, community, fields, required};
use crate::{
    Activity,
    domain::{Community, member::Team},
    team::NewTeam,
};

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreateTeamRequest>,
) -> Result<pb::Team, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateTeam", &request);
    let id = chosen_id(&mut fields, "team_id", &request.team_id);
    let team = required(&mut fields, "team", request.team);
    let new = NewTeam {
        id,
        number: fields.text("team.number", &team.number, 32),
        display_name: fields.text("team.display_name", &team.display_name, 120),
        colour: fields.optional_text("team.colour", &team.colour, 20),
    };
    fields.finish()?;
    Ok(encode(activity.create_team(&call, new).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListTeamsRequest>,
) -> Result<pb::ListTeamsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let query = format!("ListTeams {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = activity.list_teams(community, after, place.size).await?;
    Ok(pb::ListTeamsResponse {
        next_page_token: place.next_page_token(&page),
        teams: page.items.into_iter().map(encode).collect(),
    })
}

fn encode(team: Team) -> pb::Team {
    pb::Team {
        name: name(team.community, team.id),
        number: team.number,
        display_name: team.display_name,
        colour: team.colour,
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/teams/{id}", community.0)
}
