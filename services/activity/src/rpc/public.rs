//! What everyone in the community may see of cash rewards.

use chrono::{Datelike, NaiveDate};
use proto::{activity::v1 as pb, google::r#type::Date};
use runtime::{Access, Fields};
use tonic::{Request, Status};

use super::{Place, fields, resource};
use crate::{Activity, domain::calendar::month_start};

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetPublicRewardsRequest>,
) -> Result<pb::PublicRewards, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "name", &request.name, "programmes");
    fields.check("date", request.date.is_some(), "required");
    let date = optional_date(&mut fields, "date", &request.date);
    fields.finish()?;
    let date = date.ok_or_else(runtime::internal)?;
    let (programme, sums) = activity
        .get_public_rewards(community, programme, date)
        .await?;
    let amount = sums.iter().map(|sum| sum.amount).sum();
    let total = programme.money(amount);
    let categories = sums.iter().map(|sum| pb::CategoryRewards {
        category: sum.category.clone(),
        rewards: sum.rewards,
        amount: sum.amount,
    });
    Ok(pb::PublicRewards {
        month: Some(month(date)),
        rewards: sums.iter().map(|sum| sum.rewards).sum(),
        amount,
        amount_text_zh: total.text_zh(),
        amount_text_en: total.text_en(),
        categories: categories.collect(),
    })
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListPublicRewardsRequest>,
) -> Result<pb::ListPublicRewardsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let programme = resource(&mut fields, "parent", &request.parent, "programmes");
    let date = optional_date(&mut fields, "date", &request.date);
    let query = format!("ListPublicRewards {} {date:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let (programme, page) = activity
        .list_public_rewards(programme, date, place.after, place.size)
        .await?;
    let next_page_token = place.next_page_token(&page);
    let rewards = page.items.into_iter().map(|reward| {
        let amount = programme.money(reward.rewarded.amount);
        pb::PublicReward {
            masked_name: reward.masked_name,
            amount: reward.rewarded.amount,
            amount_text_zh: amount.text_zh(),
            amount_text_en: amount.text_en(),
            month: Some(month(reward.rewarded.local_date)),
            category: reward.rewarded.category,
        }
    });
    Ok(pb::ListPublicRewardsResponse {
        rewards: rewards.collect(),
        next_page_token,
    })
}

pub(super) fn optional_date(
    fields: &mut Fields,
    field: &str,
    value: &Option<Date>,
) -> Option<NaiveDate> {
    let Date { year, month, day } = value.as_ref()?;
    let date = match (u32::try_from(*month), u32::try_from(*day)) {
        (Ok(month), Ok(day)) if (1..=9999).contains(year) => {
            NaiveDate::from_ymd_opt(*year, month, day)
        }
        _ => None,
    };
    let why = format!("not a date: {year}-{month}-{day}");
    fields.check(field, date.is_some(), why);
    date
}

/// The month of a day.
fn month(date: NaiveDate) -> Date {
    encode_date(month_start(date))
}

/// Writes a local day.
pub(super) fn encode_date(date: NaiveDate) -> Date {
    let small = |number: u32| i32::try_from(number).expect("months and days are small numbers");
    Date {
        year: date.year(),
        month: small(date.month()),
        day: small(date.day()),
    }
}
