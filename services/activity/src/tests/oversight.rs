//! Quotas, evidence, what looks odd, and what everyone sees of services that were recorded late.

use chrono::NaiveDate;
use proto::activity::v1::{self as pb, oversight_service_server::OversightService};
use runtime::{Actor, asked_by};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    domain::{
        anomaly::{Anomaly, AnomalyKind, Thresholds},
        refusal::{EvidenceReason, QuotaPeriod},
        service_limits::{Quota, ServiceSettings},
        service_record::{Capacity, RecordState},
    },
    oversight::AnomalyFilter,
    rpc::OversightRpc,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn caller(subject: &str, role: runtime::Role) -> Actor {
    Actor {
        subject: subject.to_owned(),
        roles: role.into(),
    }
}

fn leader() -> Actor {
    caller("L1", runtime::Role::Leader)
}

fn staff(subject: &str) -> Actor {
    caller(subject, runtime::Role::Staff)
}

fn programme_name(world: &World) -> String {
    format!(
        "communities/{}/programmes/{}",
        world.community.0, world.programme
    )
}

impl World {
    /// Comes back when so many sessions of the database wait for a lock.
    async fn waits(&self, sessions: i64) {
        for _ in 0..20_000 {
            let waiting: i64 = sqlx::query_scalar(
                "select count(distinct pid) from pg_locks join pg_stat_activity using (pid)
                where not granted and datname = current_database()",
            )
            .fetch_one(&self.pool)
            .await
            .unwrap();
            if waiting >= sessions {
                return;
            }
        }
        panic!("fewer than {sessions} sessions wait");
    }

    async fn set_service_settings(&self, settings: ServiceSettings) {
        let call = self.call("SetServiceSettings");
        let set = self
            .activity
            .set_service_settings(&call, self.programme, settings)
            .await;
        set.unwrap();
    }

    fn call_of(&self, by: &Actor) -> Call {
        Call {
            by: by.clone(),
            ..self.call("CreateServiceRecord")
        }
    }

    fn new_record(&self, member: &Member, from: &str, to: &str) -> NewServiceRecord {
        NewServiceRecord {
            id: None,
            programme: self.programme,
            member: member.id,
            is_member: false,
            role: Role::Member,
            category: "patrol".to_owned(),
            activity: "night round".to_owned(),
            started_at: at(from),
            ended_at: at(to),
            evidence: vec![],
        }
    }

    async fn record_as(&self, by: &Actor, new: NewServiceRecord) -> Result<ServiceRecord, Error> {
        let call = self.call_of(by);
        self.activity.create_service_record(&call, new).await
    }

    async fn verify_as(&self, by_whom: &str, record: &ServiceRecord) -> ServiceRecord {
        let call = self.call("VerifyServiceRecord");
        let decide = by(by_whom, record);
        let verified = self.activity.verify_service_record(&call, decide).await;
        verified.unwrap()
    }

    async fn reject(&self, record: &ServiceRecord) {
        let call = self.call("RejectServiceRecord");
        let decide = by("STAFF01", record);
        let rejected = self.activity.reject_service_record(&call, decide).await;
        rejected.unwrap();
    }

    fn all_anomalies(&self) -> AnomalyFilter {
        AnomalyFilter {
            community: self.community,
            programme: self.programme,
            kind: None,
            start: None,
            end: None,
        }
    }

    /// Every anomaly, one a page.
    async fn anomalies(&self, filter: AnomalyFilter) -> Vec<Anomaly> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let (_, page) = self
                .activity
                .list_service_anomalies(filter, after, 1)
                .await
                .unwrap();
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let (_, whole) = self
            .activity
            .list_service_anomalies(filter, None, 1000)
            .await
            .unwrap();
        assert_eq!(found, whole.items);
        found
    }

    /// What everyone sees of a day's month, or of the present one, one a page.
    async fn late_services(&self, day: Option<&str>) -> Vec<(i64, Option<Capacity>, bool)> {
        let date = day.map(|day| day.parse::<NaiveDate>().unwrap());
        let programme = (self.community, self.programme);
        let mut found = Vec::new();
        let mut before = None;
        loop {
            let (_, page) = self
                .activity
                .list_public_late_services(programme, date, before, 1)
                .await
                .unwrap();
            found.extend(page.items);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert!(found.iter().all(|late| late.masked_name == "王**"));
        let late = found.iter().map(|late| &late.service);
        late.map(|late| (late.minutes, late.recorded_as, late.second_person))
            .collect()
    }
}

