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
        calendar::local_date,
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
        oversight::{LateFilter, LateService},
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
    /// The local day.
    pub(crate) recorded_on: NaiveDate,
    /// Empty: was erased, or can't be read.
    pub(crate) masked_name: String,
}

/// Where a list of late services goes on: behind the one that was recorded on this local day, under this digest. Neither says when on that day, nor of
/// which record it is.
pub(crate) type LateCursor = (NaiveDate, String);

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
            revision: 0,
            settings: ServiceSettings::default(),
            changed: None,
        }))
    }

    /// Sets them from now on; those before are kept.
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
        // Locked, so that revisions are numbered one after the other.
        store::programme::lock(&mut *tx, community, programme)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Programme,
                id: programme,
            })?;
        let changed = Changed {
            by: call.by.subject.clone(),
            at: self.clock.now(),
        };
        let of = (community, programme);
        let revision = store::oversight::insert_settings(&mut *tx, of, &settings, &changed).await?;
        let event = NewEvent::of_settings(Happened::ServiceSettingsSet, programme);
        store::event::insert(tx, community, &[event]).await?;
        Ok(SettingsOf {
            community,
            programme,
            revision,
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

    /// Lists the verified services that were recorded late in a local month, the last day of recording first. Nothing said: the month of the page before,
    /// or the present one.
    pub(crate) async fn list_public_late_services(
        &self,
        (community, programme): (Community, Uuid),
        date: Option<NaiveDate>,
        before: Option<LateCursor>,
        size: i64,
    ) -> Result<(Programme, Page<PublicLateService, LateCursor>), Error> {
        let programme = self.get_programme(community, programme).await?;
        let zone = programme.time_zone;
        let date = date
            .or_else(|| before.as_ref().map(|(day, _)| *day))
            .unwrap_or_else(|| local_date(self.clock.now(), zone));
        let month = DateRange::month(date);
        let days = month.days(zone);
        let filter = LateFilter {
            community,
            programme: programme.id,
            days: &days,
            second_person_days: programme.second_person_days,
        };
        let before = before.as_ref();
        let before = before.map(|(day, digest)| (month.number(*day), &digest[..]));
        let rows = store::oversight::late_services(&self.pool, filter, before, size + 1).await?;
        let page = Page::cut(rows, size, |row| (month.day(row.day), row.digest.clone()));
        let members: Vec<Uuid> = page.items.iter().map(|row| row.member).collect();
        let persons = self.masked_persons(community, &members).await?;
        let services = page.items.into_iter().map(|service| {
            let person = persons.get(&service.member);
            PublicLateService {
                masked_name: person.map(|person| person.name.clone()).unwrap_or_default(),
                recorded_on: month.day(service.day),
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
    let (record, member) = lock_record(tx, community, record).await?;
    member.require_person()?;
    let record = record.add_evidence(evidence)?;
    store::service_record::set_evidence(&mut *tx, &record).await?;
    let event = NewEvent::of_evidence(&record);
    store::event::insert(tx, community, &[event]).await?;
    Ok(record)
}
