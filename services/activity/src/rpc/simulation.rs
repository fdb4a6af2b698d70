//! Policies tried out on the past, and compared.

use chrono::{Days, NaiveDate};
use prost::Message;
use proto::{
    activity::v1::{
        self as pb, policy_part, policy_service_server::PolicyService,
        simulate_policy_request as asked,
    },
    google::r#type::Date,
};
use runtime::{Access, Fields};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Place, fields, member, optional_enumeration, policy, resource, service_record};
use crate::{
    Activity,
    domain::{
        Community,
        comparison::{Difference, Example, Kind, Part, Placed},
        simulation::{CapSum, MemberOrder, RuleSum, Sums},
    },
    simulation::{Simulated, SimulatedMember, Subject, Trial},
};

/// Three years and a little.
const MOST_DAYS: u64 = 1_100;

/// The service as the contract names it.
pub(super) struct PolicyRpc(pub(super) Activity);

#[tonic::async_trait]
impl PolicyService for PolicyRpc {
    async fn simulate_policy(
        &self,
        request: Request<pb::SimulatePolicyRequest>,
    ) -> Result<Response<pb::SimulatePolicyResponse>, Status> {
        simulate(&self.0, request).await.map(Response::new)
    }

    async fn compare_policy_revisions(
        &self,
        request: Request<pb::ComparePolicyRevisionsRequest>,
    ) -> Result<Response<pb::ComparePolicyRevisionsResponse>, Status> {
        compare(&self.0, request).await.map(Response::new)
    }
}

async fn simulate(
    activity: &Activity,
    request: Request<pb::SimulatePolicyRequest>,
) -> Result<pb::SimulatePolicyResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    // A token goes on in the list of the same question; a policy is too long to stand in it.
    let question = pb::SimulatePolicyRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let question = Uuid::new_v5(&programme, &question.encode_to_vec());
    let query = format!("SimulatePolicy {} {question}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    let order = match optional_enumeration(&mut fields, "order", request.order) {
        Some(pb::SimulatedMemberOrder::Number) => MemberOrder::Number,
        Some(pb::SimulatedMemberOrder::Difference | pb::SimulatedMemberOrder::Unspecified)
        | None => MemberOrder::Difference,
    };
    let start = date(&mut fields, "start_date", request.start_date.as_ref());
    let end = date(&mut fields, "end_date", request.end_date.as_ref());
    if let (Some(start), Some(end)) = (start, end) {
        let last = start.checked_add_days(Days::new(MOST_DAYS));
        let fits = start <= end && last.is_none_or(|last| end <= last);
        let why = format!("from start_date to {MOST_DAYS} days after it, not {end}");
        fields.check("end_date", fits, why);
    }
    let subject = subject(&mut fields, (community, programme), request.subject);
    fields.finish()?;
    let trial = Trial {
        community,
        programme,
        subject: subject.expect("what is missing was told"),
        start: start.expect("what is missing was told"),
        end: end.expect("what is missing was told"),
        apply_budget: request.apply_budget,
        order,
    };
    let after = place.after.clone();
    let simulated = activity.simulate_policy(&trial, after, place.size).await?;
    let next_page_token = place.next_page_token(&simulated.members);
    Ok(encode(community, simulated, next_page_token))
}

fn subject(
    fields: &mut Fields,
    (community, programme): (Community, Uuid),
    subject: Option<asked::Subject>,
) -> Option<Subject> {
    match subject {
        Some(asked::Subject::PolicyRevision(name)) => {
            let key = policy::revision_key(fields, "policy_revision", &name);
            let known = !key.community.0.is_nil() && !community.0.is_nil();
            let elsewhere = known && (key.community, key.programme) != (community, programme);
            fields.check("policy_revision", !elsewhere, "is of another programme");
            Some(Subject::Revision(key.revision))
        }
        Some(asked::Subject::Policy(policy)) => {
            Some(Subject::Policy(policy::read_policy(fields, &policy)))
        }
        None => {
            fields.fail("policy_revision", "required, or policy");
            fields.fail("policy", "required, or policy_revision");
            None
        }
    }
}

/// Reads a whole date.
fn date(fields: &mut Fields, field: &str, value: Option<&Date>) -> Option<NaiveDate> {
    fields.check(field, value.is_some(), "required");
    let Date { year, month, day } = value?;
    let date = match (u32::try_from(*month), u32::try_from(*day)) {
        (Ok(month), Ok(day)) if (1970..=9998).contains(year) => {
            NaiveDate::from_ymd_opt(*year, month, day)
        }
        _ => None,
    };
    let why = format!("not a date from 1970 to 9998: {year}-{month}-{day}");
    fields.check(field, date.is_some(), why);
    date
}