fn day_quota(minutes: i32) -> Quota {
    Quota {
        day_minutes: Some(minutes),
        month_minutes: None,
    }
}

/// At most twelve hours of a member's day.
fn half_days() -> ServiceSettings {
    ServiceSettings {
        member_day_minutes: 720,
        ..ServiceSettings::default()
    }
}

#[tokio::test]
async fn twenty_recordings_of_one_caller_at_once_never_pass_their_quota() {
    let world = World::with_budget(None).await;
    let leader_quota = day_quota(300);
    let settings = ServiceSettings {
        leader_quota,
        ..ServiceSettings::default()
    };
    world.set_service_settings(settings).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        let member = world.member().await;
        let new = world.new_record(&member, "2024-05-19T01:00:00Z", "2024-05-19T02:00:00Z");
        calls.push((world.call_of(&leader()), new));
    }

    let mut rush = tokio::task::JoinSet::new();
    for (call, new) in calls.clone() {
        let activity = world.activity.clone();
        rush.spawn(async move {
            let outcome = activity.create_service_record(&call, new).await;
            (call.request_id, outcome)
        });
    }
    let answers = rush.join_all().await;
    let (taken, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(_, answer)| answer.is_ok());

    assert_eq!((taken.len(), refused.len()), (5, 15));
    let quota = Refusal::RecorderQuotaExceeded {
        programme: world.programme,
        period: QuotaPeriod::Day,
        limit_minutes: 300,
        left_minutes: 0,
        minutes: 60,
        reset_at: at("2024-05-20T16:00:00Z"),
    };
    for (_, answer) in refused {
        assert_eq!(refusal(answer), quota);
    }
    // The same calls again get the same answers and use nothing up.
    for (call, new) in calls {
        let again = world.activity.create_service_record(&call, new).await;
        let was_taken = taken.iter().any(|(id, _)| *id == call.request_id);
        assert_eq!(again.is_ok(), was_taken);
    }
}

#[tokio::test]
async fn a_quota_is_of_one_caller_in_one_capacity_and_comes_back_with_the_local_day() {
    let world = World::with_budget(None).await;
    let month_minutes = Some(150);
    let settings = ServiceSettings {
        leader_quota: Quota {
            month_minutes,
            ..day_quota(100)
        },
        ..ServiceSettings::default()
    };
    world.set_service_settings(settings).await;
    let member = world.member().await;
    let hour = world.new_record(&member, "2024-05-19T01:00:00Z", "2024-05-19T02:00:00Z");
    let record = async |by: &Actor| world.record_as(by, hour.clone()).await;
    // What they record as one of the staff, who have no quota in this programme, uses up nothing of it.
    for _ in 0..3 {
        let by_staff = record(&staff("L1")).await.unwrap();
        assert_eq!(by_staff.recorded_as, Some(Capacity::Staff));
    }
    let first = record(&leader()).await.unwrap();
    assert_eq!(first.recorded_as, Some(Capacity::Leader));
    let left = |outcome| match refusal(outcome) {
        Refusal::RecorderQuotaExceeded {
            period,
            left_minutes,
            ..
        } => (period, left_minutes),
        other => panic!("{other:?}"),
    };
    assert_eq!(left(record(&leader()).await), (QuotaPeriod::Day, 40));

    // Others have their own.
    let other = caller("L2", runtime::Role::Leader);
    record(&other).await.unwrap();
    // What was rejected does not count any more; what was verified does.
    world.reject(&first).await;
    let second = record(&leader()).await.unwrap();
    world.verify(&second).await.unwrap();
    assert_eq!(left(record(&leader()).await), (QuotaPeriod::Day, 40));
    // One microsecond before midnight in Shanghai, and at midnight.
    world
        .clock
        .advance_to(at("2024-05-20T16:00:00Z") - TimeDelta::microseconds(1));
    assert_eq!(left(record(&leader()).await), (QuotaPeriod::Day, 40));
    world.clock.advance(TimeDelta::microseconds(1));
    record(&leader()).await.unwrap();
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(left(record(&leader()).await), (QuotaPeriod::Month, 30));
    world.clock.advance_to(at("2024-05-31T16:00:00Z"));
    record(&leader()).await.unwrap();
}

