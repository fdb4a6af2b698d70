//! Service records: PENDING → VERIFIED | REJECTED, VERIFIED → REVOKED, each by someone other than the volunteer.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Roles;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    member::Member,
    refusal::{Refusal, Resource},
};

/// A member's part in a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    Member,
    Leader,
}

/// In what capacity somebody records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Capacity {
    Member,
    Leader,
    Staff,
}

impl Capacity {
    /// The one that reaches furthest; but a leader who is the record's member, as their token says, records as that member.
    pub fn of(roles: Roles, is_member: bool) -> Self {
        if roles.has(runtime::Role::Staff) {
            Self::Staff
        } else if is_member && roles.has(runtime::Role::Member) {
            Self::Member
        } else if roles.has(runtime::Role::Leader) {
            Self::Leader
        } else {
            Self::Member
        }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RecordState {
    Pending,
    Verified,
    Rejected,
    Revoked,
}

impl RecordState {
    /// As the contract writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Verified => "VERIFIED",
            Self::Rejected => "REJECTED",
            Self::Revoked => "REVOKED",
        }
    }
}

/// That a member served from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    pub member: Uuid,
    pub role: Role,
    pub category: String,
    pub activity: String,
    /// Included.
    pub started_at: DateTime<Utc>,
    /// Not included.
    pub ended_at: DateTime<Utc>,
    pub minutes: i64,
    pub state: RecordState,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub grant: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    /// Who recorded it; `None`: from before callers were known.
    #[serde(default)]
    pub recorded_by: Option<String>,
    /// In what capacity; `None`: from before that was kept.
    #[serde(default)]
    pub recorded_as: Option<Capacity>,
    /// References to what shows that it took place.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// Which records a list is of.
#[derive(Debug, Clone, Copy)]
pub struct RecordFilter {
    pub community: Community,
    pub member: Option<Uuid>,
    pub state: Option<RecordState>,
}

/// Who decides on a record, and when.
#[derive(Debug, Clone)]
pub struct Verdict<'a> {
    /// Who decides, as their token names them.
    pub by: &'a str,
    /// Whether their token says that they are the record's member.
    pub is_member: bool,
    /// Why, for a rejection or a revocation.
    pub reason: Option<&'a str>,
    pub at: DateTime<Utc>,
}

/// The whole minutes of an interval; seconds beyond them are dropped.
pub fn whole_minutes(started_at: DateTime<Utc>, ended_at: DateTime<Utc>) -> i64 {
    (ended_at - started_at).num_minutes()
}

impl ServiceRecord {
    /// How much evidence a record has at most.
    pub const MOST_EVIDENCE: usize = 10;

    /// Adds evidence to a PENDING record, what it has already not again.
    pub fn add_evidence(mut self, more: Vec<String>) -> Result<Self, Refusal> {
        self.require(RecordState::Pending)?;
        for evidence in more {
            if !self.evidence.contains(&evidence) {
                self.evidence.push(evidence);
            }
        }
        if self.evidence.len() > Self::MOST_EVIDENCE {
            return Err(Refusal::EvidenceLimit {
                record: self.id,
                limit: Self::MOST_EVIDENCE,
            });
        }
        Ok(self)
    }

    /// Lets a PENDING record count. One that was recorded late, later than so many days after it ended, takes two people.
    pub fn verify(
        self,
        member: &Member,
        late_after_days: i32,
        verdict: &Verdict<'_>,
    ) -> Result<Self, Refusal> {
        let is_late = self.created_at - self.ended_at > TimeDelta::days(late_after_days.into());
        if is_late
            && self.state == RecordState::Pending
            && self.recorded_by.as_deref() == Some(verdict.by)
        {
            return Err(Refusal::SecondPersonRequired {
                resource: Resource::ServiceRecord,
                id: self.id,
            });
        }
        self.decide(
            (RecordState::Pending, RecordState::Verified),
            member,
            verdict,
        )
    }

    /// Finds a PENDING record wrong.
    pub fn reject(self, member: &Member, verdict: &Verdict<'_>) -> Result<Self, Refusal> {
        self.decide(
            (RecordState::Pending, RecordState::Rejected),
            member,
            verdict,
        )
    }

    /// Finds a VERIFIED record wrong.
    pub fn revoke(self, member: &Member, verdict: &Verdict<'_>) -> Result<Self, Refusal> {
        self.decide(
            (RecordState::Verified, RecordState::Revoked),
            member,
            verdict,
        )
    }

    fn decide(
        self,
        (from, to): (RecordState, RecordState),
        member: &Member,
        verdict: &Verdict<'_>,
    ) -> Result<Self, Refusal> {
        self.require(from)?;
        if verdict.is_member || names_member(verdict.by, member) {
            return Err(Refusal::SelfVerification { record: self.id });
        }
        Ok(Self {
            state: to,
            decided_by: Some(verdict.by.to_owned()),
            decided_at: Some(verdict.at),
            reason: verdict.reason.map(str::to_owned),
            ..self
        })
    }

    fn require(&self, needed: RecordState) -> Result<(), Refusal> {
        if self.state == needed {
            return Ok(());
        }
        Err(Refusal::WrongState {
            resource: Resource::ServiceRecord,
            id: self.id,
            state: self.state.word().to_owned(),
            needed: needed.word().to_owned(),
        })
    }
}

