//! The people a community helps, visits to them, and packs for them.

use chrono::TimeDelta;
use proto::{google::r#type::Date, wish::v1 as pb};
use runtime::timestamp;
use tonic::{Code, Status};

use crate::{Member, World, send};

impl World {
    /// Somebody on the roster, in a household of their own.
    pub async fn beneficiary(&self, grade: pb::VisitGrade) -> pb::Beneficiary {
        self.beneficiary_of("", grade).await
    }

    /// Somebody of a household.
    pub async fn beneficiary_of(&self, household: &str, grade: pb::VisitGrade) -> pb::Beneficiary {
        let message = self.somebody(household, grade);
        send!(self.clients.roster, create_beneficiary, message).unwrap()
    }

    /// Puts somebody of that name on the roster, unless they are.
    pub async fn enrol(&self, name: &str) {
        let mut message = self.somebody("", pb::VisitGrade::HalfYearly);
        let id = name.rsplit('/').next().unwrap();
        message.beneficiary_id = id.to_owned();
        if let Err(status) = send!(self.clients.roster, create_beneficiary, message) {
            assert_eq!(status.code(), Code::AlreadyExists, "{status}");
        }
    }

    /// How somebody is put on the roster.
    pub fn somebody(&self, household: &str, grade: pb::VisitGrade) -> pb::CreateBeneficiaryRequest {
        pb::CreateBeneficiaryRequest {
            parent: self.community_name(),
            beneficiary: Some(pb::Beneficiary {
                programme: self.programme_name(),
                household: household.to_owned(),
                birth_year: 1941,
                grade: grade.into(),
                person: Some(pb::BeneficiaryPerson {
                    display_name: "陈秀英".to_owned(),
                    phone: "13700004321".to_owned(),
                    address: "和平里三区五号楼".to_owned(),
                    needs: "独居".to_owned(),
                    proxy_name: "陈小弟".to_owned(),
                    proxy_phone: "13700009876".to_owned(),
                }),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        }
    }

    /// Somebody as they are on the roster.
    pub async fn on_roster(&self, name: &str) -> pb::Beneficiary {
        let message = pb::GetBeneficiaryRequest {
            name: name.to_owned(),
        };
        send!(self.clients.roster, get_beneficiary, message).unwrap()
    }

    /// A visit now, which finds somebody well.
    pub async fn visit(&self, beneficiary: &str, visitor: &Member) -> pb::Visit {
        let message = self.visited(beneficiary, visitor, pb::VisitCondition::Well);
        send!(self.clients.roster, record_visit, message).unwrap()
    }

    /// How a visit now is written down.
    pub fn visited(
        &self,
        beneficiary: &str,
        visitor: &Member,
        condition: pb::VisitCondition,
    ) -> pb::RecordVisitRequest {
        pb::RecordVisitRequest {
            parent: self.community_name(),
            visit: Some(pb::Visit {
                beneficiary: beneficiary.to_owned(),
                visitor: visitor.name.clone(),
                visit_time: Some(timestamp(self.clock.now())),
                condition: condition.into(),
                note: "血压偏高".to_owned(),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        }
    }

    /// Whose visits are due up to a date, or today: number, due date, days overdue.
    pub async fn due_visits(&self, until: Option<Date>) -> Vec<(String, Date, i32)> {
        let message = pb::ListDueVisitsRequest {
            parent: self.programme_name(),
            until_date: until,
            ..Default::default()
        };
        let answer = send!(self.clients.roster, list_due_visits, message).unwrap();
        let due = answer.due_visits.into_iter();
        due.map(|due| {
            let of = due.beneficiary.unwrap();
            assert_eq!(of.due_date, due.due_date);
            (of.number, due.due_date.unwrap(), due.overdue_days)
        })
        .collect()
    }

    /// A drive of so many packs, one a household.
    pub async fn drive(&self, packs: i64) -> pb::DonationDrive {
        self.drive_of(pb::DonationDrive {
            pack_count: packs,
            ..Default::default()
        })
        .await
    }

    /// A drive with everything that it lacks filled in.
    pub async fn drive_of(&self, drive: pb::DonationDrive) -> pb::DonationDrive {
        let message = pb::CreateDonationDriveRequest {
            parent: self.community_name(),
            donation_drive: Some(pb::DonationDrive {
                donor: "甲公司".to_owned(),
                title: "冬日送温暖".to_owned(),
                pack: "米五公斤".to_owned(),
                ..drive
            }),
            request_id: self.id(),
            ..Default::default()
        };
        send!(self.clients.drives, create_donation_drive, message).unwrap()
    }

    /// A drive as it stands: handed over, allotted, left.
    pub async fn packs(&self, drive: &pb::DonationDrive) -> (i64, i64, i64) {
        let message = pb::GetDonationDriveRequest {
            name: drive.name.clone(),
        };
        let drive = send!(self.clients.drives, get_donation_drive, message).unwrap();
        let (handed, allotted) = (drive.handed_over_count, drive.allotted_count);
        assert_eq!(handed + allotted + drive.left_count, drive.pack_count);
        (handed, allotted, drive.left_count)
    }

    /// Packs of a drive for somebody.
    pub async fn allot(
        &self,
        drive: &pb::DonationDrive,
        beneficiary: &str,
        packs: i64,
    ) -> Result<pb::Allotment, Status> {
        let message = self.allotment(drive, beneficiary, packs);
        send!(self.clients.drives, allot_packs, message)
    }

    /// How packs are allotted.
    pub fn allotment(
        &self,
        drive: &pb::DonationDrive,
        beneficiary: &str,
        packs: i64,
    ) -> pb::AllotPacksRequest {
        pb::AllotPacksRequest {
            parent: self.community_name(),
            allotment: Some(pb::Allotment {
                drive: drive.name.clone(),
                beneficiary: beneficiary.to_owned(),
                pack_count: packs,
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        }
    }

    /// How an allotment is handed over.
    pub fn hand_over(
        &self,
        allotment: &pb::Allotment,
        by: &Member,
    ) -> pb::HandOverAllotmentRequest {
        pb::HandOverAllotmentRequest {
            name: allotment.name.clone(),
            receiver: pb::PackReceiver::Household.into(),
            receipt_reference: "签收单 2026/17".to_owned(),
            handed_over_by: by.name.clone(),
            request_id: self.id(),
        }
    }

    /// A wish of somebody for so many things, open for thirty days.
    pub async fn open_wish(&self, requester: &str, target: i64) -> pb::Wish {
        let message = self.collected(requester, target);
        let wish = send!(self.clients.wish, create_wish, message).unwrap();
        let review = pb::ReviewWishRequest {
            name: wish.name.clone(),
            request_id: self.id(),
            estimated_value: None,
        };
        send!(self.clients.wish, review_wish, review).unwrap();
        let publish = pb::PublishWishRequest {
            name: wish.name,
            request_id: self.id(),
        };
        send!(self.clients.wish, publish_wish, publish).unwrap()
    }

    /// How a wish of somebody is written down.
    pub fn collected(&self, requester: &str, target: i64) -> pb::CreateWishRequest {
        pb::CreateWishRequest {
            parent: self.community_name(),
            wish: Some(pb::Wish {
                programme: self.programme_name(),
                requester: requester.to_owned(),
                category: "material".to_owned(),
                scope: pb::WishScope::Individual.into(),
                title: "一台电风扇".to_owned(),
                unit: pb::WishUnit::Each.into(),
                target,
                close_time: Some(timestamp(self.clock.now() + TimeDelta::days(30))),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        }
    }

    /// A team, as it is asked.
    pub fn as_team(&self, team: &str) -> pb::dispatch::Assignee {
        pb::dispatch::Assignee::Team(pb::DispatchedTeam {
            team: team.to_owned(),
            display_name: "红马甲队".to_owned(),
        })
    }

    /// How somebody is asked to see to a wish within a day.
    pub fn asked(
        &self,
        wish: &pb::Wish,
        assignee: pb::dispatch::Assignee,
    ) -> pb::DispatchWishRequest {
        pb::DispatchWishRequest {
            parent: self.community_name(),
            dispatch: Some(pb::Dispatch {
                wish: wish.name.clone(),
                assignee: Some(assignee),
                expire_time: Some(timestamp(self.clock.now() + TimeDelta::days(1))),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        }
    }

    /// Asks a member to see to a wish.
    pub async fn dispatch(&self, wish: &pb::Wish, member: &Member) -> pb::Dispatch {
        let assignee = pb::dispatch::Assignee::Member(member.name.clone());
        let message = self.asked(wish, assignee);
        send!(self.clients.dispatches, dispatch_wish, message).unwrap()
    }
}