#[tokio::test]
async fn twenty_verifications_at_once_never_fill_a_day_over_its_hours() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    world.set_service_settings(half_days()).await;
    let mut records = Vec::new();
    for hours_ago in 12..32 {
        records.push(world.served(&member, hours_ago, 1).await);
    }

    let mut rush = tokio::task::JoinSet::new();
    for record in &records {
        let (activity, call) = (world.activity.clone(), world.call("VerifyServiceRecord"));
        let decide = by("STAFF01", record);
        rush.spawn(async move { activity.verify_service_record(&call, decide).await });
    }
    let (taken, refused): (Vec<_>, Vec<_>) =
        rush.join_all().await.into_iter().partition(Result::is_ok);

    assert_eq!((taken.len(), refused.len()), (12, 8));
    for outcome in refused {
        match refusal(outcome) {
            Refusal::MemberDayExceeded {
                date,
                limit_minutes,
                left_minutes,
                ..
            } => assert_eq!(
                (&date.to_string()[..], limit_minutes, left_minutes),
                ("2024-05-19", 720, 0)
            ),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.minutes(&member).await, 720);
    // A record of the same day that is revoked makes room.
    let first = taken.into_iter().next().unwrap().unwrap();
    world.revoke(&first).await.unwrap();
    let same = world.new_record(&member, "2024-05-19T00:00:00Z", "2024-05-19T01:00:00Z");
    let same = NewServiceRecord {
        started_at: first.started_at,
        ended_at: first.ended_at,
        ..same
    };
    let again = world.record_as(&leader(), same).await.unwrap();
    world.verify(&again).await.unwrap();
}

#[tokio::test]
async fn a_members_day_holds_the_services_of_all_programmes_together() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    world.granted(&member, 30, 11).await;
    let other = Programme {
        id: world.ids.next(),
        ..world
            .activity
            .get_programme(world.community, world.programme)
            .await
            .unwrap()
    };
    store::programme::insert(&world.pool, &other).await.unwrap();
    let call = world.call("SetServiceSettings");
    let set = world
        .activity
        .set_service_settings(&call, other.id, half_days());
    set.await.unwrap();
    let there = NewServiceRecord {
        programme: other.id,
        ..world.new_record(&member, "2024-05-19T13:00:00Z", "2024-05-19T15:00:00Z")
    };
    let record = world.record_as(&leader(), there).await.unwrap();

    let refused = refusal(world.verify(&record).await);

    assert_eq!(
        refused,
        Refusal::MemberDayExceeded {
            record: record.id,
            date: "2024-05-19".parse().unwrap(),
            limit_minutes: 720,
            left_minutes: 60,
        }
    );
}

#[tokio::test]
async fn what_needs_evidence_is_verified_once_there_is_some() {
    let world = World::with_budget(None).await;
    let settings = ServiceSettings {
        evidence_over_minutes: Some(120),
        ..ServiceSettings::default()
    };
    world.set_service_settings(settings).await;
    let member = world.member().await;
    world.granted(&member, 40, 2).await;
    let record = world.served(&member, 30, 3).await;
    let required = Refusal::EvidenceRequired {
        record: record.id,
        why: EvidenceReason::Long,
    };
    assert_eq!(refusal(world.verify(&record).await), required);

    let call = world.call("AddServiceEvidence");
    let photos = vec!["photos/1".to_owned(), "lists/7".to_owned()];
    let add = async |call: &Call| {
        world
            .activity
            .add_service_evidence(call, record.id, photos.clone())
            .await
    };
    let shown = add(&call).await.unwrap();
    assert_eq!(
        (&shown.evidence, shown.state),
        (&photos, RecordState::Pending)
    );
    let verified = world.verify(&record).await.unwrap();
    assert_eq!(
        (&verified.evidence, verified.state),
        (&photos, RecordState::Verified)
    );
    assert_eq!(add(&call).await.unwrap(), shown);
    let late = refusal(add(&world.call("AddServiceEvidence")).await);
    assert!(matches!(late, Refusal::WrongState { .. }), "{late:?}");
}

/// Thresholds that one thing at a time passes.
fn thresholds() -> Thresholds {
    Thresholds {
        burst_minutes: 300,
        burst_window_minutes: 10,
        identical_members: 3,
        long_day_minutes: 600,
        one_person_percent: 80,
        one_person_minutes: 240,
        late_percent: 50,
        late_minutes: 120,
    }
}

