//! Each column's values, and each fault in one line.

use std::fs;

use proto::{
    activity::v1::ReportUrgency,
    wish::v1::{WishScope, WishUnit},
};

use super::*;
use crate::programme::report::Outcome;

const TABLES: [(&str, &str); 9] = [
    ("teams.csv", "team_no,name,colour\nT1,Blue,blue\n"),
    (
        "members.csv",
        "member_no,name,kind,team_no,birth_year,joined\nM1,Ada,rider,T1,1990,\nM2,Bo,staff,,,\n",
    ),
    (
        "merchants.csv",
        "merchant_no,name,category,agreement_from,agreement_to\nS1,Shop,,2024-01-01,2024-12-31\n",
    ),
    (
        "offers.csv",
        "offer_no,merchant_no,title,points,stock,per_member_limit,audience,from,to\n\
         O1,S1,Tea,5,10,,all,2024-01-01,2024-12-31\n",
    ),
    (
        "services.csv",
        "record_no,member_no,role,category,activity,start,end,verified_at,verified_by,outcome\n\
         R1,M1,leader,patrol,Walk,2024-05-01T10:00:00+08:00,2024-05-01T11:00:00+08:00,2024-05-01T11:00:00+08:00,M2,verified\n",
    ),
    (
        "reports.csv",
        "report_no,member_no,category,urgency,place,submitted_at,decided_at,outcome,duplicate_of\n\
         P1,M1,hazard,red,Gate 3,2024-05-01T10:00:00+08:00,2024-05-01T10:00:00+08:00,accepted,\n\
         P2,M2,hazard,blue,Gate 3,2024-05-01T10:00:00+08:00,2024-05-02T10:00:00+08:00,duplicate,P1\n\
         P3,M2,litter,yellow,Gate 4,2024-05-01T10:00:00+08:00,2024-05-02T10:00:00+08:00,rejected,\n",
    ),
    (
        "redemptions.csv",
        "redemption_no,member_no,offer_no,quantity,at,reversed_at,reversed_quantity\n\
         X1,M1,O1,2,2024-05-02T10:00:00+08:00,2024-05-02T10:00:00+08:00,1\n\
         X2,M2,O1,1,2024-05-02T10:00:00+08:00,,\n",
    ),
    (
        "wishes.csv",
        "wish_no,requester_no,category,scope,priority,title,target,unit,published_at,closes_at\n\
         W1,N1,material,individual,high,Fan,40,points,2024-05-01T10:00:00+08:00,2024-05-31T10:00:00+08:00\n\
         W2,N1,skill,common,low,Bench,1,each,2024-05-01T10:00:00+08:00,2024-05-31T10:00:00+08:00\n",
    ),
    (
        "pledges.csv",
        "pledge_no,wish_no,pledger,pledger_kind,quantity,at,fulfilled_at\n\
         G1,W1,M1,member,20,2024-05-03T10:00:00+08:00,2024-05-04T10:00:00+08:00\n\
         G2,W2,ORG1,company,1,2024-05-03T10:00:00+08:00,\n",
    ),
];

/// Reads the tables above after a change of one of them.
fn with(table: &str, right: &str, wrong: &str) -> Result<Records, Problem> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in TABLES {
        let mut text = text.to_owned();
        if name == table {
            assert!(text.contains(right), "{right} is not in {name}");
            text = text.replacen(right, wrong, 1);
        }
        fs::write(folder.path().join(name), text).unwrap();
    }
    Records::read(folder.path(), "points")
}

#[test]
fn every_table_is_read() {
    let records = with("teams.csv", "", "").unwrap();
    assert_eq!(records.teams[0].colour, "blue");
    assert_eq!(records.members[0].kind, MemberKind::Rider);
    assert_eq!(records.members[0].team.as_deref(), Some("T1"));
    assert_eq!(records.members[1].birth_year, 0);
    assert_eq!(records.merchants[0].category, "");
    assert_eq!(records.offers[0].per_member_limit, None);
    assert!(records.services[0].verified);
    let outcomes = records.reports.iter().map(|report| &report.outcome);
    let expected = [
        Outcome::Accepted,
        Outcome::Duplicate("P1".to_owned()),
        Outcome::Rejected,
    ];
    assert!(outcomes.eq(&expected));
    assert_eq!(records.reports[2].urgency, ReportUrgency::Yellow);
    assert_eq!(records.redemptions[0].reversal.unwrap().quantity, 1);
    assert_eq!(records.redemptions[1].reversal, None);
    assert_eq!(records.wishes[0].unit, WishUnit::Points);
    assert_eq!(records.wishes[1].scope, WishScope::Common);
    assert!(matches!(&records.pledges[0].pledger, Pledger::Member(number) if number == "M1"));
    assert!(matches!(&records.pledges[1].pledger, Pledger::Company(_)));
    assert_eq!(records.pledges[1].fulfilled_at, None);
}

