//! Service records: record one, decide on it, look at it. Verifying enters the hours and decides the grant at once;
//! revoking takes both back.

use chrono::{DateTime, Utc};
use runtime::Access;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        member::Member,
        refusal::{Refusal, Resource},
        service_limits::{RecordingPeriods, ServiceSettings, whole_days},
        service_record::{
            Capacity, RecordFilter, RecordState, Role, ServiceRecord, Verdict, whole_minutes,
        },
    },
    grant::Earner,
    store::{self, member::NewHours, oversight::Recorder},
};

/// A service to record.
#[derive(Debug, Clone)]
pub(crate) struct NewServiceRecord {
    pub(crate) id: Option<Uuid>,
    pub(crate) programme: Uuid,
    pub(crate) member: Uuid,
    /// Whether the caller's token says that they are the member.
    pub(crate) is_member: bool,
    pub(crate) role: Role,
    pub(crate) category: String,
    pub(crate) activity: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: DateTime<Utc>,
    pub(crate) evidence: Vec<String>,
}

/// Who decides on which record.
#[derive(Debug, Clone)]
pub(crate) struct Decide {
    pub(crate) record: Uuid,
    pub(crate) by: Access,
    /// Why it is rejected or revoked; unused for a verification.
    pub(crate) reason: Option<String>,
}

