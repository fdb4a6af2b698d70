//! The rules by which programmes take problem reports.

use std::collections::HashSet;

use proto::activity::v1 as pb;
use runtime::{Access, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    call, fields, programme,
    report::read_urgency,
    report_text::{
        encode_kind, encode_urgency, encode_visibility, read_emergency, read_visibility,
    },
    required, resource,
};
use crate::{
    Activity,
    domain::{
        Community,
        report::{Emergency, Urgency, Visibility},
        report_rules::{Category, Rules, RulesOf, Target, Targets, is_number},
    },
};

/// What the names of rules end in: a programme has one of them.
const SINGLETON: &str = "/reportSettings";
const MAX_TARGET_SECONDS: u64 = 365 * 24 * 3600;

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetReportSettingsRequest>,
) -> Result<pb::ReportSettings, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, programme) = read_name(&mut fields, &request.get_ref().name);
    fields.finish()?;
    let found = activity.get_report_settings(community, programme).await?;
    Ok(encode(found))
}

pub(super) async fn set(
    activity: &Activity,
    request: Request<pb::SetReportSettingsRequest>,
) -> Result<pb::ReportSettings, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = read_name(&mut fields, &request.name);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "SetReportSettings", &request);
    let settings = required(&mut fields, "report_settings", request.report_settings);
    let rules = read(&mut fields, &settings);
    fields.finish()?;
    let set = activity
        .set_report_settings(&call, programme, rules)
        .await?;
    Ok(encode(set))
}

fn read_name(fields: &mut Fields, name: &str) -> (Community, Uuid) {
    match name.strip_suffix(SINGLETON) {
        Some(programme) => resource(fields, "name", programme, "programmes"),
        None if name.is_empty() => resource(fields, "name", name, "programmes"),
        None => {
            let form = "not of the form communities/{uuid}/programmes/{uuid}/reportSettings";
            fields.fail("name", form);
            (Community(Uuid::nil()), Uuid::nil())
        }
    }
}

fn read(fields: &mut Fields, settings: &pb::ReportSettings) -> Rules {
    let at = |field: &str| format!("report_settings.{field}");
    let usual = Rules::default();
    let mut number = |field: &str, value: Option<i32>, most: i64, usual: i32| {
        let value = value.unwrap_or(usual);
        fields.range(&at(field), i64::from(value), 1, most);
        value
    };
    Rules {
        duplicate_radius_metres: number(
            "duplicate_radius_metres",
            settings.duplicate_radius_metres,
            10_000,
            usual.duplicate_radius_metres,
        ),
        reopen_days: number("reopen_days", settings.reopen_days, 365, usual.reopen_days),
        strike_limit: number(
            "strike_limit",
            settings.strike_limit,
            100,
            usual.strike_limit,
        ),
        suspension_days: number(
            "suspension_days",
            settings.suspension_days,
            3650,
            usual.suspension_days,
        ),
        categories: read_categories(fields, &at("categories"), &settings.categories),
        targets: read_targets(fields, &at("targets"), &settings.targets),
        emergency_numbers: read_numbers(
            fields,
            &at("emergency_numbers"),
            &settings.emergency_numbers,
        ),
    }
}

fn read_categories(
    fields: &mut Fields,
    field: &str,
    categories: &[pb::ReportCategory],
) -> Vec<Category> {
    if !at_most(fields, field, categories.len(), 100) {
        return Vec::new();
    }
    let mut known = HashSet::new();
    let mut read = Vec::with_capacity(categories.len());
    for (index, category) in categories.iter().enumerate() {
        let at = |part: &str| format!("{field}[{index}].{part}");
        let code = fields.text(&at("code"), &category.code, 60);
        fields.check(&at("code"), known.insert(code.clone()), "is there twice");
        if let Some(radius) = category.duplicate_radius_metres {
            let radius = i64::from(radius);
            fields.range(&at("duplicate_radius_metres"), radius, 1, 10_000);
        }
        let usual = if category.involves_persons {
            Visibility::Private
        } else {
            Visibility::Public
        };
        let visibility = read_visibility(fields, &at("visibility"), category.visibility);
        let urgency = read_urgency(fields, &at("urgency"), category.urgency);
        read.push(Category {
            text_zh: fields.optional_text(&at("text_zh"), &category.text_zh, 60),
            text_en: fields.optional_text(&at("text_en"), &category.text_en, 60),
            urgency: urgency.unwrap_or(Urgency::Blue),
            involves_persons: category.involves_persons,
            visibility: visibility.unwrap_or(usual),
            emergency: read_emergency(fields, &at("emergency"), category.emergency),
            duplicate_radius_metres: category.duplicate_radius_metres,
            code,
        });
    }
    read
}

