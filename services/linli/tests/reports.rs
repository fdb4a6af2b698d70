//! A scheme that lives from problem reports, replayed: what comes out was worked out by hand.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::{fs, path::Path};

use linli::{
    programme::{self, Programme, compare},
    progress::Progress,
    system::{Ports, System, SystemConfig},
};
use runtime::{Clock, Ids, TestDatabase};

const SETTINGS: &str = r#"
    [programme]
    id = "reports"
    name = "Eyes open"
    community = "Community"
    time_zone = "Asia/Shanghai"
    starts = "2024-05-01T00:00:00+08:00"
    as_of = "2024-07-15T00:00:00+08:00"
    [asset]
    code = "points"
    exponent = 0
    [budget]
    issuable = 140
    [expiry]
    months = 1
    [[earn]]
    source = "service"
    category = "*"
    per_hour = 4
    [[earn]]
    source = "report"
    category = "hazard"
    urgency = "red"
    fixed = 40
    [[earn]]
    source = "report"
    category = "*"
    urgency = "yellow"
    fixed = 15
    [[earn]]
    source = "report"
    category = "*"
    urgency = "blue"
    fixed = 5
    [[multiplier]]
    role = "leader"
    factor = "1.25"
    [[multiplier]]
    day_of_month = 19
    factor = "2"
    [[cap]]
    source = "report"
    period = "day"
    limit = 50
    [[cap]]
    source = "*"
    period = "month"
    limit = 60
"#;

/// Each row says what it grants, and why.
const REPORTS: [(&str, &str); 12] = [
    (
        "P01,M1,hazard,red,Gate 1,2024-05-01T23:50:00+08:00,2024-05-02T09:00:00+08:00,accepted,",
        "40",
    ),
    (
        "P02,M1,facility,red,Gate 2,2024-05-01T23:55:00+08:00,2024-05-02T10:00:00+08:00,accepted,",
        "0: no rule",
    ),
    (
        "P03,M1,mess,yellow,Gate 3,2024-05-01T23:58:00+08:00,2024-05-03T09:00:00+08:00,accepted,",
        "10: day",
    ),
    (
        "P04,M1,mess,yellow,Gate 4,2024-05-02T00:05:00+08:00,2024-05-03T10:00:00+08:00,accepted,",
        "10: month",
    ),
    (
        "P05,M2,hazard,red,Gate 1,2024-05-01T23:51:00+08:00,2024-05-02T08:00:00+08:00,duplicate,P01",
        "0: the second, and found before the first was decided on",
    ),
    (
        "P06,M2,mess,blue,Gate 5,2024-05-19T08:00:00+08:00,2024-05-20T08:00:00+08:00,accepted,",
        "10: twice 5",
    ),
    (
        "P07,M2,hazard,red,Gate 6,2024-05-20T08:00:00+08:00,2024-05-21T08:00:00+08:00,rejected,",
        "0",
    ),
    (
        "P08,M2,hazard,red,Gate 7,2024-05-21T08:00:00+08:00,2024-05-21T09:00:00+08:00,accepted,",
        "40",
    ),
    (
        "P09,M1,hazard,red,Gate 8,2024-06-01T12:00:00+08:00,2024-06-02T08:00:00+08:00,accepted,",
        "40 wait: 115 of 140",
    ),
    (
        "P10,M1,mess,blue,Gate 9,2024-06-03T08:00:00+08:00,2024-06-03T09:00:00+08:00,accepted,",
        "5",
    ),
    (
        "P11,M1,mess,blue,Gate 9,2024-07-14T08:00:00+08:00,2024-07-16T09:00:00+08:00,accepted,",
        "0: later",
    ),
    (
        "P12,M2,mess,blue,Gate 5,2024-05-31T23:00:00+08:00,2024-06-01T08:00:00+08:00,accepted,",
        "5, until August",
    ),
];

/// The leader's hour earns 5. The 60 points spent are those of May; what is left of May is M2's 50, which expire.
const EXPECTED: &str = r#"{
    "granted": 125, "awaiting_budget": 40, "expired": 50, "spent": 60, "returned": 0, "held": 0, "outstanding": 15,
    "service_minutes": 60, "grants": 8, "redemptions": 1, "reversals": 0, "refused": {}, "merchants": {"S1": 60},
    "balances_sha256": "1de43aee331128a5bf3c52ae4bacb363599d86a6afcc12fa4da51101a923ec35"
}"#;

fn write(folder: &Path) {
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    put("programme.toml", SETTINGS);
    put(
        "members.csv",
        "member_no,name,kind,team_no,birth_year,joined\nM1,Ada,rider,,,\nM2,Bo,courier,,,\n",
    );
    put(
        "services.csv",
        "record_no,member_no,role,category,activity,start,end,verified_at,verified_by,outcome\n\
         R1,M1,leader,patrol,Walk,2024-06-04T10:00:00+08:00,2024-06-04T11:00:00+08:00,2024-06-04T12:00:00+08:00,M2,verified\n",
    );
    put(
        "merchants.csv",
        "merchant_no,name,category,agreement_from,agreement_to\nS1,Shop,,2024-01-01,2024-12-31\n",
    );
    put(
        "offers.csv",
        "offer_no,merchant_no,title,points,stock,per_member_limit,audience,from,to\n\
         O1,S1,Helmet,30,10,,gig,2024-01-01,2024-12-31\n",
    );
    put(
        "redemptions.csv",
        "redemption_no,member_no,offer_no,quantity,at,reversed_at,reversed_quantity\n\
         X1,M1,O1,2,2024-06-10T10:00:00+08:00,,\n",
    );
    let rows: Vec<&str> = REPORTS.iter().map(|(row, _)| *row).collect();
    let header =
        "report_no,member_no,category,urgency,place,submitted_at,decided_at,outcome,duplicate_of";
    put("reports.csv", &format!("{header}\n{}\n", rows.join("\n")));
    put("expected.json", EXPECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_of_reports_comes_to_what_was_worked_out_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let programme = Programme::read(folder.path()).unwrap();
    let database = TestDatabase::new().await;
    let clock = Clock::manual(programme::first_instant(&programme));
    let system = System::start(SystemConfig {
        database_url: database.url().to_owned(),
        clock: clock.clone(),
        ids: Ids::seeded(clock.clone(), 1),
        listen: Ports::ANY,
        signer: Some(linli::key::temporary()),
        person_keys: linli::key::temporary_persons(),
        origins: Vec::new(),
        limits: Default::default(),
        offline: Default::default(),
        minter: linli::key::temporary_issuer(),
    })
    .await
    .unwrap();
    let clients = system.clients().unwrap();
    let go_to = async |at| {
        clock.advance_to(at);
        Ok(())
    };

    let mut progress = Progress::new("reports");
    let figures = programme::replay(&programme, &clients, go_to, &mut progress).await;

    let compared = compare(&figures.unwrap(), programme.expected.as_ref());
    let wrong: Vec<_> = compared
        .iter()
        .filter(|one| one.agrees() == Some(false))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared.iter().filter(|one| one.agrees().is_some()).count() > 12);
    drop(clients);
    system.stop().await.unwrap();
}
