//! Events: that something came about or came to another state, for whoever wants to hear of it. An event says what changed and to what; what it is now
//! is the resource's own to say.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Community,
    adjustment::{Adjustment, AdjustmentState, Change},
    grant::GrantState,
    member::{Member, Team},
    notice::NewNotice,
    payout::{Payout, PayoutState},
    programme::Programme,
    report::{EventKind, Report, ReportEvent},
    revision::{PolicyRevision, RevisionState},
    service_record::{RecordState, ServiceRecord},
};

/// What happened: mostly the state that something came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    ProgrammeCreated,
    TeamCreated,
    MemberCreated,
    MemberErased,
    PolicyRevision(RevisionState),
    ServiceRecord(RecordState),
    ServiceEvidenceAdded,
    Grant(GrantState),
    Adjustment(AdjustmentState),
    Report(EventKind),
    Payout(PayoutState),
    NoticeRecorded,
    ServiceSettingsSet,
    ReportSettingsSet,
}

impl Happened {
    /// As the database keeps it; the contract writes the same in capitals.
    pub fn word(self) -> &'static str {
        match self {
            Self::ProgrammeCreated => "programme_created",
            Self::TeamCreated => "team_created",
            Self::MemberCreated => "member_created",
            Self::MemberErased => "member_erased",
            Self::PolicyRevision(RevisionState::Draft) => "policy_revision_draft",
            Self::PolicyRevision(RevisionState::Active) => "policy_revision_active",
            Self::PolicyRevision(RevisionState::Retired) => "policy_revision_retired",
            Self::PolicyRevision(RevisionState::Discarded) => "policy_revision_discarded",
            Self::ServiceRecord(RecordState::Pending) => "service_record_pending",
            Self::ServiceRecord(RecordState::Verified) => "service_record_verified",
            Self::ServiceRecord(RecordState::Rejected) => "service_record_rejected",
            Self::ServiceRecord(RecordState::Revoked) => "service_record_revoked",
            Self::ServiceEvidenceAdded => "service_evidence_added",
            Self::Grant(GrantState::Empty) => "grant_empty",
            Self::Grant(GrantState::AwaitingBudget) => "grant_awaiting_budget",
            Self::Grant(GrantState::Pending) => "grant_pending",
            Self::Grant(GrantState::Posted) => "grant_posted",
            Self::Grant(GrantState::Revoking) => "grant_revoking",
            Self::Grant(GrantState::Revoked) => "grant_revoked",
            Self::Adjustment(AdjustmentState::Proposed) => "adjustment_proposed",
            Self::Adjustment(AdjustmentState::Approved) => "adjustment_approved",
            Self::Adjustment(AdjustmentState::Applied) => "adjustment_applied",
            Self::Adjustment(AdjustmentState::Declined) => "adjustment_declined",
            Self::Adjustment(AdjustmentState::Refused) => "adjustment_refused",
            Self::Report(EventKind::Submitted) => "report_submitted",
            Self::Report(EventKind::Detail) => "report_detail",
            Self::Report(EventKind::Accepted) => "report_accepted",
            Self::Report(EventKind::Rejected) => "report_rejected",
            Self::Report(EventKind::Abuse) => "report_abuse",
            Self::Report(EventKind::Duplicate) => "report_duplicate",
            Self::Report(EventKind::Referred) => "report_referred",
            Self::Report(EventKind::Assigned) => "report_assigned",
            Self::Report(EventKind::HandedBack) => "report_handed_back",
            Self::Report(EventKind::Started) => "report_started",
            Self::Report(EventKind::Progress) => "report_progress",
            Self::Report(EventKind::Resolved) => "report_resolved",
            Self::Report(EventKind::Reopened) => "report_reopened",
            Self::Report(EventKind::Closed) => "report_closed",
            Self::Report(EventKind::Rated) => "report_rated",
            Self::Report(EventKind::Visibility) => "report_visibility",
            Self::Payout(PayoutState::Draft) => "payout_draft",
            Self::Payout(PayoutState::Exported) => "payout_exported",
            Self::Payout(PayoutState::Confirmed) => "payout_confirmed",
            Self::Payout(PayoutState::Cancelled) => "payout_cancelled",
            Self::NoticeRecorded => "notice_recorded",
            Self::ServiceSettingsSet => "service_settings_set",
            Self::ReportSettingsSet => "report_settings_set",
        }
    }
}

