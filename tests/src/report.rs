//! Problem reports, and what is done to them.

use linli::system::Clients;
use proto::activity::v1 as act;
use runtime::{Holder, Role};
use tonic::Status;

use crate::{Member, Scheme, World, send};

impl Scheme {
    /// Reports earn so much, whatever they are about.
    pub fn of_reports(points: i64) -> Self {
        let policy = act::Policy {
            earn_rules: vec![report_rule("*", "*", points)],
            ..Default::default()
        };
        Self {
            policy,
            budget: None,
        }
    }
}

/// What reports of a category and an urgency earn.
pub fn report_rule(category: &str, urgency: &str, points: i64) -> act::EarnRule {
    act::EarnRule {
        source: act::EarnSource::Report.into(),
        category: category.to_owned(),
        urgency: urgency.to_owned(),
        rate: Some(act::earn_rule::Rate::Fixed(points)),
    }
}

impl World {
    /// A report of what is at Gate 3, to be changed before it is sent.
    pub fn report(&self, member: &Member, category: &str) -> act::CreateReportRequest {
        act::CreateReportRequest {
            parent: self.community_name(),
            report_id: String::new(),
            report: Some(act::Report {
                programme: self.programme_name(),
                member: member.name.clone(),
                category: category.to_owned(),
                place: Some(act::ReportPlace {
                    text: "Gate 3".to_owned(),
                    point: None,
                }),
                ..Default::default()
            }),
            request_id: self.id(),
        }
    }

    /// The clients of a member's phone.
    pub fn phone(&self, member: &Member) -> Clients {
        self.clients.of(Holder {
            resources: vec![member.name.clone()],
            ..Holder::everywhere("wx-1", [Role::Member])
        })
    }

    /// Hands a report in.
    pub async fn reported(&self, report: act::CreateReportRequest) -> act::Report {
        let filed = send!(self.clients.reports, create_report, report).unwrap();
        filed.report.unwrap()
    }

    /// Hands in what a member sees, time passes, and staff accept it.
    pub async fn accepted_report(&self, member: &Member, category: &str) -> act::Report {
        let report = self.reported(self.report(member, category)).await;
        self.clock.advance(chrono::TimeDelta::minutes(1));
        self.accept_report(&report).await.unwrap()
    }

    /// Accepts a report.
    pub async fn accept_report(&self, report: &act::Report) -> Result<act::Report, Status> {
        let message = act::AcceptReportRequest {
            name: report.name.clone(),
            request_id: self.id(),
            ..Default::default()
        };
        send!(self.staff("STAFF01").reports, accept_report, message)
    }

    /// Rejects a report.
    pub async fn reject_report(&self, report: &act::Report, abuse: bool) -> act::Report {
        let message = act::RejectReportRequest {
            name: report.name.clone(),
            reason: "nothing there".to_owned(),
            abuse,
            request_id: self.id(),
        };
        send!(self.staff("STAFF01").reports, reject_report, message).unwrap()
    }

    /// Gives an accepted report to the desk, which begins and mends it.
    pub async fn mend_report(&self, report: &act::Report) -> act::Report {
        let desk = self.staff("STAFF01").reports;
        let name = &report.name;
        let assignment = act::AssignReportRequest {
            name: name.clone(),
            assignee: Some(act::ReportAssignee {
                who: Some(act::report_assignee::Who::Staff("STAFF02".to_owned())),
            }),
            request_id: self.id(),
        };
        send!(desk, assign_report, assignment).unwrap();
        let start = act::StartReportRequest {
            name: name.clone(),
            request_id: self.id(),
        };
        send!(desk, start_report, start).unwrap();
        self.resolve_report(report).await
    }

    /// Says that what is being worked on is mended.
    pub async fn resolve_report(&self, report: &act::Report) -> act::Report {
        let resolution = act::ResolveReportRequest {
            name: report.name.clone(),
            note: "lamp replaced".to_owned(),
            photos: vec!["oss://after.jpg".to_owned()],
            request_id: self.id(),
        };
        send!(self.staff("STAFF01").reports, resolve_report, resolution).unwrap()
    }

    /// A report as it stands.
    pub async fn report_now(&self, report: &act::Report) -> act::Report {
        let message = act::GetReportRequest {
            name: report.name.clone(),
        };
        send!(self.clients.reports, get_report, message).unwrap()
    }

    /// What happened to a report, as its reporter sees it.
    pub async fn report_events(
        &self,
        member: &Member,
        report: &act::Report,
    ) -> Vec<act::ReportEvent> {
        let message = act::ListReportEventsRequest {
            parent: report.name.clone(),
            ..Default::default()
        };
        let answer = send!(self.phone(member).reports, list_report_events, message);
        answer.unwrap().report_events
    }

    /// What everybody in the community sees of the programme's reports.
    pub async fn public_reports(&self, by: &Clients) -> Vec<act::PublicReport> {
        let message = act::ListPublicReportsRequest {
            parent: self.programme_name(),
            ..Default::default()
        };
        let answer = send!(by.reports, list_public_reports, message);
        answer.unwrap().public_reports
    }

    /// Sets the rules by which the programme takes reports.
    pub async fn set_report_settings(&self, settings: act::ReportSettings) -> act::ReportSettings {
        let message = act::SetReportSettingsRequest {
            name: format!("{}/reportSettings", self.programme_name()),
            report_settings: Some(settings),
            request_id: self.id(),
        };
        send!(self.clients.reports, set_report_settings, message).unwrap()
    }
}
