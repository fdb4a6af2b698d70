//! Members, what they serve and what they earn.

use chrono::{DateTime, TimeDelta, Utc};
use proto::{activity::v1 as act, ledger::v1 as led};
use runtime::timestamp;
use tonic::Status;
use uuid::Uuid;

use crate::{World, eventually, send};

/// A registered member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Their id.
    pub id: Uuid,
    /// `communities/{community}/members/{member}`.
    pub name: String,
    /// The number the community knows them by.
    pub number: String,
}

/// A member to register.
pub struct Volunteer<'a> {
    world: &'a World,
    kind: act::MemberKind,
    birth_year: i32,
    team: String,
}

impl<'a> Volunteer<'a> {
    /// Takes part in another way than as a resident.
    pub fn who_is(self, kind: act::MemberKind) -> Self {
        Self { kind, ..self }
    }

    /// Is of an age.
    pub fn born(self, birth_year: i32) -> Self {
        Self { birth_year, ..self }
    }

    /// Belongs to a team.
    pub fn of_team(self, team: &str) -> Self {
        let team = team.to_owned();
        Self { team, ..self }
    }

    /// Registers them.
    pub async fn register(self) -> Member {
        let id = self.world.ids.next();
        let number = self.world.number('V');
        let message = act::CreateMemberRequest {
            parent: self.world.community_name(),
            member_id: id.to_string(),
            member: Some(act::Member {
                number: number.clone(),
                kind: self.kind.into(),
                birth_year: self.birth_year,
                team: self.team,
                display_name: "王小明".to_owned(),
                phone: "13800001234".to_owned(),
                ..Default::default()
            }),
            request_id: self.world.id(),
        };
        let member = send!(self.world.clients.activity, create_member, message).unwrap();
        Member {
            id,
            name: member.name,
            number,
        }
    }

    /// Registers them and lets them earn points, a point a minute.
    pub async fn with_points(self, points: i64) -> Member {
        let world = self.world;
        let member = self.register().await;
        let mut left = points;
        while left > 0 {
            let minutes = left.min(12 * 60);
            world.earn(&member, minutes).await;
            left -= minutes;
        }
        member
    }
}

impl World {
    /// A member's notices, newest first.
    pub async fn notices(&self, member: &str) -> Vec<act::Notice> {
        let message = act::ListNoticesRequest {
            parent: member.to_owned(),
            page_size: 1000,
            ..Default::default()
        };
        let answer = send!(self.clients.notices, list_notices, message);
        answer.unwrap().notices
    }

    /// Waits until a member has so many notices.
    pub async fn told(&self, member: &str, count: usize) -> Vec<act::Notice> {
        self.in_time("the member is told", async || {
            let notices = self.notices(member).await;
            (notices.len() >= count).then_some(notices)
        })
        .await
    }
}