async fn watched() -> World {
    let world = World::with_budget(None).await;
    let settings = ServiceSettings {
        thresholds: thresholds(),
        ..ServiceSettings::default()
    };
    world.set_service_settings(settings).await;
    world
}

/// What was found of a kind, by who or nobody, with minutes, members and records.
fn figures(found: &[Anomaly]) -> Vec<(AnomalyKind, &str, i64, i64, i64)> {
    let figures = found.iter().map(|found| {
        let subject = found.subject.as_deref().unwrap_or_default();
        (
            found.kind,
            subject,
            found.minutes,
            found.members,
            found.records,
        )
    });
    figures.collect()
}

#[tokio::test]
async fn honest_services_are_no_anomaly() {
    let world = watched().await;
    for day in 21..26 {
        let (from, to) = (
            format!("2024-05-{day}T01:00:00Z"),
            format!("2024-05-{day}T03:00:00Z"),
        );
        let member = world.member().await;
        let new = world.new_record(&member, &from, &to);
        world.clock.advance_to(at(&to) + TimeDelta::hours(1));
        let record = world.record_as(&leader(), new).await.unwrap();
        world.clock.advance(TimeDelta::hours(1));
        world.verify_as("STAFF01", &record).await;
    }
    assert_eq!(world.anomalies(world.all_anomalies()).await, []);
}

#[tokio::test]
async fn a_burst_is_told_by_its_fullest_minutes() {
    let world = watched().await;
    let mut records = Vec::new();
    // 2 hours each, at these minutes: a rush in which five are within ten minutes, twice, then an hour of rest and three more.
    for minute in [0, 3, 6, 9, 12, 13, 14, 80, 85, 90] {
        let member = world.member().await;
        let new = world.new_record(&member, "2024-05-19T01:00:00Z", "2024-05-19T03:00:00Z");
        let new = NewServiceRecord {
            started_at: new.started_at + TimeDelta::minutes(minute),
            ended_at: new.ended_at + TimeDelta::minutes(minute),
            ..new
        };
        world.clock.advance_to(start() + TimeDelta::minutes(minute));
        records.push(world.record_as(&leader(), new).await.unwrap());
    }
    let kind = AnomalyKind::RecordingBurst;
    let found = world.anomalies(world.all_anomalies()).await;
    assert_eq!(
        figures(&found),
        [(kind, "L1", 360, 3, 3), (kind, "L1", 600, 5, 5)]
    );
    let fullest = &found[1];
    let minute = |minute| start() + TimeDelta::minutes(minute);
    assert_eq!(
        (fullest.started_at, fullest.ended_at),
        (minute(3), minute(13))
    );
    let mut ids: Vec<Uuid> = records[1..6].iter().map(|record| record.id).collect();
    ids.sort();
    assert_eq!(fullest.record_ids, ids);

    // Verified by another, all at once; rejected ones are no hours.
    world.reject(&records[9]).await;
    for record in &records[..3] {
        world.verify_as("STAFF01", record).await;
    }
    let found = world.anomalies(world.all_anomalies()).await;
    let verified = AnomalyKind::VerificationBurst;
    assert_eq!(
        figures(&found),
        [(kind, "L1", 600, 5, 5), (verified, "STAFF01", 360, 3, 3)]
    );
    // It is of the day on which it was done.
    let elsewhere = |day: &str| AnomalyFilter {
        start: Some(day.parse().unwrap()),
        end: Some(day.parse().unwrap()),
        ..world.all_anomalies()
    };
    assert_eq!(world.anomalies(elsewhere("2024-05-19")).await, []);
    assert_eq!(world.anomalies(elsewhere("2024-05-20")).await, found);
}

#[tokio::test]
async fn many_members_with_the_same_times_are_told_once() {
    let world = watched().await;
    let member = world.member().await;
    let others = [world.member().await, world.member().await];
    for (who, count) in [(&member, 2), (&others[0], 1), (&others[1], 1)] {
        for _ in 0..count {
            let new = world.new_record(who, "2024-05-19T01:00:00Z", "2024-05-19T02:00:00Z");
            world.record_as(&leader(), new).await.unwrap();
        }
    }
    // Two members, and three of whom another caller recorded one.
    for (who, by_whom) in [(&member, "L1"), (&others[0], "L1"), (&others[1], "L2")] {
        let new = world.new_record(who, "2024-05-18T01:00:00Z", "2024-05-18T02:00:00Z");
        let by_whom = caller(by_whom, runtime::Role::Leader);
        world.record_as(&by_whom, new).await.unwrap();
    }

    let kind = AnomalyKind::IdenticalTimes;
    let same_times = AnomalyFilter {
        kind: Some(kind),
        ..world.all_anomalies()
    };
    let found = world.anomalies(same_times).await;

    assert_eq!(figures(&found), [(kind, "L1", 240, 3, 4)]);
    assert_eq!(found[0].started_at, at("2024-05-19T01:00:00Z"));
}

