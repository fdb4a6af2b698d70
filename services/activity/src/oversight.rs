//! What keeps hours honest: the settings by which a programme takes services, evidence for them, what looks odd, and what everyone may see of services
//! that were recorded late.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        anomaly::{Anomaly, AnomalyKind, Cursor, DateRange},
        calendar::{local_date, month_span},
        call::Call,
        event::{Happened, NewEvent},
        programme::Programme,
        refusal::{Refusal, Resource},
        report_rules::Changed,
        service_limits::{ServiceSettings, SettingsOf},
        service_record::ServiceRecord,
    },
    service_record::lock_record,
    store::{
        self,
        anomaly::Look,
        oversight::{LateCursor, LateFilter, LateService},
    },
};

/// Which anomalies are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnomalyFilter {
    pub(crate) community: Community,
    pub(crate) programme: Uuid,
    /// Nothing: every kind.
    pub(crate) kind: Option<AnomalyKind>,
    pub(crate) start: Option<NaiveDate>,
    pub(crate) end: Option<NaiveDate>,
}

/// A service that was recorded late, as everyone may see it.
#[derive(Debug, Clone)]
pub(crate) struct PublicLateService {
    pub(crate) service: LateService,
    /// Empty: was erased, or can't be read.
    pub(crate) masked_name: String,
}

impl Activity {
    /// Returns the settings by which a programme takes services; the defaults, when nobody has set any.
    pub(crate) async fn get_service_settings(
        &self,
        community: Community,
        programme: Uuid,
    ) -> Result<SettingsOf, Error> {
        self.get_programme(community, programme).await?;
        let found = store::oversight::find_settings(&self.pool, community, programme).await?;
        Ok(found.unwrap_or_else(|| SettingsOf {
            community,
            programme,
            settings: ServiceSettings::default(),
            changed: None,
        }))
    }

    /// Sets them from now on.
    pub(crate) async fn set_service_settings(
        &self,
        call: &Call,
        programme: Uuid,
        settings: ServiceSettings,
    ) -> Result<SettingsOf, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.set_settings(&mut tx, call, programme, settings).await;
        self.conclude(tx, call, outcome).await
    }

    async fn set_settings(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        programme: Uuid,
        settings: ServiceSettings,
    ) -> Result<SettingsOf, Error> {
        let community = call.community;
        store::programme::find(&mut *tx, community, programme)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Programme,
                id: programme,
            })?;
        let changed = Changed {
            by: call.by.subject.clone(),
            at: self.clock.now(),
        };
        store::oversight::set_settings(&mut *tx, (community, programme), &settings, &changed)
            .await?;
        let event = NewEvent::of_settings(Happened::ServiceSettingsSet, programme);
        store::event::insert(tx, community, &[event]).await?;
        Ok(SettingsOf {
            community,
            programme,
            settings,
            changed: Some(changed),
        })
    }

    /// Adds evidence to a PENDING record.
    pub(crate) async fn add_service_evidence(
        &self,
        call: &Call,
        record: Uuid,
        evidence: Vec<String>,
    ) -> Result<ServiceRecord, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = add_evidence(&mut tx, call.community, record, evidence).await;
        self.conclude(tx, call, outcome).await
    }

    /// Lists what looks odd in a programme's services, by kind and then the latest first.
    pub(crate) async fn list_service_anomalies(
        &self,
        filter: AnomalyFilter,
        after: Option<Cursor>,
        size: i64,
    ) -> Result<(Programme, Page<Anomaly, Cursor>), Error> {
        let of = self
            .get_service_settings(filter.community, filter.programme)
            .await?;
        let programme = self
            .get_programme(filter.community, filter.programme)
            .await?;
        let zone = programme.time_zone;
        let today = local_date(self.clock.now(), zone);
        let days = DateRange::asked(filter.start, filter.end, today).days(zone);
        let mut found = Vec::new();
        let mut wanted = size + 1;
        let first = after.as_ref().map(|(kind, ..)| *kind);
        let kinds = AnomalyKind::ALL.into_iter().filter(|kind| {
            filter.kind.is_none_or(|asked| asked == *kind)
                && first.is_none_or(|first| first <= *kind)
        });
        for kind in kinds {
            let after = after.as_ref().filter(|(first, ..)| *first == kind);
            let look = Look {
                community: filter.community,
                programme: filter.programme,
                days: &days,
                thresholds: &of.settings.thresholds,
                second_person_days: programme.second_person_days,
                after: after.map(|(_, at, key)| (*at, &key[..])),
                limit: wanted,
            };
            let more = store::anomaly::list(&self.pool, look, kind).await?;
            wanted -= i64::try_from(more.len()).expect("no more than were wanted");
            found.extend(more);
            if wanted <= 0 {
                break;
            }
        }
        let page = Page::cut(found, size, |last| {
            (last.kind, last.ended_at, last.key.clone())
        });
        Ok((programme, page))
    }

    /// Lists the verified services that were recorded late, in a month or ever, the last recorded first.
    pub(crate) async fn list_public_late_services(
        &self,
        (community, programme): (Community, Uuid),
        date: Option<NaiveDate>,
        before: Option<LateCursor>,
        size: i64,
    ) -> Result<(Programme, Page<PublicLateService, LateCursor>), Error> {
        let programme = self.get_programme(community, programme).await?;
        let filter = LateFilter {
            community,
            programme: programme.id,
            month: date.map(|date| month_span(date, programme.time_zone)),
            second_person_days: programme.second_person_days,
        };
        let rows = store::oversight::late_services(&self.pool, filter, before, size + 1).await?;
        let page = Page::cut(rows, size, |row| (row.created_at, row.record));
        let members: Vec<Uuid> = page.items.iter().map(|row| row.member).collect();
        let persons = self.masked_persons(community, &members).await?;
        let services = page.items.into_iter().map(|service| {
            let person = persons.get(&service.member);
            PublicLateService {
                masked_name: person.map(|person| person.name.clone()).unwrap_or_default(),
                service,
            }
        });
        let page = Page {
            items: services.collect(),
            next: page.next,
        };
        Ok((programme, page))
    }
}

async fn add_evidence(
    tx: &mut PgConnection,
    community: Community,
    record: Uuid,
    evidence: Vec<String>,
) -> Result<ServiceRecord, Error> {
    let (record, _) = lock_record(tx, community, record).await?;
    let record = record.add_evidence(evidence)?;
    store::service_record::set_evidence(&mut *tx, &record).await?;
    let event = NewEvent::of_evidence(&record);
    store::event::insert(tx, community, &[event]).await?;
    Ok(record)
}
