//! What happened in a programme, in the order in which it is applied.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Programme,
    record::{Pledge, Redemption, Reversal, Service, Wish},
    report::{Outcome, Report},
};

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A service record was verified or rejected.
    Service(&'a Service),
    /// A problem was reported.
    Submission(&'a Report),
    /// A report was accepted, rejected or found a duplicate, and when that could be taken.
    Report(&'a Report, DateTime<Utc>),
    /// A member took an offer.
    Redemption(&'a Redemption),
    /// What a member took was given back.
    Reversal(&'a Redemption, Reversal),
    /// A wish was published.
    Publication(&'a Wish),
    /// A part of a wish was pledged.
    Pledge(&'a Pledge),
    /// What was pledged was delivered and confirmed.
    Fulfilment(&'a Pledge, DateTime<Utc>),
    /// A wish was closed.
    Close(&'a Wish),
}

impl<'a> Event<'a> {
    /// When it happened.
    pub fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Service(service) => service.verified_at,
            Self::Submission(report) => report.submitted_at,
            Self::Report(_, at) => *at,
            Self::Redemption(redemption) => redemption.at,
            Self::Reversal(_, reversal) => reversal.at,
            Self::Publication(wish) => wish.published_at,
            Self::Pledge(pledge) => pledge.at,
            Self::Fulfilment(_, at) => *at,
            Self::Close(wish) => wish.closes_at,
        }
    }

    /// Where the clock has to stand for it. A wish is open at its close, and closed right behind it.
    pub fn moment(&self) -> DateTime<Utc> {
        match self {
            Self::Close(wish) => wish.closes_at + TimeDelta::microseconds(1),
            other => other.at(),
        }
    }

    /// At one instant deeds come before spending, and what spends before what undoes it. What is reported moves no points, so it only has to come
    /// before what is decided on it; and a duplicate earns nothing, so it only has to come behind its original.
    fn order(&self) -> (DateTime<Utc>, u8, bool, &'a str) {
        let mut is_duplicate = false;
        let (kind, number) = match self {
            Self::Service(service) => (0, &service.number),
            Self::Submission(report) => (0, &report.number),
            Self::Report(report, _) => {
                is_duplicate = matches!(report.outcome, Outcome::Duplicate(_));
                (1, &report.number)
            }
            Self::Redemption(redemption) => (2, &redemption.number),
            Self::Reversal(redemption, _) => (3, &redemption.number),
            Self::Publication(wish) => (4, &wish.number),
            Self::Pledge(pledge) => (5, &pledge.number),
            Self::Fulfilment(pledge, _) => (6, &pledge.number),
            Self::Close(wish) => (7, &wish.number),
        };
        (self.at(), kind, is_duplicate, number)
    }
}

/// Everything that happened up to `as_of`, in order.
pub fn events(programme: &Programme) -> Vec<Event<'_>> {
    let records = &programme.records;
    let mut events: Vec<Event<'_>> = records.services.iter().map(Event::Service).collect();
    let decided: HashMap<&str, DateTime<Utc>> = records
        .reports
        .iter()
        .map(|report| (&report.number[..], report.decided_at))
        .collect();
    for report in &records.reports {
        // The services take no duplicate of what nobody has decided on.
        let original = match &report.outcome {
            Outcome::Duplicate(original) => decided.get(&original[..]).copied(),
            Outcome::Accepted | Outcome::Rejected => None,
        };
        let at = original.map_or(report.decided_at, |first| first.max(report.decided_at));
        events.extend([Event::Submission(report), Event::Report(report, at)]);
    }
    for redemption in &records.redemptions {
        events.push(Event::Redemption(redemption));
        if let Some(reversal) = redemption.reversal {
            events.push(Event::Reversal(redemption, reversal));
        }
    }
    for wish in &records.wishes {
        events.push(Event::Publication(wish));
        events.push(Event::Close(wish));
    }
    for pledge in &records.pledges {
        events.push(Event::Pledge(pledge));
        if let Some(at) = pledge.fulfilled_at {
            events.push(Event::Fulfilment(pledge, at));
        }
    }
    events.retain(|event| event.at() <= programme.settings.as_of);
    events.sort_by_key(Event::order);
    events
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn programme() -> Programme {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programmes/bishahu");
        Programme::read(&folder).unwrap()
    }

    #[test]
    fn at_one_instant_kinds_have_an_order_and_numbers_compare_as_text() {
        let mut programme = programme();
        let at = programme.settings.starts;
        let records = &mut programme.records;
        records.services.truncate(2);
        for (service, number) in records.services.iter_mut().zip(["R9", "R10"]) {
            service.number = number.to_owned();
            service.verified_at = at;
        }
        records.redemptions.truncate(2);
        for (redemption, number) in records.redemptions.iter_mut().zip(["X2", "X1"]) {
            redemption.number = number.to_owned();
            redemption.at = at;
            redemption.reversal = Some(Reversal { at, quantity: 1 });
        }
        let order: Vec<String> = events(&programme)
            .iter()
            .map(|event| match event {
                Event::Service(service) => service.number.clone(),
                Event::Submission(report) | Event::Report(report, _) => report.number.clone(),
                Event::Redemption(redemption) => redemption.number.clone(),
                Event::Reversal(redemption, _) => format!("-{}", redemption.number),
                Event::Publication(wish) => wish.number.clone(),
                Event::Pledge(pledge) => pledge.number.clone(),
                Event::Fulfilment(pledge, _) => format!("{}!", pledge.number),
                Event::Close(wish) => format!("-{}", wish.number),
            })
            .collect();
        assert_eq!(order, ["R10", "R9", "X1", "X2", "-X1", "-X2"]);
    }

    #[test]
    fn time_comes_before_kind() {
        let programme = programme();
        let events = events(&programme);
        assert!(events.is_sorted_by_key(Event::at));
        assert!(events.len() > 1900);
    }

    #[test]
    fn what_happened_after_the_figures_were_taken_is_left_out() {
        let mut programme = programme();
        let all = events(&programme);
        let (count, last) = (all.len(), all[all.len() - 1].at());
        programme.settings.as_of = last;
        assert_eq!(events(&programme).len(), count);
        programme.settings.as_of = last - TimeDelta::seconds(1);
        assert!(events(&programme).len() < count);
    }
}
