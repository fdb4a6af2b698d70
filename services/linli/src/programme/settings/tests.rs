//! Each setting's default, and each fault in one line.

use super::*;

const SMALLEST: &str = r#"
    [programme]
    id = "p"
    name = "Programme"
    community = "Community"
    time_zone = "Europe/Berlin"
    starts = "2024-01-01T00:00:00+01:00"
    as_of = "2024-12-31T00:00:00+01:00"
    [asset]
    code = "CNY"
    exponent = 2
"#;

fn with(more: &str) -> Result<Settings, Why> {
    parse(&format!("{SMALLEST}{more}"))
}

#[test]
fn what_is_not_set_has_its_default() {
    let settings = parse(SMALLEST).unwrap();
    assert_eq!(settings.asset, "CNY");
    assert_eq!(settings.asset_exponent, 2);
    assert_eq!(settings.time_zone, chrono_tz::Europe::Berlin);
    assert_eq!(settings.budget, None);
    assert_eq!(settings.policy, None);
    assert_eq!(settings.reversal_days, 7);
}

#[test]
fn a_policy_keeps_every_rule_in_order() {
    let settings = with(
        r#"
        [expiry]
        months = 12
        [[earn]]
        source = "service"
        category = "*"
        per_hour = 4
        [[earn]]
        source = "report"
        category = "hazard"
        urgency = "red"
        fixed = 40
        [[multiplier]]
        role = "leader"
        factor = "1.25"
        [[multiplier]]
        category = "elder-care"
        factor = "1.1"
        [[multiplier]]
        day_of_month = 19
        factor = "2"
        [[cap]]
        source = "*"
        period = "month"
        limit = 300
        "#,
    );
    let policy = settings.unwrap().policy.unwrap();
    assert_eq!(policy.expiry_months, Some(12));
    assert_eq!(policy.earn_rules[0].rate, Some(Rate::PerHour(4)));
    assert_eq!(policy.earn_rules[1].rate, Some(Rate::Fixed(40)));
    assert_eq!(policy.earn_rules[1].urgency, "red");
    let conditions: Vec<_> = policy
        .multipliers
        .into_iter()
        .map(|m| m.condition)
        .collect();
    assert_eq!(
        conditions,
        [
            Some(Condition::Role(act::ServiceRole::Leader.into())),
            Some(Condition::Category("elder-care".to_owned())),
            Some(Condition::DayOfMonth(19)),
        ]
    );
    assert_eq!(policy.caps[0].source(), act::EarnSource::Unspecified);
}

#[test]
fn each_fault_is_told_in_one_line() {
    for (more, expected) in [
        (
            "[budget]\nissueable = 5",
            " line 13: unknown field `issueable`",
        ),
        ("[budget]\nissuable = 0", ": budget.issuable must be from 1"),
        ("[expiry]\nmonths = -1", ": expiry.months must be from 0"),
        (
            "[[earn]]\nsource = \"service\"\ncategory = \"*\"\nfixed = 4",
            ": earn 1: a service earns per_hour",
        ),
        (
            "[[earn]]\nsource = \"report\"\ncategory = \"*\"\nfixed = 4\nper_hour = 4",
            ": earn 1: a report earns fixed",
        ),
        (
            "[[multiplier]]\nfactor = \"1.2345\"\nrole = \"leader\"",
            ": multiplier 1: factor must be",
        ),
        (
            "[[multiplier]]\nfactor = \"1.5\"",
            ": multiplier 1: it takes one of",
        ),
        (
            "[[multiplier]]\nfactor = \"1.5\"\nrole = \"leader\"\nday_of_month = 1",
            ": multiplier 1: it takes one of",
        ),
        (
            "[[cap]]\nsource = \"*\"\nperiod = \"year\"\nlimit = 1",
            " line 14: unknown variant `year`",
        ),
    ] {
        let why = with(more).unwrap_err();
        assert!(why.starts_with(expected), "{why:?} is not {expected:?}");
    }
}

#[test]
fn the_programme_itself_is_checked() {
    for (right, wrong, expected) in [
        ("Europe/Berlin", "Mars/Base", ": programme.time_zone is no"),
        (
            "2024-01-01T00:00:00+01:00",
            "2024-01-01",
            ": programme.starts",
        ),
        ("2024-12-31T", "2023-12-31T", ": programme.as_of is before"),
        ("\"CNY\"", "\"C N\"", ": asset.code must be"),
        ("exponent = 2", "exponent = 10", ": asset.exponent must be"),
        ("id = \"p\"", "id = \" \"", ": programme.id is empty"),
    ] {
        let why = parse(&SMALLEST.replace(right, wrong)).unwrap_err();
        assert!(why.starts_with(expected), "{why:?} is not {expected:?}");
    }
}

#[test]
fn a_factor_is_a_plain_decimal() {
    for right in ["0", "1", "1.5", "0.125", "1000", "1000.000", "999.999"] {
        assert!(is_factor(right), "{right}");
    }
    for wrong in [
        "", ".", "1.", ".5", "-1", "1e2", "1.2345", "1000.001", "+1", "1,5",
    ] {
        assert!(!is_factor(wrong), "{wrong}");
    }
}
