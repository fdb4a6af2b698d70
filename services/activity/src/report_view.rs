//! Looking at problem reports as they stand: one, many, what happened to one, what everybody may see, what may be the same.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    domain::{
        Community,
        person::Masked,
        report::{Candidate, Changed, EventKind, Report, ReportEvent, ReportFilter},
    },
    report::not_found,
    store::{self, Window, report::Cursor},
};

/// How many open reports of a category are looked at for duplicates, the newest first.
const LOOKED_AT: i64 = 1000;
/// How many of them are suggested.
const SUGGESTED: usize = 20;
/// How many public notes of a report are shown.
const NOTES: i64 = 20;
/// What is said to everybody about a report.
const PUBLIC: [EventKind; 7] = [
    EventKind::Accepted,
    EventKind::Referred,
    EventKind::Started,
    EventKind::Progress,
    EventKind::Resolved,
    EventKind::Reopened,
    EventKind::Closed,
];

/// A report as everybody in the community may see it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) report: Report,
    /// Empty once erased or damaged.
    pub(crate) reporter: Masked,
    pub(crate) notes: Vec<ReportEvent>,
}

impl Activity {
    /// Suggests what a report may be a duplicate of, nearest first.
    pub(crate) async fn suggest_duplicates(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Vec<Candidate>, Error> {
        let report = self.get_report(community, id).await?;
        let rules = self
            .get_report_settings(community, report.programme)
            .await?
            .rules;
        let ids = store::report::list_open_like(&self.pool, &report, LOOKED_AT).await?;
        let others = store::report::find_many(&self.pool, community, &ids).await?;
        Ok(report.candidates(others, rules.radius_metres(&report.category), SUGGESTED))
    }

    /// Returns a report as it stands, if it is there.
    pub(crate) async fn find_report(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Report>, Error> {
        let found = store::report::find(&self.pool, community, id).await?;
        let now = self.clock.now();
        Ok(found.map(|report| report.settled(now).report))
    }

    /// Returns a report as it stands.
    pub(crate) async fn get_report(&self, community: Community, id: Uuid) -> Result<Report, Error> {
        let found = self.find_report(community, id).await?;
        Ok(found.ok_or_else(|| not_found(id))?)
    }

    /// Lists reports as they stand, newest first.
    pub(crate) async fn list_reports(
        &self,
        filter: &ReportFilter,
        after: Option<Cursor>,
        size: i64,
    ) -> Result<Page<Report, Cursor>, Error> {
        let now = self.clock.now();
        let window = Window {
            after,
            limit: size + 1,
        };
        let ids = store::report::list(&self.pool, filter, now, window).await?;
        let found = store::report::find_many(&self.pool, filter.community, &ids).await?;
        let settled = found.into_iter().map(|report| report.settled(now).report);
        Ok(Page::cut(settled.collect(), size, |report| {
            (report.submitted_at, report.id)
        }))
    }

    /// Lists everything that happened to a report, what the clock did included.
    pub(crate) async fn list_report_events(
        &self,
        community: Community,
        id: Uuid,
        after: i64,
        size: i64,
    ) -> Result<Page<ReportEvent, i64>, Error> {
        let found = store::report::find(&self.pool, community, id).await?;
        let report = found.ok_or_else(|| not_found(id))?;
        let window = Page::<ReportEvent, _>::window(after, size);
        let mut rows = store::report::list_events(&self.pool, (community, id), window).await?;
        let known = rows.last().map_or(after, |event| event.number);
        let by_clock = report.settled(self.clock.now()).events.into_iter();
        rows.extend(by_clock.filter(|event| event.number == known + 1));
        Ok(Page::cut(rows, size, |event| event.number))
    }

    /// Lists what everybody in the community may see of a programme's reports, newest first.
    pub(crate) async fn list_public_reports(
        &self,
        place: (Community, Uuid),
        category: Option<&str>,
        after: Option<Cursor>,
        size: i64,
    ) -> Result<Page<Shown, Cursor>, Error> {
        let (community, programme) = place;
        self.get_programme(community, programme).await?;
        let window = Window {
            after,
            limit: size + 1,
        };
        let ids = store::report::list_public(&self.pool, place, category, window).await?;
        let found = store::report::find_many(&self.pool, community, &ids).await?;
        let Page { items, next } =
            Page::cut(found, size, |report| (report.submitted_at, report.id));
        let members: Vec<Uuid> = items.iter().map(|report| report.member).collect();
        let masked = self.masked_persons(community, &members).await?;
        let mut notes = self.notes(community, &ids).await?;
        let now = self.clock.now();
        let items = items.into_iter().map(|report| {
            let Changed { report, events } = report.settled(now);
            let mut told = notes.remove(&report.id).unwrap_or_default();
            told.extend(events);
            Shown {
                reporter: masked.get(&report.member).cloned().unwrap_or_default(),
                notes: told,
                report,
            }
        });
        Ok(Page {
            items: items.collect(),
            next,
        })
    }

    async fn notes(
        &self,
        community: Community,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<ReportEvent>>, Error> {
        let place = (community, ids);
        let found = store::report::list_last_events(&self.pool, place, &PUBLIC, NOTES).await?;
        let mut notes: HashMap<Uuid, Vec<ReportEvent>> = HashMap::new();
        for (report, event) in found {
            notes.entry(report).or_default().push(event);
        }
        Ok(notes)
    }
}