impl Activity {
    /// Records that a member served. PENDING until someone else verifies it.
    pub(crate) async fn create_service_record(
        &self,
        call: &Call,
        new: NewServiceRecord,
    ) -> Result<ServiceRecord, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.record(&mut tx, call, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        new: NewServiceRecord,
    ) -> Result<ServiceRecord, Error> {
        let community = call.community;
        let not_found = |resource, id| Refusal::NotFound { resource, id };
        let programme = store::programme::find(&mut *tx, community, new.programme)
            .await?
            .ok_or(not_found(Resource::Programme, new.programme))?;
        let capacity = Capacity::of(call.by.roles, new.is_member);
        let recorder = Recorder {
            community,
            programme: programme.id,
            subject: &call.by.subject,
        };
        // Locked whether there is a quota or not, and before the settings are read: whoever is the first to see a quota sees all that was recorded without it.
        store::oversight::lock_recorder(&mut *tx, recorder).await?;
        let settings = service_settings(tx, community, programme.id).await?;
        let quota = settings.quota(capacity);
        // Locked, so that nothing is recorded of someone who is being erased.
        store::member::lock(&mut *tx, community, new.member).await?;
        store::member::find(&mut *tx, community, new.member)
            .await?
            .ok_or(not_found(Resource::Member, new.member))?
            .require_person()?;
        let record = ServiceRecord {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            programme: new.programme,
            member: new.member,
            role: new.role,
            category: new.category,
            activity: new.activity,
            started_at: new.started_at,
            ended_at: new.ended_at,
            minutes: whole_minutes(new.started_at, new.ended_at),
            state: RecordState::Pending,
            decided_by: None,
            decided_at: None,
            reason: None,
            grant: None,
            created_at: self.clock.now(),
            recorded_by: Some(call.by.subject.clone()),
            recorded_as: Some(capacity),
            evidence: new.evidence,
        };
        if !quota.is_unlimited() {
            let periods = RecordingPeriods::at(record.created_at, programme.time_zone);
            let recorded =
                store::oversight::recorded_minutes(&mut *tx, recorder, capacity, periods).await?;
            quota.require(&record, recorded, periods)?;
        }
        match store::service_record::insert(&mut *tx, &record).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("service_record_pk") => {
                return Err(Refusal::Exists {
                    resource: Resource::ServiceRecord,
                    id: record.id,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        let event = NewEvent::of_record(&record);
        store::event::insert(tx, community, &[event]).await?;
        Ok(record)
    }

    /// Verifies a PENDING record: the minutes enter the hours book and the grant is decided, all in one transaction.
    pub(crate) async fn verify_service_record(
        &self,
        call: &Call,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.verify(&mut tx, call.community, decide).await;
        let record = self.conclude(tx, call, outcome).await?;
        self.relay.nudge();
        Ok(record)
    }

    async fn verify(
        &self,
        tx: &mut PgConnection,
        community: Community,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let (record, member) = lock_record(tx, community, decide.record).await?;
        let verdict = Verdict {
            reason: None,
            ..self.verdict(&decide, &record)
        };
        let programme = store::programme::find(&mut *tx, community, record.programme)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Programme,
                id: record.programme,
            })?;
        let record = record.verify(&member, programme.second_person_days, &verdict)?;
        let settings = service_settings(tx, community, programme.id).await?;
        settings.require_evidence(&record)?;
        if let Some(verified) = store::service_record::find_overlapping(&mut *tx, &record).await? {
            return Err(Refusal::ServiceOverlap {
                record: record.id,
                verified,
            }
            .into());
        }
        let span = whole_days(&record, programme.time_zone);
        let verified = store::service_record::verified_spans(&mut *tx, &record, span).await?;
        settings.require_room(&record, programme.time_zone, &verified)?;
        decided(tx, &record).await?;
        enter_hours(tx, &record, &member, record.minutes).await?;
        let earner = Earner::of_service(&record);
        let grant = self.decide_grant(tx, earner, verdict.at).await?;
        Ok(ServiceRecord {
            grant: Some(grant),
            ..record
        })
    }

    /// Rejects a PENDING record.
    pub(crate) async fn reject_service_record(
        &self,
        call: &Call,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.reject(&mut tx, call.community, decide).await;
        self.conclude(tx, call, outcome).await
    }

    async fn reject(
        &self,
        tx: &mut PgConnection,
        community: Community,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let (record, member) = lock_record(tx, community, decide.record).await?;
        let verdict = self.verdict(&decide, &record);
        let record = record.reject(&member, &verdict)?;
        decided(tx, &record).await?;
        Ok(record)
    }

    /// Revokes a VERIFIED record: its minutes leave the hours book, its grant is taken back.
    pub(crate) async fn revoke_service_record(
        &self,
        call: &Call,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.revoke(&mut tx, call.community, decide).await;
        let record = self.conclude(tx, call, outcome).await?;
        self.relay.nudge();
        self.budget.nudge();
        Ok(record)
    }

    async fn revoke(
        &self,
        tx: &mut PgConnection,
        community: Community,
        decide: Decide,
    ) -> Result<ServiceRecord, Error> {
        let (record, member) = lock_record(tx, community, decide.record).await?;
        let verdict = self.verdict(&decide, &record);
        let record = record.revoke(&member, &verdict)?;
        decided(tx, &record).await?;
        enter_hours(tx, &record, &member, -record.minutes).await?;
        self.revoke_grant(tx, &record, verdict.at).await?;
        Ok(record)
    }

    /// Returns a service record, if it is there.
    pub(crate) async fn find_service_record(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<ServiceRecord>, Error> {
        Ok(store::service_record::find(&self.pool, community, id).await?)
    }

    /// Returns a service record.
    pub(crate) async fn get_service_record(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<ServiceRecord, Error> {
        let record = self.find_service_record(community, id).await?;
        record.ok_or(
            Refusal::NotFound {
                resource: Resource::ServiceRecord,
                id,
            }
            .into(),
        )
    }

    /// Lists a community's service records by id, or one member's.
    pub(crate) async fn list_service_records(
        &self,
        filter: RecordFilter,
        after: Uuid,
        size: i64,
    ) -> Result<Page<ServiceRecord, Uuid>, Error> {
        let window = Page::<ServiceRecord, _>::window(after, size);
        let rows = store::service_record::list(&self.pool, filter, window).await?;
        Ok(Page::cut(rows, size, |record| record.id))
    }

    fn verdict<'a>(&self, decide: &'a Decide, record: &ServiceRecord) -> Verdict<'a> {
        Verdict {
            by: decide.by.subject(),
            is_member: decide.by.is(record.community.0, "members", record.member),
            reason: decide.reason.as_deref(),
            at: self.clock.now(),
        }
    }
}

/// The settings by which a programme takes services.
async fn service_settings(
    tx: &mut PgConnection,
    community: Community,
    programme: Uuid,
) -> Result<ServiceSettings, Error> {
    let found = store::oversight::find_settings(&mut *tx, community, programme).await?;
    Ok(found.map(|found| found.settings).unwrap_or_default())
}

/// Locks a record and then its member.
pub(crate) async fn lock_record(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<(ServiceRecord, Member), Error> {
    let no_record = || Refusal::NotFound {
        resource: Resource::ServiceRecord,
        id,
    };
    store::service_record::lock(&mut *tx, community, id).await?;
    let record = store::service_record::find(&mut *tx, community, id)
        .await?
        .ok_or_else(no_record)?;
    store::member::lock(&mut *tx, community, record.member).await?;
    let member = store::member::find(&mut *tx, community, record.member)
        .await?
        .ok_or(Refusal::NotFound {
            resource: Resource::Member,
            id: record.member,
        })?;
    Ok((record, member))
}

/// Writes what was decided of a locked record.
async fn decided(tx: &mut PgConnection, record: &ServiceRecord) -> Result<(), Error> {
    store::service_record::set_decision(&mut *tx, record).await?;
    let event = NewEvent::of_record(record);
    Ok(store::event::insert(tx, record.community, &[event]).await?)
}

/// A record of less than a minute leaves the hours book as it is.
async fn enter_hours(
    tx: &mut PgConnection,
    record: &ServiceRecord,
    member: &Member,
    minutes: i64,
) -> Result<(), Error> {
    if minutes == 0 {
        return Ok(());
    }
    let balance_minutes = member
        .service_minutes
        .checked_add(minutes)
        .ok_or(Refusal::AmountOutOfRange { record: record.id })?;
    let hours = NewHours {
        community: record.community,
        member: record.member,
        record: record.id,
        minutes,
        balance_minutes,
        at: record
            .decided_at
            .expect("hours are entered for decided records"),
    };
    Ok(store::member::enter_hours(&mut *tx, &hours).await?)
}