#[test]
fn each_fault_is_told_in_one_line() {
    for (table, right, wrong, expected) in [
        (
            "wishes.csv",
            "W2,",
            "W1,",
            "line 3: wish_no is there twice: \"W1\"",
        ),
        ("wishes.csv", "each", "CNY", "line 3: unit is none of"),
        (
            "wishes.csv",
            "2024-05-31",
            "2024-04-30",
            "line 2: closes_at is before published_at",
        ),
        (
            "pledges.csv",
            "G1,W1",
            "G1,W9",
            "line 2: wish_no is not known: \"W9\"",
        ),
        (
            "pledges.csv",
            "M1,member",
            "M9,member",
            "line 2: pledger is not known: \"M9\"",
        ),
        (
            "pledges.csv",
            "M1,member",
            "ORG1,organisation",
            "line 2: pledger_kind pledges points",
        ),
        (
            "pledges.csv",
            "2024-05-04",
            "2024-05-02",
            "line 2: fulfilled_at is before at",
        ),
        (
            "members.csv",
            "M2,",
            "M1,",
            "line 3: member_no is there twice: \"M1\"",
        ),
        (
            "members.csv",
            ",T1,",
            ",T9,",
            "line 2: team_no is not known: \"T9\"",
        ),
        (
            "reports.csv",
            "P2,",
            "P1,",
            "line 3: report_no is there twice: \"P1\"",
        ),
        (
            "reports.csv",
            "duplicate,P1",
            "duplicate,P9",
            "line 3: duplicate_of is not known: \"P9\"",
        ),
        (
            "reports.csv",
            "duplicate,P1",
            "duplicate,P2",
            "line 3: duplicate_of was not submitted before: \"P2\"",
        ),
        (
            "reports.csv",
            "duplicate,P1",
            "duplicate,",
            "line 3: duplicate_of is empty",
        ),
        (
            "reports.csv",
            "rejected,",
            "rejected,P1",
            "line 4: duplicate_of is of a duplicate only: \"P1\"",
        ),
        ("reports.csv", "red", "pink", "line 2: urgency is none of"),
        (
            "reports.csv",
            "2024-05-02T10",
            "2024-04-30T10",
            "line 3: decided_at is before submitted_at",
        ),
        ("members.csv", "rider", "robot", "line 2: kind is none of"),
        (
            "members.csv",
            "1990",
            "90",
            "line 2: birth_year is not a whole number",
        ),
        (
            "merchants.csv",
            "2024-12-31",
            "2023-12-31",
            "line 2: agreement_to is before agreement_from: \"2023-12-31\"",
        ),
        (
            "offers.csv",
            "O1,S1",
            "O1,S2",
            "line 2: merchant_no is not known",
        ),
        (
            "offers.csv",
            ",5,",
            ",0,",
            "line 2: points is not a whole number",
        ),
        (
            "services.csv",
            "R1,M1",
            "R1,M7",
            "line 2: member_no is not known",
        ),
        (
            "services.csv",
            "01T11:00:00+08:00",
            "01T09:59:59+08:00",
            "line 2: end is not after start",
        ),
        (
            "services.csv",
            "2024-05-01T11:00:00+08:00,M2",
            "2024-05-01T10:59:00+08:00,M2",
            "line 2: verified_at is before end",
        ),
        (
            "services.csv",
            ",M2,",
            ",M1,",
            "line 2: verified_by is the volunteer",
        ),
        (
            "services.csv",
            "verified\n",
            "maybe\n",
            "line 2: outcome is none of",
        ),
        (
            "redemptions.csv",
            "O1,2",
            "O9,2",
            "line 2: offer_no is not known",
        ),
        (
            "redemptions.csv",
            ",1\n",
            ",3\n",
            "line 2: reversed_quantity is not a whole number from 1 to 2: \"3\"",
        ),
        (
            "redemptions.csv",
            ",1\n",
            ",\n",
            "line 2: reversed_quantity is empty",
        ),
        (
            "redemptions.csv",
            ",2024-05-02T10:00:00+08:00,1",
            ",2024-05-02T09:00:00+08:00,1",
            "line 2: reversed_at is before at",
        ),
    ] {
        let problem = with(table, right, wrong).unwrap_err().to_string();
        let place = problem.find(table).unwrap_or_else(|| panic!("{problem}"));
        let told = &problem[place + table.len() + 1..];
        assert!(told.starts_with(expected), "{told:?} is not {expected:?}");
    }
}
