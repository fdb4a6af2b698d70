//! Problem reports: what was seen, how soon it matters, who may see it, and where it stands. What may be done to one is in `report_step`.
//!
//! SUBMITTED → ACCEPTED → ASSIGNED → IN_PROGRESS → RESOLVED → CLOSED; SUBMITTED → REJECTED | DUPLICATE | REFERRED. A RESOLVED report is CLOSED from its
//! closing time on, whoever looks and whenever: nothing has to run for that.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    place::{Nearness, Place},
    refusal::{Refusal, ReportRefusal},
    report_rules::{EmergencyNumbers, Rules, Standing, Terms},
};

/// Where a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReportState {
    Submitted,
    Accepted,
    Assigned,
    InProgress,
    Resolved,
    Closed,
    Rejected,
    Duplicate,
    Referred,
}

impl ReportState {
    /// As the contract writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Accepted => "ACCEPTED",
            Self::Assigned => "ASSIGNED",
            Self::InProgress => "IN_PROGRESS",
            Self::Resolved => "RESOLVED",
            Self::Closed => "CLOSED",
            Self::Rejected => "REJECTED",
            Self::Duplicate => "DUPLICATE",
            Self::Referred => "REFERRED",
        }
    }
}

/// How soon a report needs somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Urgency {
    Red,
    Yellow,
    Blue,
}

impl Urgency {
    /// As policies name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Blue => "blue",
        }
    }
}

/// A danger to people, by whose number to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Emergency {
    Crime,
    Fire,
    Medical,
    Traffic,
}

/// Who may see a report besides its reporter, staff and auditors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Visibility {
    Public,
    /// Without place, description and photos.
    Redacted,
    Private,
}

/// Who has a report to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    Member(Uuid),
    Team(Uuid),
    /// As the staff's tokens name them.
    Staff(String),
}

/// A problem that a member reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    /// The reporter.
    pub member: Uuid,
    pub category: String,
    pub photos: Vec<String>,
    pub place: Place,
    pub description: String,
    pub emergency: Option<Emergency>,
    pub urgency: Urgency,
    pub visibility: Visibility,
    pub state: ReportState,
    pub terms: Terms,
    pub submitted_at: DateTime<Utc>,
    pub triage_due_at: DateTime<Utc>,
    pub resolve_due_at: DateTime<Utc>,
    pub assignee: Option<Assignee>,
    /// Who brought it into its state; `None`: the clock.
    pub changed_by: Option<String>,
    pub changed_at: DateTime<Utc>,
    /// Why, or what was said with it.
    pub reason: String,
    pub duplicate_of: Option<Uuid>,
    pub referred_to: Option<String>,
    /// From when on it can't be reopened; once it was resolved.
    pub close_at: Option<DateTime<Utc>>,
    pub rating: Option<i16>,
    pub rating_comment: String,
    pub recorded_by: String,
    pub grant: Option<Uuid>,
    /// How many events it has.
    pub events: i64,
    /// How many of them are additions to what was reported.
    pub details: i32,
}

/// What happened to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EventKind {
    Submitted,
    Detail,
    Accepted,
    Rejected,
    Abuse,
    Duplicate,
    Referred,
    Assigned,
    HandedBack,
    Started,
    Progress,
    Resolved,
    Reopened,
    Closed,
    Rated,
    Visibility,
}

/// One thing that happened to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportEvent {
    /// 1, 2, 3 … within the report.
    pub number: i64,
    pub kind: EventKind,
    /// Of the report, after it.
    pub state: ReportState,
    /// `None`: the clock.
    pub actor: Option<String>,
    pub at: DateTime<Utc>,
    pub text: String,
    pub photos: Vec<String>,
    /// `None`: the clock.
    pub request: Option<Uuid>,
}

/// A report after something was done, and what that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub report: Report,
    pub events: Vec<ReportEvent>,
}

/// What somebody reports.
#[derive(Debug, Clone)]
pub struct Submission {
    pub category: String,
    pub photos: Vec<String>,
    pub place: Place,
    pub description: String,
    /// As the reporter sees it.
    pub urgency: Option<Urgency>,
    /// As the reporter sees it.
    pub emergency: Option<Emergency>,
}

/// Whose report it is, and who hands it in.
#[derive(Debug, Clone)]
pub struct Origin {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    pub member: Uuid,
    pub by: String,
    pub request: Uuid,
    pub at: DateTime<Utc>,
}

/// Which reports a list is of.
#[derive(Debug, Clone)]
pub struct ReportFilter {
    pub community: Community,
    pub programme: Option<Uuid>,
    pub member: Option<Uuid>,
    pub state: Option<ReportState>,
    pub category: Option<String>,
    pub urgency: Option<Urgency>,
    pub overdue: bool,
}

/// The number to call, before anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyAnswer {
    pub kind: Emergency,
    pub number: String,
}

/// The answer to somebody who reported a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    pub emergency: Option<EmergencyAnswer>,
    pub report: Report,
}

/// A report that another may be a duplicate of.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub report: Report,
    pub nearness: Nearness,
}

impl EmergencyAnswer {
    /// What to do, in Chinese.
    pub fn text_zh(&self) -> String {
        let (whom, number) = (self.whom_zh(), &self.number);
        format!("请立即拨打 {number}（{whom}）。您的上报已记录，但不能代替报警求助。")
    }

