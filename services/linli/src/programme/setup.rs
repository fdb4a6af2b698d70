//! What has to be there before anything happens: the programme with its policy, teams, members, merchants, offers.

use chrono::{Datelike, NaiveDate};
use proto::{activity::v1 as act, google::r#type::Date, redemption::v1 as red};
use runtime::Problem;
use tokio::task::JoinSet;

use super::{
    Programme,
    numbering::Numbering,
    record::{Member, Merchant, Offer},
    wishes,
};
use crate::{call, rpc::failure, system::Clients};

/// How many of a table's rows are set up at once.
const AT_ONCE: usize = 16;

/// Makes everything that the tables name. It has to run at the earliest instant of the replay.
pub async fn set_up(
    programme: &Programme,
    numbering: &Numbering,
    clients: &Clients,
) -> Result<(), Problem> {
    let steps = Steps {
        numbering,
        clients,
        programme,
    };
    steps.programme().await?;
    let records = &programme.records;
    for team in &records.teams {
        let request = act::CreateTeamRequest {
            parent: numbering.community.clone(),
            team_id: numbering.id("teams", &team.number).to_string(),
            team: Some(act::Team {
                number: team.number.clone(),
                display_name: team.name.clone(),
                colour: team.colour.clone(),
                ..Default::default()
            }),
            request_id: numbering.request("CreateTeam", &team.number),
        };
        call!(clients.activity, create_team, request)
            .await
            .map_err(|status| failure(format!("CreateTeam {}", team.number), &status))?;
    }
    all(records.members.iter().map(|member| steps.member(member))).await?;
    all(records.merchants.iter().map(|shop| steps.merchant(shop))).await?;
    all(records.offers.iter().map(|offer| steps.offer(offer))).await?;
    let mut requesters: Vec<&str> = records
        .wishes
        .iter()
        .map(|wish| &wish.requester[..])
        .collect();
    requesters.sort_unstable();
    requesters.dedup();
    let requester = |number: &&str| wishes::enrol(number, numbering, clients);
    all(requesters.iter().map(requester)).await?;
    let wish = |wish| wishes::set_up(wish, numbering, clients);
    all(records.wishes.iter().map(wish)).await
}

struct Steps<'a> {
    numbering: &'a Numbering,
    clients: &'a Clients,
    programme: &'a Programme,
}