impl World {
    /// A resident to register.
    pub fn volunteer(&self) -> Volunteer<'_> {
        Volunteer {
            world: self,
            kind: act::MemberKind::Resident,
            birth_year: 1980,
            team: String::new(),
        }
    }

    /// A record of a service, to be changed before it is sent; each is on a day of its own, some days ago.
    pub fn service(&self, member: &Member, minutes: i64) -> act::CreateServiceRecordRequest {
        let start = self.clock.now() - TimeDelta::days(2 + self.next_service());
        self.service_at(member, start, minutes)
    }

    /// A record of a service that began at an instant.
    pub fn service_at(
        &self,
        member: &Member,
        start: DateTime<Utc>,
        minutes: i64,
    ) -> act::CreateServiceRecordRequest {
        act::CreateServiceRecordRequest {
            parent: self.community_name(),
            service_record_id: String::new(),
            service_record: Some(act::ServiceRecord {
                programme: self.programme_name(),
                member: member.name.clone(),
                role: act::ServiceRole::Member.into(),
                category: "elder-care".to_owned(),
                activity: "Visited neighbours".to_owned(),
                start_time: Some(timestamp(start)),
                end_time: Some(timestamp(start + TimeDelta::minutes(minutes))),
                ..Default::default()
            }),
            request_id: self.id(),
        }
    }

    /// Lets the staff record a service; it waits for verification by another of them.
    pub async fn record(&self, service: act::CreateServiceRecordRequest) -> act::ServiceRecord {
        send!(self.staff("DESK").activity, create_service_record, service).unwrap()
    }

    /// The request of a staff member who verifies a record.
    pub fn verification(&self, record: &act::ServiceRecord) -> act::VerifyServiceRecordRequest {
        act::VerifyServiceRecordRequest {
            name: record.name.clone(),
            request_id: self.id(),
        }
    }

    /// Verifies a record.
    pub async fn verify(&self, record: &act::ServiceRecord) -> Result<act::ServiceRecord, Status> {
        self.verify_as("STAFF01", record).await
    }

    /// Lets someone in particular verify a record.
    pub async fn verify_as(
        &self,
        subject: &str,
        record: &act::ServiceRecord,
    ) -> Result<act::ServiceRecord, Status> {
        let desk = self.staff(subject).activity;
        send!(desk, verify_service_record, self.verification(record))
    }

    /// Records and verifies a service; returns its grant, wherever that stands.
    pub async fn serve(&self, service: act::CreateServiceRecordRequest) -> act::Grant {
        let record = self.record(service).await;
        let verified = self.verify(&record).await.unwrap();
        self.grant(&verified.grant).await
    }

    /// Lets a member serve and returns the grant once it is in their account.
    pub async fn earn(&self, member: &Member, minutes: i64) -> act::Grant {
        let grant = self.serve(self.service(member, minutes)).await;
        self.posted(&grant.name).await
    }

    /// Revokes a verified record.
    pub async fn revoke(&self, record: &str) -> Result<act::ServiceRecord, Status> {
        let message = act::RevokeServiceRecordRequest {
            name: record.to_owned(),
            reason: "was not there".to_owned(),
            request_id: self.id(),
        };
        send!(self.clients.activity, revoke_service_record, message)
    }

    /// A grant as it stands.
    pub async fn grant(&self, name: &str) -> act::Grant {
        let message = act::GetGrantRequest {
            name: name.to_owned(),
        };
        send!(self.clients.activity, get_grant, message).unwrap()
    }

    /// A grant once it is in the member's account.
    pub async fn posted(&self, name: &str) -> act::Grant {
        self.grant_once(name, act::GrantState::Posted).await
    }

    /// A grant once it is in a state.
    pub async fn grant_once(&self, name: &str, state: act::GrantState) -> act::Grant {
        eventually(&format!("the grant is {state:?}"), async || {
            let grant = self.grant(name).await;
            (grant.state() == state).then_some(grant)
        })
        .await
    }

    /// Why a grant is what it is.
    pub async fn explain(&self, grant: &str) -> act::GrantExplanation {
        let message = act::ExplainGrantRequest {
            name: grant.to_owned(),
        };
        send!(self.clients.activity, explain_grant, message).unwrap()
    }

    /// A member as the community sees them.
    pub async fn member(&self, member: &Member) -> act::Member {
        let message = act::GetMemberRequest {
            name: member.name.clone(),
        };
        send!(self.clients.activity, get_member, message).unwrap()
    }

    /// A member's hours book.
    pub async fn hours(&self, member: &Member) -> Vec<act::HourEntry> {
        let message = act::ListHourEntriesRequest {
            parent: member.name.clone(),
            ..Default::default()
        };
        let answer = send!(self.clients.activity, list_hour_entries, message);
        answer.unwrap().hour_entries
    }

    /// A member's points account.
    pub async fn points(&self, member: &Member) -> led::Account {
        self.account(led::AccountKind::Member, Some(member.id))
            .await
    }

    /// A member's points, held ones included.
    pub async fn balance(&self, member: &Member) -> i64 {
        self.points(member).await.balance
    }
}