    /// The same in English.
    pub fn text_en(&self) -> String {
        let (whom, number) = (self.whom_en(), &self.number);
        format!(
            "Call {number} ({whom}) now. Your report is recorded, but it does not call for help."
        )
    }

    fn whom_zh(&self) -> &'static str {
        match self.kind {
            Emergency::Crime => "报警",
            Emergency::Fire => "火警",
            Emergency::Medical => "急救",
            Emergency::Traffic => "交通事故",
        }
    }

    fn whom_en(&self) -> &'static str {
        match self.kind {
            Emergency::Crime => "police",
            Emergency::Fire => "fire brigade",
            Emergency::Medical => "ambulance",
            Emergency::Traffic => "traffic police",
        }
    }
}

impl Report {
    /// Takes what somebody reports. A suspended member may still report an emergency.
    pub fn submit(
        submission: Submission,
        origin: Origin,
        rules: &Rules,
        standing: &Standing,
    ) -> Result<Changed, Refusal> {
        let usual = rules.category(&submission.category)?;
        let emergency = submission.emergency.or(usual.emergency);
        if emergency.is_none()
            && let Some(until) = standing.suspended(origin.at)
        {
            return Err(ReportRefusal::ReportingSuspended {
                member: origin.member,
                until,
            }
            .into());
        }
        let urgency = match emergency {
            Some(_) => Urgency::Red,
            None => submission.urgency.unwrap_or(usual.urgency),
        };
        let report = Self {
            community: origin.community,
            id: origin.id,
            programme: origin.programme,
            member: origin.member,
            category: submission.category,
            photos: submission.photos,
            place: submission.place,
            description: submission.description,
            emergency,
            urgency,
            visibility: usual.visibility,
            state: ReportState::Submitted,
            terms: rules.terms(),
            submitted_at: origin.at,
            triage_due_at: origin.at,
            resolve_due_at: origin.at,
            assignee: None,
            changed_by: Some(origin.by.clone()),
            changed_at: origin.at,
            reason: String::new(),
            duplicate_of: None,
            referred_to: None,
            close_at: None,
            rating: None,
            rating_comment: String::new(),
            recorded_by: origin.by.clone(),
            grant: None,
            events: 1,
            details: 0,
        };
        let event = ReportEvent {
            number: 1,
            kind: EventKind::Submitted,
            state: report.state,
            actor: Some(origin.by),
            at: origin.at,
            text: String::new(),
            photos: Vec::new(),
            request: Some(origin.request),
        };
        Ok(Changed {
            report: report.due_by(urgency),
            events: vec![event],
        })
    }

    /// The number to call, when it is an emergency.
    pub fn emergency_answer(
        &self,
        rules: &Rules,
        configured: &EmergencyNumbers,
    ) -> Option<EmergencyAnswer> {
        self.emergency.map(|kind| EmergencyAnswer {
            kind,
            number: rules.number(kind, configured).to_owned(),
        })
    }

    /// The same, due by the target that an urgency had when it was made.
    pub(super) fn due_by(self, urgency: Urgency) -> Self {
        let target = self.terms.targets.of(urgency);
        Self {
            urgency,
            triage_due_at: self.submitted_at + TimeDelta::seconds(target.triage_seconds),
            resolve_due_at: self.submitted_at + TimeDelta::seconds(target.resolve_seconds),
            ..self
        }
    }

    /// As it stands at an instant: RESOLVED is CLOSED once it can't be reopened.
    pub fn settled(self, now: DateTime<Utc>) -> Changed {
        match self.close_at {
            Some(at) if self.state == ReportState::Resolved && at <= now => {
                let report = Self {
                    state: ReportState::Closed,
                    changed_by: None,
                    changed_at: at,
                    reason: String::new(),
                    events: self.events + 1,
                    ..self
                };
                let event = ReportEvent {
                    number: report.events,
                    kind: EventKind::Closed,
                    state: report.state,
                    actor: None,
                    at,
                    text: String::new(),
                    photos: Vec::new(),
                    request: None,
                };
                Changed {
                    report,
                    events: vec![event],
                }
            }
            Some(_) | None => Changed {
                report: self,
                events: Vec::new(),
            },
        }
    }

    /// Whether the time that counts in its state is over.
    pub fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        match self.state {
            ReportState::Submitted => self.triage_due_at < now,
            ReportState::Accepted | ReportState::Assigned | ReportState::InProgress => {
                self.resolve_due_at < now
            }
            ReportState::Resolved
            | ReportState::Closed
            | ReportState::Rejected
            | ReportState::Duplicate
            | ReportState::Referred => false,
        }
    }

    /// Of the others, those that it may be a duplicate of, nearest first: the other side of [`Report::precedes`], within a radius.
    pub fn candidates(&self, others: Vec<Self>, radius_metres: i32, most: usize) -> Vec<Candidate> {
        let mut near: Vec<Candidate> = others
            .into_iter()
            .filter(|other| other.precedes(self))
            .filter_map(|report| {
                let nearness = self.place.nearness(&report.place, radius_metres)?;
                Some(Candidate { report, nearness })
            })
            .collect();
        near.sort_by_key(|one| (one.nearness, one.report.submitted_at, one.report.id));
        near.truncate(most);
        near
    }

    /// Whether it was submitted before another one.
    pub fn precedes(&self, other: &Self) -> bool {
        (self.submitted_at, self.id) < (other.submitted_at, other.id)
    }
}