impl Steps<'_> {
    async fn programme(&self) -> Result<(), Problem> {
        let Self {
            numbering, clients, ..
        } = self;
        let settings = &self.programme.settings;
        let request = act::CreateProgrammeRequest {
            parent: numbering.community.clone(),
            programme_id: numbering.programme_id.to_string(),
            programme: Some(act::Programme {
                display_name: settings.name.clone(),
                asset: settings.asset.clone(),
                asset_exponent: settings.asset_exponent,
                time_zone: settings.time_zone.name().to_owned(),
                budget: settings.budget,
                ..Default::default()
            }),
            request_id: numbering.request("CreateProgramme", ""),
        };
        call!(clients.activity, create_programme, request)
            .await
            .map_err(|status| failure("CreateProgramme", &status))?;
        let Some(policy) = settings.policy.clone() else {
            return Ok(());
        };
        let request = act::CreatePolicyRevisionRequest {
            parent: numbering.programme.clone(),
            policy: Some(policy),
            request_id: numbering.request("CreatePolicyRevision", ""),
        };
        let revision = call!(clients.activity, create_policy_revision, request)
            .await
            .map_err(|status| failure("CreatePolicyRevision", &status))?;
        let request = act::ActivatePolicyRevisionRequest {
            name: revision.name,
            request_id: numbering.request("ActivatePolicyRevision", ""),
        };
        call!(clients.activity, activate_policy_revision, request)
            .await
            .map_err(|status| failure("ActivatePolicyRevision", &status))?;
        Ok(())
    }

    fn member(&self, member: &Member) -> impl Future<Output = Result<(), Problem>> + use<> {
        let Self {
            numbering, clients, ..
        } = self;
        let team = member.team.as_ref();
        let request = act::CreateMemberRequest {
            parent: numbering.community.clone(),
            member_id: numbering.id("members", &member.number).to_string(),
            member: Some(act::Member {
                number: member.number.clone(),
                kind: member.kind.into(),
                team: team.map_or(String::new(), |team| numbering.name("teams", team)),
                birth_year: member.birth_year,
                display_name: member.name.clone(),
                ..Default::default()
            }),
            request_id: numbering.request("CreateMember", &member.number),
        };
        let what = format!("CreateMember {}", member.number);
        let activity = clients.activity.clone();
        async move {
            call!(activity, create_member, request)
                .await
                .map(drop)
                .map_err(|status| failure(what, &status))
        }
    }

    fn merchant(&self, merchant: &Merchant) -> impl Future<Output = Result<(), Problem>> + use<> {
        let Self {
            numbering, clients, ..
        } = self;
        let number = merchant.number.clone();
        let registration = red::CreateMerchantRequest {
            parent: numbering.community.clone(),
            merchant_id: numbering.id("merchants", &number).to_string(),
            merchant: Some(red::Merchant {
                number: number.clone(),
                display_name: merchant.name.clone(),
                category: merchant.category.clone(),
                ..Default::default()
            }),
            request_id: numbering.request("CreateMerchant", &number),
        };
        let agreement = red::CreateAgreementRequest {
            parent: numbering.name("merchants", &number),
            agreement_id: numbering.id("agreements", &number).to_string(),
            agreement: Some(red::Agreement {
                start_date: Some(date(merchant.agreement_from)),
                end_date: Some(date(merchant.agreement_to)),
                ..Default::default()
            }),
            request_id: numbering.request("CreateAgreement", &number),
        };
        let redemption = clients.redemption.clone();
        async move {
            call!(redemption, create_merchant, registration)
                .await
                .map_err(|status| failure(format!("CreateMerchant {number}"), &status))?;
            call!(redemption, create_agreement, agreement)
                .await
                .map_err(|status| failure(format!("CreateAgreement {number}"), &status))?;
            Ok(())
        }
    }

    fn offer(&self, offer: &Offer) -> impl Future<Output = Result<(), Problem>> + use<> {
        let Self {
            numbering, clients, ..
        } = self;
        let number = offer.number.clone();
        let draft = red::CreateOfferRequest {
            parent: numbering.community.clone(),
            offer_id: numbering.id("offers", &number).to_string(),
            offer: Some(red::Offer {
                merchant: numbering.name("merchants", &offer.merchant),
                programme: numbering.programme.clone(),
                title: offer.title.clone(),
                points: offer.points,
                stock: offer.stock,
                per_member_limit: offer.per_member_limit,
                audience: offer.audience.into(),
                start_date: Some(date(offer.from)),
                end_date: Some(date(offer.to)),
                reversal_days: Some(self.programme.settings.reversal_days),
                ..Default::default()
            }),
            request_id: numbering.request("CreateOffer", &number),
        };
        let activation = red::ActivateOfferRequest {
            name: numbering.name("offers", &number),
            request_id: numbering.request("ActivateOffer", &number),
        };
        let redemption = clients.redemption.clone();
        async move {
            call!(redemption, create_offer, draft)
                .await
                .map_err(|status| failure(format!("CreateOffer {number}"), &status))?;
            call!(redemption, activate_offer, activation)
                .await
                .map_err(|status| failure(format!("ActivateOffer {number}"), &status))?;
            Ok(())
        }
    }
}

/// Runs all of them, a few at a time, up to the first that fails.
async fn all(
    steps: impl Iterator<Item = impl Future<Output = Result<(), Problem>> + Send + 'static>,
) -> Result<(), Problem> {
    let ended = |result: Result<Result<(), Problem>, tokio::task::JoinError>| {
        result.unwrap_or_else(|error| Err(Problem::new(format!("the setup broke: {error}"))))
    };
    let mut running = JoinSet::new();
    for step in steps {
        if running.len() == AT_ONCE
            && let Some(result) = running.join_next().await
        {
            ended(result)?;
        }
        running.spawn(step);
    }
    while let Some(result) = running.join_next().await {
        ended(result)?;
    }
    Ok(())
}

fn date(date: NaiveDate) -> Date {
    let small = |number: u32| i32::try_from(number).expect("a month or a day fits");
    Date {
        year: date.year(),
        month: small(date.month()),
        day: small(date.day()),
    }
}