/// An event to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub happened: Happened,
    /// Name of what changed, within its community.
    pub subject: String,
    /// Whom it is about.
    pub member: Option<Uuid>,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1, 2, 3 … within the community.
    pub sequence: i64,
    /// The word of what happened; one that a later release wrote may not be known here.
    pub kind: String,
    pub subject: String,
    pub member: Option<Uuid>,
    pub at: DateTime<Utc>,
}

/// Whose events to read.
#[derive(Debug, Clone, Copy)]
pub struct EventFilter {
    pub community: Community,
    /// `None`: everyone's, and those about nobody.
    pub member: Option<Uuid>,
}

impl NewEvent {
    /// A programme was created.
    pub fn of_programme(programme: &Programme) -> Self {
        Self {
            happened: Happened::ProgrammeCreated,
            subject: format!("programmes/{}", programme.id),
            member: None,
        }
    }

    /// A team was created.
    pub fn of_team(team: &Team) -> Self {
        Self {
            happened: Happened::TeamCreated,
            subject: format!("teams/{}", team.id),
            member: None,
        }
    }

    /// A member was registered or erased.
    pub fn of_member(member: &Member) -> Self {
        Self {
            happened: match member.erased_at {
                None => Happened::MemberCreated,
                Some(_) => Happened::MemberErased,
            },
            subject: format!("members/{}", member.id),
            member: Some(member.id),
        }
    }

    /// A policy revision came to its state.
    pub fn of_revision(revision: &PolicyRevision) -> Self {
        Self {
            happened: Happened::PolicyRevision(revision.state),
            subject: format!(
                "programmes/{}/policyRevisions/{}",
                revision.programme, revision.id
            ),
            member: None,
        }
    }

    /// A service record came to its state.
    pub fn of_record(record: &ServiceRecord) -> Self {
        Self {
            happened: Happened::ServiceRecord(record.state),
            subject: format!("serviceRecords/{}", record.id),
            member: Some(record.member),
        }
    }

    /// A service record has more evidence.
    pub fn of_evidence(record: &ServiceRecord) -> Self {
        Self {
            happened: Happened::ServiceEvidenceAdded,
            ..Self::of_record(record)
        }
    }

    /// Settings of a programme were set.
    pub fn of_settings(happened: Happened, programme: Uuid) -> Self {
        Self {
            happened,
            subject: format!("programmes/{programme}"),
            member: None,
        }
    }

    /// A member's grant came to a state.
    pub fn of_grant(grant: Uuid, member: Uuid, state: GrantState) -> Self {
        Self {
            happened: Happened::Grant(state),
            subject: format!("grants/{grant}"),
            member: Some(member),
        }
    }

    /// An adjustment came to its state.
    pub fn of_adjustment(adjustment: &Adjustment) -> Self {
        Self {
            happened: Happened::Adjustment(adjustment.state),
            subject: format!("adjustments/{}", adjustment.id),
            // What was only proposed is not for the member to see.
            member: match adjustment.change {
                Change::Points { member, .. } if adjustment.state == AdjustmentState::Applied => {
                    Some(member)
                }
                Change::Points { .. } | Change::Budget(_) => None,
            },
        }
    }

    /// Something happened to a report.
    pub fn of_report(report: &Report, event: &ReportEvent) -> Self {
        Self {
            happened: Happened::Report(event.kind),
            subject: format!("reports/{}", report.id),
            member: Some(report.member),
        }
    }

    /// A payout came to its state.
    pub fn of_payout(payout: &Payout) -> Self {
        Self {
            happened: Happened::Payout(payout.state),
            subject: format!("payouts/{}", payout.id),
            member: None,
        }
    }

    /// A member was told something.
    pub fn of_notice(notice: &NewNotice) -> Self {
        Self {
            happened: Happened::NoticeRecorded,
            subject: format!("members/{}/notices/{}", notice.member, notice.id),
            member: Some(notice.member),
        }
    }
}
