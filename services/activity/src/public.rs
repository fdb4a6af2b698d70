//! What everyone in the community may see of cash rewards: a month's sums, and each reward as it is made.

use chrono::{Months, NaiveDate};
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    domain::{Community, calendar::month_start, programme::Programme},
    store::{
        self,
        public::{CategorySum, Cursor, PublicFilter, Rewarded},
    },
};

/// A reward as everyone may see it.
#[derive(Debug, Clone)]
pub(crate) struct PublicReward {
    pub(crate) rewarded: Rewarded,
    /// Empty: was erased, or can't be read.
    pub(crate) masked_name: String,
}

impl Activity {
    /// Returns a month's sums of a cash programme.
    pub(crate) async fn get_public_rewards(
        &self,
        community: Community,
        programme: Uuid,
        date: NaiveDate,
    ) -> Result<(Programme, Vec<CategorySum>), Error> {
        let programme = self.cash_programme(community, programme).await?;
        let filter = filter(&programme, Some(date));
        let sums = store::public::sums(&self.pool, filter).await?;
        Ok((programme, sums))
    }

    /// Lists a month's rewards of a cash programme, or all, the last deeds first.
    pub(crate) async fn list_public_rewards(
        &self,
        (community, programme): (Community, Uuid),
        date: Option<NaiveDate>,
        before: Option<Cursor>,
        size: i64,
    ) -> Result<(Programme, Page<PublicReward, Cursor>), Error> {
        let programme = self.cash_programme(community, programme).await?;
        let filter = filter(&programme, date);
        let rows = store::public::list(&self.pool, filter, before, size + 1).await?;
        let page = Page::cut(rows, size, |rewarded| (rewarded.local_date, rewarded.grant));
        let members: Vec<Uuid> = page.items.iter().map(|row| row.member).collect();
        let persons = self.masked_persons(community, &members).await?;
        let rewards = page.items.into_iter().map(|rewarded| {
            let person = persons.get(&rewarded.member);
            PublicReward {
                masked_name: person.map(|person| person.name.clone()).unwrap_or_default(),
                rewarded,
            }
        });
        let page = Page {
            items: rewards.collect(),
            next: page.next,
        };
        Ok((programme, page))
    }
}

/// The month of a day.
fn filter(programme: &Programme, date: Option<NaiveDate>) -> PublicFilter {
    let start = date.map(month_start);
    PublicFilter {
        community: programme.community,
        programme: programme.id,
        start,
        // The last month of the calendar has no end.
        end: start.and_then(|start| start.checked_add_months(Months::new(1))),
    }
}