/// Whether a caller is named like this member: by number, by UUID in any spelling, or by resource name.
pub(super) fn names_member(caller: &str, member: &Member) -> bool {
    let caller = caller.trim().to_lowercase();
    let last = caller.rsplit('/').next().unwrap_or_default();
    let number = member.number.trim().to_lowercase();
    caller == number || last == number || Uuid::try_parse(last).is_ok_and(|id| id == member.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::member::MemberKind;

    fn member() -> Member {
        Member {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(0xAB),
            number: "V000007".to_owned(),
            kind: MemberKind::Resident,
            team: None,
            birth_year: None,
            service_minutes: 0,
            created_at: DateTime::UNIX_EPOCH,
            erased_at: None,
        }
    }

    fn record(state: RecordState) -> ServiceRecord {
        ServiceRecord {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            programme: Uuid::from_u128(3),
            member: Uuid::from_u128(0xAB),
            role: Role::Member,
            category: "patrol".to_owned(),
            activity: "night round".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            ended_at: DateTime::UNIX_EPOCH,
            minutes: 0,
            state,
            decided_by: None,
            decided_at: None,
            reason: None,
            grant: None,
            created_at: DateTime::UNIX_EPOCH,
            recorded_by: None,
            recorded_as: None,
            evidence: Vec::new(),
        }
    }

    fn verdict(by: &str) -> Verdict<'_> {
        Verdict {
            by,
            is_member: false,
            reason: Some("why"),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_state_allows_its_own_decisions() {
        use RecordState::{Pending, Rejected, Revoked, Verified};
        type Decide = fn(ServiceRecord, &Member, &Verdict<'_>) -> Result<ServiceRecord, Refusal>;
        let decisions: [(Decide, RecordState, RecordState); 3] = [
            (
                |record, member, verdict| record.verify(member, 7, verdict),
                Pending,
                Verified,
            ),
            (ServiceRecord::reject, Pending, Rejected),
            (ServiceRecord::revoke, Verified, Revoked),
        ];
        for (decide, allowed, result) in decisions {
            for state in [Pending, Verified, Rejected, Revoked] {
                let decided = decide(record(state), &member(), &verdict("STAFF01"));
                if state == allowed {
                    assert_eq!(decided.unwrap().state, result);
                } else {
                    assert!(
                        matches!(decided, Err(Refusal::WrongState { .. })),
                        "{state:?} to {result:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_leader_records_their_own_service_as_a_member() {
        use runtime::Role::{Leader, Member, Staff};
        let roles = |of: &[runtime::Role]| of.iter().copied().collect::<Roles>();
        for (of, is_member, capacity) in [
            (&[Member, Leader][..], true, Capacity::Member),
            (&[Member, Leader], false, Capacity::Leader),
            (&[Leader], true, Capacity::Leader),
            (&[Member], true, Capacity::Member),
            (&[Member, Staff], true, Capacity::Staff),
        ] {
            assert_eq!(Capacity::of(roles(of), is_member), capacity, "{of:?}");
        }
    }

    #[test]
    fn what_was_recorded_late_takes_two_people() {
        let late = |days| ServiceRecord {
            created_at: record(RecordState::Pending).ended_at + TimeDelta::days(days),
            recorded_by: Some("STAFF01".to_owned()),
            ..record(RecordState::Pending)
        };
        let verify = |record: ServiceRecord, by| record.verify(&member(), 7, &verdict(by));
        assert!(verify(late(7), "STAFF01").is_ok());
        assert!(matches!(
            verify(late(8), "STAFF01"),
            Err(Refusal::SecondPersonRequired { .. })
        ));
        assert!(verify(late(8), "STAFF02").is_ok());
        let unknown = ServiceRecord {
            recorded_by: None,
            ..late(8)
        };
        assert!(verify(unknown, "STAFF01").is_ok());
        let rejected = late(8).reject(&member(), &verdict("STAFF01"));
        assert!(rejected.is_ok(), "it counts for nothing");
    }

    #[test]
    fn evidence_is_added_once_and_only_before_the_decision() {
        let some = |count: usize| (0..count).map(|number| format!("photo-{number}")).collect();
        let added = record(RecordState::Pending).add_evidence(some(9)).unwrap();
        let added = added.add_evidence(some(10)).unwrap();
        assert_eq!(added.evidence, some(10) as Vec<String>);
        let limit = Refusal::EvidenceLimit {
            record: added.id,
            limit: 10,
        };
        assert_eq!(added.add_evidence(some(11)), Err(limit));
        let verified = record(RecordState::Verified).add_evidence(some(1));
        assert!(matches!(verified, Err(Refusal::WrongState { .. })));
    }

    #[test]
    fn a_volunteer_is_recognised_in_every_spelling() {
        let id = member().id;
        let own = [
            "V000007".to_owned(),
            " v000007 ".to_owned(),
            id.to_string(),
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            format!("communities/{}/members/{id}", Uuid::from_u128(1)),
            format!("members/{id}"),
        ];
        for verifier in own {
            let refused = record(RecordState::Pending).verify(&member(), 7, &verdict(&verifier));
            assert!(
                matches!(refused, Err(Refusal::SelfVerification { .. })),
                "{verifier:?}"
            );
        }
        for verifier in ["V000008", "V00000", "STAFF01", "王*"] {
            assert!(
                record(RecordState::Pending)
                    .verify(&member(), 7, &verdict(verifier))
                    .is_ok()
            );
        }
    }

    #[test]
    fn minutes_are_whole_and_rounded_down() {
        let start = DateTime::from_timestamp(30, 0).unwrap();
        for (seconds, micros, minutes) in [
            (59, 999_999, 0),
            (60, 0, 1),
            (119, 999_999, 1),
            (86_400, 0, 1440),
        ] {
            let end = start + TimeDelta::seconds(seconds) + TimeDelta::microseconds(micros);
            assert_eq!(whole_minutes(start, end), minutes);
        }
    }
}
