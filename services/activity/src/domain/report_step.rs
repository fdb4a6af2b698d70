//! What may be done to a report, by whom, and in which states. Each step leaves an event; none is ever undone.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    member::Member,
    refusal::{Refusal, ReportRefusal, Resource},
    report::{Assignee, Changed, EventKind, Report, ReportEvent, ReportState, Urgency, Visibility},
    service_record::names_member,
};

/// How often a reporter may add to a report.
pub const MAX_DETAILS: i32 = 20;

/// Something to be done to a report.
#[derive(Debug, Clone)]
pub enum Step {
    AddDetail {
        text: String,
        photos: Vec<String>,
    },
    /// `None`: as the report has it.
    Accept {
        urgency: Option<Urgency>,
        visibility: Option<Visibility>,
    },
    Reject {
        reason: String,
        abuse: bool,
    },
    MarkDuplicate {
        of: Box<Report>,
    },
    Refer {
        to: String,
        note: String,
    },
    Assign(Assignee),
    HandBack {
        reason: String,
    },
    Start,
    AddProgress {
        note: String,
        photos: Vec<String>,
    },
    Resolve {
        note: String,
        photos: Vec<String>,
    },
    Reopen {
        reason: String,
    },
    Close,
    Rate {
        rating: i16,
        comment: String,
    },
    SetVisibility {
        visibility: Visibility,
        reason: String,
    },
}

/// Who takes a step, and when.
#[derive(Debug, Clone)]
pub struct Taker {
    /// As their token names them.
    pub by: String,
    /// Whether their token says that they are the reporter.
    pub is_reporter: bool,
    pub at: DateTime<Utc>,
    pub request: Uuid,
}

impl Step {
    /// The states in which it may be taken; none: all.
    fn from(&self) -> &'static [ReportState] {
        use ReportState::{Accepted, Assigned, Closed, InProgress, Resolved, Submitted};
        match self {
            Self::AddDetail { .. } => &[Submitted, Accepted, Assigned, InProgress],
            Self::Accept { .. }
            | Self::Reject { .. }
            | Self::MarkDuplicate { .. }
            | Self::Refer { .. } => &[Submitted],
            Self::Assign(_) => &[Accepted],
            Self::HandBack { .. } | Self::Start => &[Assigned],
            Self::AddProgress { .. } => &[Accepted, Assigned, InProgress],
            Self::Resolve { .. } => &[InProgress],
            Self::Reopen { .. } => &[Resolved, Closed],
            Self::Close => &[Resolved],
            Self::Rate { .. } => &[Closed],
            Self::SetVisibility { .. } => &[],
        }
    }

    /// What it is called afterwards, and the state it leads to; `None`: the same one.
    fn leads_to(&self) -> (EventKind, Option<ReportState>) {
        match self {
            Self::AddDetail { .. } => (EventKind::Detail, None),
            Self::Accept { .. } => (EventKind::Accepted, Some(ReportState::Accepted)),
            Self::Reject { abuse: false, .. } => (EventKind::Rejected, Some(ReportState::Rejected)),
            Self::Reject { abuse: true, .. } => (EventKind::Abuse, Some(ReportState::Rejected)),
            Self::MarkDuplicate { .. } => (EventKind::Duplicate, Some(ReportState::Duplicate)),
            Self::Refer { .. } => (EventKind::Referred, Some(ReportState::Referred)),
            Self::Assign(_) => (EventKind::Assigned, Some(ReportState::Assigned)),
            Self::HandBack { .. } => (EventKind::HandedBack, Some(ReportState::Accepted)),
            Self::Start => (EventKind::Started, Some(ReportState::InProgress)),
            Self::AddProgress { .. } => (EventKind::Progress, None),
            Self::Resolve { .. } => (EventKind::Resolved, Some(ReportState::Resolved)),
            Self::Reopen { .. } => (EventKind::Reopened, Some(ReportState::InProgress)),
            Self::Close => (EventKind::Closed, Some(ReportState::Closed)),
            Self::Rate { .. } => (EventKind::Rated, None),
            Self::SetVisibility { .. } => (EventKind::Visibility, None),
        }
    }

    /// Whether it is a first look at what somebody else reported.
    fn is_triage(&self) -> bool {
        self.from() == [ReportState::Submitted]
    }

    /// What was said with it, and the photos that came with it.
    fn said(&self) -> (String, Vec<String>) {
        match self {
            Self::AddDetail { text, photos } => (text.clone(), photos.clone()),
            Self::AddProgress { note, photos } | Self::Resolve { note, photos } => {
                (note.clone(), photos.clone())
            }
            Self::Reject { reason, .. }
            | Self::HandBack { reason }
            | Self::Reopen { reason }
            | Self::SetVisibility { reason, .. } => (reason.clone(), Vec::new()),
            Self::Refer { note, .. } => (note.clone(), Vec::new()),
            Self::Rate { comment, .. } => (comment.clone(), Vec::new()),
            Self::Accept { .. }
            | Self::MarkDuplicate { .. }
            | Self::Assign(_)
            | Self::Start
            | Self::Close => (String::new(), Vec::new()),
        }
    }
}