fn read_targets(fields: &mut Fields, field: &str, targets: &[pb::ReportTarget]) -> Targets {
    let mut read = Targets::default();
    if !at_most(fields, field, targets.len(), 3) {
        return read;
    }
    let mut known = HashSet::new();
    for (index, target) in targets.iter().enumerate() {
        let at = |part: &str| format!("{field}[{index}].{part}");
        let urgency = read_urgency(fields, &at("urgency"), target.urgency);
        fields.check(&at("urgency"), target.urgency != 0, "required");
        fields.check(
            &at("urgency"),
            known.insert(target.urgency),
            "is there twice",
        );
        let triage_seconds = read_seconds(fields, &at("triage"), target.triage.as_ref());
        let resolve_seconds = read_seconds(fields, &at("resolve"), target.resolve.as_ref());
        let (Some(urgency), Some(triage_seconds), Some(resolve_seconds)) =
            (urgency, triage_seconds, resolve_seconds)
        else {
            continue;
        };
        fields.check(
            &at("resolve"),
            triage_seconds <= resolve_seconds,
            "no less than triage",
        );
        *read.of_mut(urgency) = Target {
            triage_seconds,
            resolve_seconds,
        };
    }
    read
}

/// Reads a length of time, in whole seconds.
fn read_seconds(
    fields: &mut Fields,
    field: &str,
    length: Option<&prost_types::Duration>,
) -> Option<i64> {
    let Some(length) = length else {
        fields.fail(field, "required");
        return None;
    };
    let seconds = runtime::from_duration(length).map(|length| length.as_secs());
    let seconds = seconds.filter(|seconds| (1..=MAX_TARGET_SECONDS).contains(seconds));
    fields.check(field, seconds.is_some(), "from 1 second to 365 days");
    i64::try_from(seconds?).ok()
}

fn read_numbers(
    fields: &mut Fields,
    field: &str,
    numbers: &[pb::EmergencyNumber],
) -> Vec<(Emergency, String)> {
    if !at_most(fields, field, numbers.len(), 4) {
        return Vec::new();
    }
    let mut known = HashSet::new();
    let mut read = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let at = |part: &str| format!("{field}[{index}].{part}");
        let kind = read_emergency(fields, &at("kind"), number.kind);
        fields.check(&at("kind"), number.kind != 0, "required");
        fields.check(&at("kind"), known.insert(number.kind), "is there twice");
        let phone = fields.text(&at("phone"), &number.phone, 30);
        let why = "3 to 20 digits, \"+\", \"-\" and spaces";
        fields.check(&at("phone"), phone.is_empty() || is_number(&phone), why);
        read.extend(kind.map(|kind| (kind, phone)));
    }
    read
}

fn at_most(fields: &mut Fields, field: &str, count: usize, most: usize) -> bool {
    let few = count <= most;
    fields.check(field, few, format!("at most {most} of them, not {count}"));
    few
}

fn encode(of: RulesOf) -> pb::ReportSettings {
    let rules = of.rules;
    let length = |seconds: i64| Some(prost_types::Duration { seconds, nanos: 0 });
    let target = |urgency| {
        let target = rules.targets.of(urgency);
        pb::ReportTarget {
            urgency: encode_urgency(urgency),
            triage: length(target.triage_seconds),
            resolve: length(target.resolve_seconds),
        }
    };
    let number = |(kind, phone): (Emergency, String)| pb::EmergencyNumber {
        kind: encode_kind(kind),
        phone,
    };
    pb::ReportSettings {
        name: programme::name(of.community, of.programme) + SINGLETON,
        targets: [Urgency::Red, Urgency::Yellow, Urgency::Blue]
            .map(target)
            .to_vec(),
        categories: rules.categories.into_iter().map(encode_category).collect(),
        duplicate_radius_metres: Some(rules.duplicate_radius_metres),
        reopen_days: Some(rules.reopen_days),
        strike_limit: Some(rules.strike_limit),
        suspension_days: Some(rules.suspension_days),
        emergency_numbers: rules.emergency_numbers.into_iter().map(number).collect(),
        change_time: of
            .changed
            .as_ref()
            .map(|changed| runtime::timestamp(changed.at)),
        changed_by: of.changed.map(|changed| changed.by).unwrap_or_default(),
    }
}

fn encode_category(category: Category) -> pb::ReportCategory {
    pb::ReportCategory {
        code: category.code,
        text_zh: category.text_zh,
        text_en: category.text_en,
        urgency: encode_urgency(category.urgency),
        involves_persons: category.involves_persons,
        visibility: encode_visibility(category.visibility),
        emergency: category.emergency.map(encode_kind).unwrap_or_default(),
        duplicate_radius_metres: category.duplicate_radius_metres,
    }
}