fn encode(
    community: Community,
    simulated: Simulated,
    next_page_token: String,
) -> pb::SimulatePolicyResponse {
    let members = simulated.members.items.into_iter();
    let difference = simulated.sums.difference();
    pb::SimulatePolicyResponse {
        members: members
            .map(|member| encode_member(community, member))
            .collect(),
        next_page_token,
        sums: Some(encode_sums(&simulated.sums)),
        member_count: count(simulated.member_count),
        rules: (0..).zip(simulated.rules).map(encode_rule).collect(),
        unmatched_deeds: simulated.unmatched,
        caps: (0..).zip(simulated.caps).map(encode_cap).collect(),
        budget_left: simulated.budget_left,
        budget_left_after: simulated
            .budget_left
            .map(|left| left.saturating_sub(difference)),
    }
}

fn encode_member(community: Community, member: SimulatedMember) -> pb::SimulatedMember {
    pb::SimulatedMember {
        member: member::name(community, member.member),
        number: member.number,
        sums: Some(encode_sums(&member.sums)),
    }
}

fn encode_sums(sums: &Sums) -> pb::SimulatedSums {
    pb::SimulatedSums {
        deeds: sums.deeds,
        granted: sums.granted,
        awaiting_budget: sums.awaiting,
        simulated_granted: sums.simulated_granted,
        simulated_awaiting_budget: sums.simulated_awaiting,
        difference: sums.difference(),
    }
}

fn encode_rule((index, sum): (i32, RuleSum)) -> pb::SimulatedRule {
    pb::SimulatedRule {
        index,
        rule: Some(policy::encode_rule(&sum.rule)),
        deeds: sum.deeds,
        desired: sum.desired,
    }
}

fn encode_cap((index, sum): (i32, CapSum)) -> pb::SimulatedCap {
    pb::SimulatedCap {
        index,
        cap: Some(policy::encode_cap(&sum.cap)),
        grants: sum.grants,
        cut: sum.cut,
    }
}

async fn compare(
    activity: &Activity,
    request: Request<pb::ComparePolicyRevisionsRequest>,
) -> Result<pb::ComparePolicyRevisionsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let key = policy::revision_key(&mut fields, "name", &request.name);
    let base = policy::revision_key(&mut fields, "base", &request.base);
    let known = !key.community.0.is_nil() && !base.community.0.is_nil();
    let elsewhere = known && (key.community, key.programme) != (base.community, base.programme);
    fields.check("base", !elsewhere, "is of another programme");
    fields.finish()?;
    let differences = activity
        .compare_policy_revisions(key, base.revision)
        .await?;
    Ok(pb::ComparePolicyRevisionsResponse {
        differences: differences.iter().map(encode_difference).collect(),
    })
}

fn encode_difference(difference: &Difference) -> pb::PolicyDifference {
    let kind = match difference.kind {
        Kind::Added => pb::PolicyDifferenceKind::Added,
        Kind::Removed => pb::PolicyDifferenceKind::Removed,
        Kind::Changed => pb::PolicyDifferenceKind::Changed,
        Kind::Moved => pb::PolicyDifferenceKind::Moved,
    };
    pb::PolicyDifference {
        kind: kind.into(),
        before: difference.before.as_ref().map(encode_placed),
        after: difference.after.as_ref().map(encode_placed),
        example: difference.example.as_ref().map(encode_example),
        text_zh: difference.text_zh(),
        text_en: difference.text_en(),
    }
}

fn encode_placed(placed: &Placed) -> pb::PolicyPart {
    let part = match &placed.part {
        Part::Rule(rule) => policy_part::Part::Rule(policy::encode_rule(rule)),
        Part::Multiplier(multiplier) => {
            policy_part::Part::Multiplier(policy::encode_multiplier(multiplier))
        }
        Part::Cap(cap) => policy_part::Part::Cap(policy::encode_cap(cap)),
        Part::ExpiryMonths(months) => policy_part::Part::ExpiryMonths(
            months.map_or(-1, |months| i32::try_from(months).unwrap_or(i32::MAX)),
        ),
    };
    pb::PolicyPart {
        index: i32::try_from(placed.index).unwrap_or(i32::MAX),
        part: Some(part),
    }
}

fn encode_example(example: &Example) -> pb::ExampleDeed {
    pb::ExampleDeed {
        category: example.category.clone(),
        role: service_record::encode_role(example.role),
        day_of_month: i32::try_from(example.day_of_month).unwrap_or(i32::MAX),
        minutes: Example::MINUTES,
        before: example.before,
        after: example.after,
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
