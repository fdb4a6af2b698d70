//! Problem reports: hand one in, take steps with it. Accepting one decides its grant at once, rejecting one as abuse is a strike, each in
//! the transaction that changes the report.

use runtime::Access;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        notice::{self, NewNotice},
        policy::Effort,
        refusal::{Refusal, ReportRefusal, Resource},
        report::{
            Assignee, Changed, Filed, Origin, Report, ReportEvent, Submission, Urgency, Visibility,
        },
        report_step::{Step, Taker},
    },
    grant::Earner,
    store,
};

/// A report to hand in.
#[derive(Debug, Clone)]
pub(crate) struct NewReport {
    pub(crate) id: Option<Uuid>,
    pub(crate) programme: Uuid,
    pub(crate) member: Uuid,
    pub(crate) submission: Submission,
}

/// Who does something to which report.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) report: Uuid,
    pub(crate) by: Access,
}

impl Activity {
    /// Takes a report. An emergency is answered with the number to call.
    pub(crate) async fn create_report(&self, call: &Call, new: NewReport) -> Result<Filed, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.file(&mut tx, call, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn file(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        new: NewReport,
    ) -> Result<Filed, Error> {
        let community = call.community;
        let not_found = |resource, id| Refusal::NotFound { resource, id };
        store::programme::find(&mut *tx, community, new.programme)
            .await?
            .ok_or(not_found(Resource::Programme, new.programme))?;
        // Locked, so that nobody reports who is being erased or suspended.
        store::member::lock(&mut *tx, community, new.member).await?;
        store::member::find(&mut *tx, community, new.member)
            .await?
            .ok_or(not_found(Resource::Member, new.member))?
            .require_person()?;
        let rules = store::report_rules::find(&mut *tx, community, new.programme).await?;
        let rules = rules.map(|of| of.rules).unwrap_or_default();
        let whose = (new.programme, new.member);
        let standing = store::report_rules::find_standing(&mut *tx, community, whose).await?;
        let origin = Origin {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            programme: new.programme,
            member: new.member,
            by: call.by.subject.clone(),
            request: call.request_id,
            at: self.clock.now(),
        };
        let Changed { report, events } = Report::submit(new.submission, origin, &rules, &standing)?;
        match store::report::insert(&mut *tx, &report).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("report_pk") => {
                return Err(Refusal::Exists {
                    resource: Resource::Report,
                    id: report.id,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        insert_events(tx, &report, &events).await?;
        Ok(Filed {
            emergency: report.emergency_answer(&rules, &self.emergency_numbers),
            report,
        })
    }

    /// Adds to what was reported.
    pub(crate) async fn add_report_detail(
        &self,
        call: &Call,
        target: Target,
        said: (String, Vec<String>),
    ) -> Result<Report, Error> {
        let (text, photos) = said;
        self.step(call, target, Step::AddDetail { text, photos })
            .await
    }

    /// Accepts a SUBMITTED report: what it earns is decided in the same transaction.
    pub(crate) async fn accept_report(
        &self,
        call: &Call,
        target: Target,
        (urgency, visibility): (Option<Urgency>, Option<Visibility>),
    ) -> Result<Report, Error> {
        let step = Step::Accept {
            urgency,
            visibility,
        };
        let report = self.step(call, target, step).await?;
        self.relay.nudge();
        Ok(report)
    }

    /// Rejects a SUBMITTED report; abuse is a strike.
    pub(crate) async fn reject_report(
        &self,
        call: &Call,
        target: Target,
        (reason, abuse): (String, bool),
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Reject { reason, abuse })
            .await
    }

    /// Finds that a SUBMITTED report tells what an earlier one told.
    pub(crate) async fn mark_report_duplicate(
        &self,
        call: &Call,
        target: Target,
        of: Uuid,
    ) -> Result<Report, Error> {
        self.asked_step(call, target, Asked::MarkDuplicate { of })
            .await
    }

    /// Refers a SUBMITTED report to another office.
    pub(crate) async fn refer_report(
        &self,
        call: &Call,
        target: Target,
        (to, note): (String, String),
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Refer { to, note }).await
    }

    /// Gives an ACCEPTED report to somebody.
    pub(crate) async fn assign_report(
        &self,
        call: &Call,
        target: Target,
        assignee: Assignee,
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Assign(assignee)).await
    }

    /// Takes an ASSIGNED report back.
    pub(crate) async fn hand_back_report(
        &self,
        call: &Call,
        target: Target,
        reason: String,
    ) -> Result<Report, Error> {
        self.step(call, target, Step::HandBack { reason }).await
    }

    /// Begins the work on an ASSIGNED report.
    pub(crate) async fn start_report(&self, call: &Call, target: Target) -> Result<Report, Error> {
        self.step(call, target, Step::Start).await
    }

    /// Tells how it goes.
    pub(crate) async fn add_report_progress(
        &self,
        call: &Call,
        target: Target,
        (note, photos): (String, Vec<String>),
    ) -> Result<Report, Error> {
        self.step(call, target, Step::AddProgress { note, photos })
            .await
    }

    /// Says that an IN_PROGRESS report is mended.
    pub(crate) async fn resolve_report(
        &self,
        call: &Call,
        target: Target,
        (note, photos): (String, Vec<String>),
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Resolve { note, photos })
            .await
    }