#[tokio::test]
async fn a_long_day_is_a_local_day_with_the_parts_of_services_on_it() {
    let world = watched().await;
    let (long, split) = (world.member().await, world.member().await);
    // 00:00 to 09:01 and 22:00 to 24:00 of 19 May in Shanghai, the last on until 04:00.
    for (from, to) in [
        ("2024-05-18T16:00:00Z", "2024-05-19T01:01:00Z"),
        ("2024-05-19T14:00:00Z", "2024-05-19T20:00:00Z"),
    ] {
        world.clock.advance(TimeDelta::minutes(11));
        let new = world.new_record(&long, from, to);
        let record = world.record_as(&leader(), new).await.unwrap();
        world.verify_as("STAFF01", &record).await;
    }
    // 12 hours over midnight: 6 on each day.
    world.clock.advance(TimeDelta::minutes(11));
    let new = world.new_record(&split, "2024-05-18T10:00:00Z", "2024-05-18T22:00:00Z");
    world.record_as(&leader(), new).await.unwrap();

    let long_days = AnomalyFilter {
        kind: Some(AnomalyKind::LongDay),
        ..world.all_anomalies()
    };
    let found = world.anomalies(long_days).await;

    assert_eq!(figures(&found), [(AnomalyKind::LongDay, "", 661, 1, 2)]);
    assert_eq!(found[0].member, Some(long.id));
    assert_eq!(
        (found[0].started_at, found[0].ended_at),
        (at("2024-05-18T16:00:00Z"), at("2024-05-19T16:00:00Z"))
    );
    let next_day = AnomalyFilter {
        start: Some("2024-05-20".parse().unwrap()),
        ..long_days
    };
    assert_eq!(world.anomalies(next_day).await, []);
}

#[tokio::test]
async fn hours_that_one_person_alone_has_seen_and_late_recording_are_told_by_their_share() {
    let world = watched().await;
    let member = world.member().await;
    // 8 hours by S1 alone on 4 days, 2 by two people: 80 of 100. S1 recorded 4 hours of 8 late: half is not more than half.
    for (day, by_whom) in [(1, "S1"), (2, "S1"), (18, "S1"), (19, "S1"), (17, "S2")] {
        world.clock.advance(TimeDelta::minutes(11));
        let (from, to) = (
            format!("2024-05-{day:02}T01:00:00Z"),
            format!("2024-05-{day:02}T03:00:00Z"),
        );
        let new = world.new_record(&member, &from, &to);
        let record = world.record_as(&staff(by_whom), new).await.unwrap();
        // What was recorded late takes a second person, so only a programme without that rule lets one person do both.
        sqlx::query("update activity.service_record set state = 'verified', decided_by = 'S1', decided_at = $2 where record_id = $1")
            .bind(record.id)
            .bind(world.clock.now())
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let found = world.anomalies(world.all_anomalies()).await;
    let alone = AnomalyKind::OnePerson;
    assert_eq!(figures(&found), [(alone, "S1", 480, 1, 4)]);
    assert_eq!(found[0].total_minutes, 600);

    // Two hours more of S1's were late: 6 of 10.
    world.clock.advance(TimeDelta::minutes(11));
    let new = world.new_record(&member, "2024-05-03T01:00:00Z", "2024-05-03T03:00:00Z");
    world.record_as(&staff("S1"), new).await.unwrap();
    let found = world.anomalies(world.all_anomalies()).await;
    let late = AnomalyKind::LateRecording;
    assert_eq!(
        figures(&found),
        [(alone, "S1", 480, 1, 4), (late, "S1", 360, 1, 3)]
    );
    assert_eq!(found[1].total_minutes, 600);
}

#[tokio::test]
async fn everyone_sees_what_was_recorded_late_by_the_local_month_of_recording() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    // Recorded a microsecond before June in Shanghai and at its first instant; 7 days after it ended is not late yet.
    let june = at("2024-05-31T16:00:00Z");
    let exactly = at("2024-05-24T16:00:00Z");
    let mut records = Vec::new();
    for (now, from, to) in [
        (
            june - TimeDelta::microseconds(1),
            "2024-05-01T01:00:00Z",
            "2024-05-01T02:00:00Z",
        ),
        (june, "2024-05-02T01:00:00Z", "2024-05-02T03:00:00Z"),
        (june, "2024-05-24T15:00:00Z", &exactly.to_rfc3339()[..]),
        (june, "2024-05-03T01:00:00Z", "2024-05-03T04:00:00Z"),
    ] {
        world.clock.advance_to(now);
        let new = world.new_record(&member, from, to);
        records.push(world.record_as(&leader(), new).await.unwrap());
    }
    assert_eq!(world.late_services(None).await, [], "not verified yet");
    for record in &records {
        world.verify(record).await.unwrap();
    }

    let seen = |minutes| (minutes, Some(Capacity::Leader), true);
    assert_eq!(world.late_services(Some("2024-05-15")).await, [seen(60)]);
    let june = world.late_services(Some("2024-06-30")).await;
    assert_eq!((june.len(), june.contains(&seen(120))), (2, true));
    assert_eq!(world.late_services(None).await, june, "the present month");
    world.revoke(&records[3]).await.unwrap();
    assert_eq!(world.late_services(None).await, [seen(120)]);
    world.clock.advance_to(at("2024-06-30T16:00:00Z"));
    assert_eq!(world.late_services(None).await, []);
}

