//! Problem reports of a programme: the rows of `reports.csv`, and the calls they become.

use std::{collections::HashMap, path::Path};

use chrono::{DateTime, Utc};
use proto::activity::v1 as act;
use runtime::Problem;

use super::{
    numbering::Numbering,
    record::Numbers,
    table::{self, Row},
};
use crate::{call, rpc::failure, system::Clients};

const COLUMNS: &[&str] = &[
    "report_no",
    "member_no",
    "category",
    "urgency",
    "place",
    "submitted_at",
    "decided_at",
    "outcome",
    "duplicate_of",
];

/// A row of `reports.csv`.
#[derive(Debug, Clone)]
pub struct Report {
    /// `report_no`.
    pub number: String,
    /// `member_no`: the reporter.
    pub member: String,
    /// `category`.
    pub category: String,
    /// `urgency`.
    pub urgency: act::ReportUrgency,
    /// `place`, in words.
    pub place: String,
    /// `submitted_at`.
    pub submitted_at: DateTime<Utc>,
    /// `decided_at`.
    pub decided_at: DateTime<Utc>,
    /// `outcome` and `duplicate_of`.
    pub outcome: Outcome,
}

/// What was decided on a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was valid and new.
    Accepted,
    /// It was wrong.
    Rejected,
    /// It told what an earlier one told: the number of that.
    Duplicate(String),
}

/// Reads the table of a folder.
pub(super) fn read(folder: &Path, members: &Numbers) -> Result<Vec<Report>, Problem> {
    let rows = table::read(folder, "reports.csv", COLUMNS)?;
    let mut submitted = HashMap::new();
    let mut own = Numbers::default();
    for row in &rows {
        let number = own.own(row, "report_no")?;
        submitted.insert(number, row.instant("submitted_at")?);
    }
    let report = |row| report(row, members, &submitted);
    rows.iter().map(report).collect()
}

fn report(
    row: &Row,
    members: &Numbers,
    submitted: &HashMap<String, DateTime<Utc>>,
) -> Result<Report, Problem> {
    let urgencies = [
        ("red", act::ReportUrgency::Red),
        ("yellow", act::ReportUrgency::Yellow),
        ("blue", act::ReportUrgency::Blue),
    ];
    let submitted_at = row.instant("submitted_at")?;
    let decided_at = row.instant("decided_at")?;
    if decided_at < submitted_at {
        return Err(row.fault("decided_at", "is before submitted_at"));
    }
    let decisions = [
        ("accepted", Decision::Accept),
        ("rejected", Decision::Reject),
        ("duplicate", Decision::MarkDuplicate),
    ];
    let original = row.optional("duplicate_of");
    let outcome = match (row.choice("outcome", &decisions)?, original) {
        (Decision::Accept, None) => Outcome::Accepted,
        (Decision::Reject, None) => Outcome::Rejected,
        (Decision::MarkDuplicate, Some(original)) => match submitted.get(original) {
            None => return Err(row.fault("duplicate_of", "is not known")),
            Some(first) if *first > submitted_at || original == row.text("report_no")? => {
                return Err(row.fault("duplicate_of", "was not submitted before"));
            }
            Some(_) => Outcome::Duplicate(original.to_owned()),
        },
        (Decision::MarkDuplicate, None) => return Err(row.fault("duplicate_of", "is empty")),
        (Decision::Accept | Decision::Reject, Some(_)) => {
            return Err(row.fault("duplicate_of", "is of a duplicate only"));
        }
    };
    Ok(Report {
        number: row.text("report_no")?.to_owned(),
        member: members.other(row, "member_no")?,
        category: row.text("category")?.to_owned(),
        urgency: row.choice("urgency", &urgencies)?,
        place: row.text("place")?.to_owned(),
        submitted_at,
        decided_at,
        outcome,
    })
}

#[derive(Clone, Copy)]
enum Decision {
    Accept,
    Reject,
    MarkDuplicate,
}

/// Hands a report in.
pub(super) async fn submit(
    report: &Report,
    numbering: &Numbering,
    clients: &Clients,
) -> Result<(), Problem> {
    let number = &report.number;
    let request = act::CreateReportRequest {
        parent: numbering.community.clone(),
        report_id: numbering.id("reports", number).to_string(),
        report: Some(act::Report {
            programme: numbering.programme.clone(),
            member: numbering.name("members", &report.member),
            category: report.category.clone(),
            place: Some(act::ReportPlace {
                text: report.place.clone(),
                point: None,
            }),
            urgency: report.urgency.into(),
            ..Default::default()
        }),
        request_id: numbering.request("CreateReport", number),
    };
    call!(clients.reports, create_report, request)
        .await
        .map(drop)
        .map_err(|status| failure(format!("CreateReport {number}"), &status))
}

/// Decides on a report; returns the name of the grant that it earned, if it earned one.
pub(super) async fn decide(
    report: &Report,
    numbering: &Numbering,
    clients: &Clients,
) -> Result<Option<String>, Problem> {
    let number = &report.number;
    let name = numbering.name("reports", number);
    let failed = |method: &'static str| {
        move |status: tonic::Status| failure(format!("{method} {number}"), &status)
    };
    match &report.outcome {
        Outcome::Accepted => {
            let request = act::AcceptReportRequest {
                name,
                request_id: numbering.request("AcceptReport", number),
                ..Default::default()
            };
            let accepted = call!(clients.reports, accept_report, request).await;
            Ok(Some(accepted.map_err(failed("AcceptReport"))?.grant))
        }
        Outcome::Rejected => {
            let request = act::RejectReportRequest {
                name,
                reason: "rejected".to_owned(),
                abuse: false,
                request_id: numbering.request("RejectReport", number),
            };
            let rejected = call!(clients.reports, reject_report, request).await;
            rejected.map(|_| None).map_err(failed("RejectReport"))
        }
        Outcome::Duplicate(original) => {
            let request = act::MarkReportDuplicateRequest {
                name,
                duplicate_of: numbering.name("reports", original),
                request_id: numbering.request("MarkReportDuplicate", number),
            };
            let marked = call!(clients.reports, mark_report_duplicate, request).await;
            marked.map(|_| None).map_err(failed("MarkReportDuplicate"))
        }
    }
}