    /// Says that a RESOLVED or CLOSED report is not mended.
    pub(crate) async fn reopen_report(
        &self,
        call: &Call,
        target: Target,
        reason: String,
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Reopen { reason }).await
    }

    /// Closes a RESOLVED report.
    pub(crate) async fn close_report(&self, call: &Call, target: Target) -> Result<Report, Error> {
        self.step(call, target, Step::Close).await
    }

    /// Rates a CLOSED report.
    pub(crate) async fn rate_report(
        &self,
        call: &Call,
        target: Target,
        (rating, comment): (i16, String),
    ) -> Result<Report, Error> {
        self.step(call, target, Step::Rate { rating, comment })
            .await
    }

    /// Changes who may see a report.
    pub(crate) async fn set_report_visibility(
        &self,
        call: &Call,
        target: Target,
        (visibility, reason): (Visibility, String),
    ) -> Result<Report, Error> {
        let step = Step::SetVisibility { visibility, reason };
        self.step(call, target, step).await
    }

    async fn step(&self, call: &Call, target: Target, step: Step) -> Result<Report, Error> {
        self.asked_step(call, target, Asked::Step(step)).await
    }

    async fn asked_step(&self, call: &Call, target: Target, asked: Asked) -> Result<Report, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.take_step(&mut tx, call, target, asked).await;
        self.conclude(tx, call, outcome).await
    }

    async fn take_step(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        target: Target,
        asked: Asked,
    ) -> Result<Report, Error> {
        let community = call.community;
        store::report::lock(&mut *tx, community, target.report).await?;
        let report = find(&mut *tx, community, target.report).await?;
        store::member::lock(&mut *tx, community, report.member).await?;
        let reporter = store::member::find(&mut *tx, community, report.member)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let step = match asked {
            Asked::Step(step) => step,
            Asked::MarkDuplicate { of } => Step::MarkDuplicate {
                of: Box::new(find(&mut *tx, community, of).await?),
            },
        };
        let taker = Taker {
            by: target.by.subject().to_owned(),
            is_reporter: target.by.is(community.0, "members", report.member),
            at: self.clock.now(),
            request: call.request_id,
        };
        let Changed { mut report, events } = report.take(&step, &reporter, &taker)?;
        if let Step::Assign(assignee) = &step {
            require(tx, community, assignee).await?;
        }
        store::report::set(&mut *tx, &report).await?;
        insert_events(tx, &report, &events).await?;
        if !taker.is_reporter {
            self.tell_reporter(tx, &report, &events).await?;
        }
        if let Step::Accept { .. } = step {
            report.grant = Some(self.reward(tx, &report).await?);
        }
        if let Step::Reject { abuse: true, .. } = step {
            strike(tx, &report).await?;
        }
        Ok(report)
    }

    /// Tells the reporter how it goes on.
    async fn tell_reporter(
        &self,
        tx: &mut PgConnection,
        report: &Report,
        events: &[ReportEvent],
    ) -> Result<(), Error> {
        let told = events
            .iter()
            .filter_map(|event| notice::of_report(report, event));
        let notices: Vec<NewNotice> = told
            .map(|content| NewNotice {
                id: self.ids.next(),
                member: report.member,
                content,
            })
            .collect();
        store::notice::insert(tx, report.community, &notices, report.changed_at).await?;
        Ok(())
    }

    /// Decides what an accepted report earns.
    async fn reward(&self, tx: &mut PgConnection, report: &Report) -> Result<Uuid, Error> {
        let earner = Earner {
            community: report.community,
            deed: report.id,
            programme: report.programme,
            member: report.member,
            category: &report.category,
            effort: Effort::Report {
                urgency: report.urgency.word(),
            },
            done_at: report.submitted_at,
            out_of_range: ReportRefusal::AmountOutOfRange { report: report.id }.into(),
        };
        self.decide_grant(tx, earner, report.changed_at).await
    }
}

/// A step as it is asked for, before what it names is read.
enum Asked {
    Step(Step),
    MarkDuplicate { of: Uuid },
}

pub(crate) fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Report,
        id,
    }
}

async fn find(tx: &mut PgConnection, community: Community, id: Uuid) -> Result<Report, Error> {
    let found = store::report::find(&mut *tx, community, id).await?;
    Ok(found.ok_or_else(|| not_found(id))?)
}

async fn insert_events(
    tx: &mut PgConnection,
    report: &Report,
    events: &[ReportEvent],
) -> Result<(), Error> {
    // One, or two when the clock came first.
    for event in events {
        let place = (report.community, report.id);
        store::report::insert_event(&mut *tx, place, event).await?;
        let told = NewEvent::of_report(report, event);
        store::event::insert(&mut *tx, report.community, &[told]).await?;
    }
    Ok(())
}

/// Whoever is to have a report has to be there.
async fn require(
    tx: &mut PgConnection,
    community: Community,
    assignee: &Assignee,
) -> Result<(), Error> {
    let not_found = |resource, id| Refusal::NotFound { resource, id };
    match assignee {
        Assignee::Member(id) => store::member::find(&mut *tx, community, *id)
            .await?
            .ok_or(not_found(Resource::Member, *id))?
            .require_person()?,
        Assignee::Team(id) => {
            if !store::team::exists(&mut *tx, community, *id).await? {
                return Err(not_found(Resource::Team, *id).into());
            }
        }
        Assignee::Staff(_) => {}
    }
    Ok(())
}

/// Counts an abusive report against its reporter, who is locked.
async fn strike(tx: &mut PgConnection, report: &Report) -> Result<(), Error> {
    let (community, programme) = (report.community, report.programme);
    let rules = store::report_rules::find(&mut *tx, community, programme).await?;
    let rules = rules.map(|of| of.rules).unwrap_or_default();
    let whose = (programme, report.member);
    let standing = store::report_rules::find_standing(&mut *tx, community, whose).await?;
    let standing = standing.strike(&rules, report.changed_at);
    Ok(store::report_rules::set_standing(&mut *tx, report, &standing).await?)
}