#[tokio::test]
async fn a_page_of_late_services_tells_the_day_and_not_the_instant_of_recording() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    let mut records = Vec::new();
    for hour in 1..9 {
        world.clock.advance(TimeDelta::minutes(7));
        let from = at("2024-05-01T00:00:00Z") + TimeDelta::hours(hour);
        let to = from + TimeDelta::minutes(hour);
        let new = world.new_record(&member, &from.to_rfc3339(), &to.to_rfc3339());
        let record = world.record_as(&leader(), new).await.unwrap();
        records.push(world.verify(&record).await.unwrap());
    }
    let service = OversightRpc(world.activity.clone());
    let mut request = pb::ListPublicLateServicesRequest {
        parent: programme_name(&world),
        page_size: 1,
        ..Default::default()
    };
    let mut minutes = Vec::new();
    loop {
        let page = asked_by("V9", request.clone());
        let page = service.list_public_late_services(page).await.unwrap();
        let page = page.into_inner();
        minutes.push(page.services[0].minutes);
        if page.next_page_token.is_empty() {
            break;
        }
        let mut fields = runtime::Fields::new("test.linli", &Access::everything("V9"));
        let query = format!("ListPublicLateServices {} None", request.parent);
        let token = &page.next_page_token;
        let cursor = runtime::decode_page_token::<serde_json::Value>(&mut fields, &query, token);
        let cursor = cursor.unwrap();
        let parts = cursor.as_array().unwrap();
        assert_eq!((parts.len(), &parts[0]), (2, &"2024-05-20".into()));
        let text = cursor.to_string();
        for record in &records {
            let time = record.created_at.timestamp().to_string();
            let id = [record.id.to_string(), record.id.simple().to_string()];
            assert!(
                !id.iter().any(|id| text.contains(id)) && !text.contains(&time),
                "{text}"
            );
        }
        request.page_token = page.next_page_token;
    }
    // By the hash of the record's id.
    records.sort_by_key(|record| Sha256::digest(record.id.as_bytes()));
    let by_hash: Vec<i64> = records.iter().rev().map(|record| record.minutes).collect();
    assert_eq!(minutes, by_hash);

    // A token that was made up.
    let day = NaiveDate::from_ymd_opt(200_000, 1, 1).unwrap();
    let query = format!("ListPublicLateServices {} None", request.parent);
    request.page_token = runtime::encode_page_token(&query, &(day, "x"));
    let refused = service
        .list_public_late_services(asked_by("V9", request))
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn what_was_set_before_stays_and_who_set_it_says_why() {
    let world = World::with_budget(None).await;
    let service = OversightRpc(world.activity.clone());
    let set = async |minutes, reason: &str| {
        let request = pb::SetServiceSettingsRequest {
            name: format!("{}/serviceSettings", programme_name(&world)),
            service_settings: Some(pb::ServiceSettings {
                member_day_minutes: Some(minutes),
                ..Default::default()
            }),
            request_id: world.ids.next().to_string(),
            reason: reason.to_owned(),
        };
        let answer = service
            .set_service_settings(asked_by("OFFICE", request))
            .await;
        answer.map(|answer| answer.into_inner().revision)
    };
    let unsaid = set(700, "").await.unwrap_err();
    assert_eq!(unsaid.code(), tonic::Code::InvalidArgument);
    assert_eq!(set(720, "half a day").await.unwrap(), 1);
    assert_eq!(set(780, "the flood").await.unwrap(), 2);

    let kept: Vec<(i32, i32)> = sqlx::query_as(
        "select revision, (settings ->> 'member_day_minutes')::integer from activity.service_settings order by revision",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(kept, [(1, 720), (2, 780)]);
    let of = (world.community, world.programme);
    let found = world.activity.get_service_settings(of.0, of.1).await;
    assert_eq!(found.unwrap().settings.member_day_minutes, 780);
    let why: Vec<String> = sqlx::query_scalar(
        "select reason from activity.answer where method = 'SetServiceSettings' order by answer ->> 'revision'",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(why, ["half a day", "the flood"]);
    let changed = sqlx::query("update activity.service_settings set settings = '{}'");
    assert!(
        changed.execute(&world.pool).await.is_err(),
        "rows are only added"
    );
}

#[tokio::test]
async fn whoever_is_erased_leaves_no_evidence() {
    let world = World::with_budget(None).await;
    let (gone, stays) = (world.member().await, world.member().await);
    let shown = |member: &Member, evidence: &str| NewServiceRecord {
        evidence: vec![evidence.to_owned()],
        ..world.new_record(member, "2024-05-19T01:00:00Z", "2024-05-19T02:00:00Z")
    };
    let call = world.call_of(&leader());
    let new = shown(&gone, "photos/gone");
    let record = world
        .activity
        .create_service_record(&call, new.clone())
        .await
        .unwrap();
    world.verify(&record).await.unwrap();
    let waiting = world.new_record(&gone, "2024-05-19T03:00:00Z", "2024-05-19T04:00:00Z");
    let waiting = world.record_as(&leader(), waiting).await.unwrap();
    let add = async || {
        let call = world.call("AddServiceEvidence");
        let photo = vec!["photos/gone".to_owned()];
        world
            .activity
            .add_service_evidence(&call, waiting.id, photo)
            .await
    };
    add().await.unwrap();
    world
        .record_as(&leader(), shown(&stays, "photos/stays"))
        .await
        .unwrap();

    world.erase(&gone).await;

    let dump = world.dump().await;
    assert!(!dump.contains("photos/gone") && dump.contains("photos/stays"));
    let again = world
        .activity
        .create_service_record(&call, new)
        .await
        .unwrap();
    assert_eq!((again.id, again.evidence.len()), (record.id, 0));
    assert_eq!(
        refusal(add().await),
        Refusal::MemberErased { member: gone.id }
    );
}

#[tokio::test]
async fn a_quota_that_is_set_while_somebody_records_counts_what_they_record() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    let hour = world.new_record(&member, "2024-05-19T01:00:00Z", "2024-05-19T02:00:00Z");
    // Recording without a quota, not committed yet: it waits for the member.
    let mut erasing = world.pool.begin().await.unwrap();
    store::member::lock(&mut *erasing, world.community, member.id)
        .await
        .unwrap();
    let record = || {
        let (activity, call) = (world.activity.clone(), world.call_of(&leader()));
        let new = hour.clone();
        tokio::spawn(async move { activity.create_service_record(&call, new).await })
    };
    let first = record();
    world.waits(1).await;
    let leader_quota = day_quota(60);
    world
        .set_service_settings(ServiceSettings {
            leader_quota,
            ..ServiceSettings::default()
        })
        .await;
    let second = record();
    world.waits(2).await;
    erasing.commit().await.unwrap();

    first.await.unwrap().unwrap();
    let refused = refusal(second.await.unwrap());
    assert!(
        matches!(
            refused,
            Refusal::RecorderQuotaExceeded {
                left_minutes: 0,
                ..
            }
        ),
        "{refused:?}"
    );
}