impl Report {
    /// Takes a step, or refuses it. What the clock has done meanwhile comes first.
    pub fn take(self, step: &Step, reporter: &Member, taker: &Taker) -> Result<Changed, Refusal> {
        let Changed { report, mut events } = self.settled(taker.at);
        report.admit(step, reporter, taker)?;
        let (kind, state) = step.leads_to();
        let (text, photos) = step.said();
        let mut next = Self {
            events: report.events + 1,
            state: state.unwrap_or(report.state),
            ..report
        };
        if state.is_some() {
            next.changed_by = Some(taker.by.clone());
            next.changed_at = taker.at;
            next.reason.clone_from(&text);
        }
        let next = next.with(step, taker.at);
        events.push(ReportEvent {
            number: next.events,
            kind,
            state: next.state,
            actor: Some(taker.by.clone()),
            at: taker.at,
            text,
            photos,
            request: Some(taker.request),
        });
        Ok(Changed {
            report: next,
            events,
        })
    }

    fn admit(&self, step: &Step, reporter: &Member, taker: &Taker) -> Result<(), Refusal> {
        let from = step.from();
        if !from.is_empty() && !from.contains(&self.state) {
            let needed: Vec<&str> = from.iter().map(|state| state.word()).collect();
            return Err(Refusal::WrongState {
                resource: Resource::Report,
                id: self.id,
                state: self.state.word().to_owned(),
                needed: needed.join(" or "),
            });
        }
        if step.is_triage() && (taker.is_reporter || names_member(&taker.by, reporter)) {
            return Err(ReportRefusal::SelfTriage { report: self.id }.into());
        }
        if let Step::AddDetail { .. } = step
            && self.details >= MAX_DETAILS
        {
            return Err(ReportRefusal::DetailLimit {
                report: self.id,
                limit: MAX_DETAILS,
            }
            .into());
        }
        if let (Step::Reopen { .. }, Some(until)) = (step, self.close_at)
            && until <= taker.at
        {
            return Err(ReportRefusal::ReopenWindowClosed {
                report: self.id,
                until,
            }
            .into());
        }
        if let Step::MarkDuplicate { of } = step {
            self.admit_original(of)?;
        }
        Ok(())
    }

    fn admit_original(&self, original: &Self) -> Result<(), Refusal> {
        if original.programme != self.programme {
            return Err(Refusal::NotFound {
                resource: Resource::Report,
                id: original.id,
            });
        }
        if !original.precedes(self) {
            return Err(ReportRefusal::NotEarlier {
                report: self.id,
                other: original.id,
            }
            .into());
        }
        // Nothing that was decided on becomes REJECTED or DUPLICATE later, so the first valid one keeps the reward.
        if original.state == ReportState::Submitted {
            return Err(ReportRefusal::OriginalUndecided { other: original.id }.into());
        }
        let known = [ReportState::Duplicate, ReportState::Rejected];
        if known.contains(&original.state) {
            return Err(ReportRefusal::NotAnOriginal {
                other: original.id,
                state: original.state.word().to_owned(),
            }
            .into());
        }
        Ok(())
    }

    /// What a step changes besides the state.
    fn with(self, step: &Step, now: DateTime<Utc>) -> Self {
        match step {
            Step::AddDetail { .. } => Self {
                details: self.details + 1,
                ..self
            },
            Step::Accept {
                urgency,
                visibility,
            } => {
                let due = urgency.unwrap_or(self.urgency);
                Self {
                    visibility: visibility.unwrap_or(self.visibility),
                    ..self.due_by(due)
                }
            }
            Step::MarkDuplicate { of } => Self {
                duplicate_of: Some(of.id),
                ..self
            },
            Step::Refer { to, .. } => Self {
                referred_to: Some(to.clone()),
                ..self
            },
            Step::Assign(assignee) => Self {
                assignee: Some(assignee.clone()),
                ..self
            },
            Step::HandBack { .. } => Self {
                assignee: None,
                ..self
            },
            Step::Resolve { .. } => Self {
                close_at: Some(now + TimeDelta::days(self.terms.reopen_days.into())),
                ..self
            },
            Step::Reopen { .. } => Self {
                close_at: None,
                rating: None,
                rating_comment: String::new(),
                ..self
            },
            Step::Rate { rating, comment } => Self {
                rating: Some(*rating),
                rating_comment: comment.clone(),
                ..self
            },
            Step::SetVisibility { visibility, .. } => Self {
                visibility: *visibility,
                ..self
            },
            Step::Reject { .. } | Step::Start | Step::AddProgress { .. } | Step::Close => self,
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
