//! How the wish service is asked about a corner.

use journeys::{Member, World, send};
use proto::wish::v1::{self as wish, VisitGrade};
use runtime::Role;
use serde_json::{Value, json};

use super::Corner;

/// A request of the wish service that is about a corner.
pub(super) fn request(world: &World, corner: &Corner, method: &str, role: Option<Role>) -> Value {
    let parent = world.community_name();
    let programme = world.programme_name();
    let member = &corner.member.name;
    let beneficiary = format!("{parent}/beneficiaries/{}", world.id());
    let dispatch = match role {
        Some(Role::Leader) => &corner.errand,
        _ => &corner.dispatch,
    };
    let allotment = format!("{parent}/allotments/{}", world.id());
    match method {
        "CreateWish" => json!({"parent": parent, "wish": {
            "programme": programme, "requester": format!("{parent}/beneficiaries/{}", world.id()), "category": "material",
            "scope": "WISH_SCOPE_INDIVIDUAL", "title": "A fan", "unit": "WISH_UNIT_EACH", "target": 1,
            "closeTime": "2027-01-01T00:00:00Z",
        }}),
        "GetWish" | "ReviewWish" | "PublishWish" => json!({"name": corner.wish}),
        "RejectWish" | "WithdrawWish" => json!({"name": corner.wish, "reason": "no"}),
        "CloseWish" => json!({"name": corner.wish, "rating": 5}),
        "CreateRound" => {
            json!({"parent": parent, "round": {"title": "Spring", "wishes": [corner.wish]}})
        }
        "GetRound" | "PublishRound" => json!({"name": format!("{parent}/rounds/{}", world.id())}),
        "SetValueCeilings" => json!({"ceilings": {"programme": programme, "individual": "20000"}}),
        "GetValueCeilings" => json!({"programme": programme}),
        "CreatePledge" => json!({
            "parent": parent, "pledge": {"wish": corner.wish, "member": member, "quantity": 1},
        }),
        "GetPledge" | "WithdrawPledge" | "DeliverPledge" | "ConfirmPledge" => {
            json!({"name": corner.pledge})
        }
        "RevokePledge" | "RefuseDelivery" | "ReversePledge" => {
            json!({"name": corner.pledge, "reason": "no"})
        }
        "ListPledges" => json!({"parent": parent, "member": member}),
        "CreateBeneficiary" => json!({"parent": parent, "beneficiary": {
            "programme": programme, "grade": "VISIT_GRADE_WEEKLY", "person": {"displayName": "Ada"},
        }}),
        "UpdateBeneficiary" => json!({
            "beneficiary": {"name": beneficiary, "grade": "VISIT_GRADE_QUARTERLY"}, "updateMask": "grade",
        }),
        "GetBeneficiary" => json!({"name": beneficiary}),
        "EndBeneficiary" | "RevealBeneficiary" | "EraseBeneficiary" => {
            json!({"name": beneficiary, "reason": "no"})
        }
        "RecordVisit" => json!({"parent": parent, "visit": {
            "beneficiary": beneficiary, "visitor": member, "visitTime": "2026-03-01T01:00:00Z",
            "condition": "VISIT_CONDITION_WELL",
        }}),
        "ListDueVisits" => json!({"parent": programme}),
        "DispatchWish" => json!({"parent": parent, "dispatch": {
            "wish": format!("{parent}/wishes/{}", world.id()), "member": member, "expireTime": "2027-01-01T00:00:00Z",
        }}),
        "GetDispatch" | "AcceptDispatch" => json!({"name": dispatch}),
        "DeclineDispatch" | "WithdrawDispatch" => json!({"name": dispatch, "reason": "no"}),
        "RevealAddress" => json!({"task": dispatch, "reason": "no"}),
        "ListDispatches" => match role {
            Some(Role::Leader) => json!({"parent": parent, "team": corner.team}),
            _ => json!({"parent": parent, "member": member}),
        },
        "CreateDonationDrive" => json!({"parent": parent, "donationDrive": {
            "donor": "Shop", "title": "Rice", "pack": "5 kg of rice", "packCount": 1,
        }}),
        "GetDonationDrive" | "CloseDonationDrive" => {
            json!({"name": format!("{parent}/donationDrives/{}", world.id())})
        }
        "AllotPacks" => json!({"parent": parent, "allotment": {
            "drive": format!("{parent}/donationDrives/{}", world.id()), "beneficiary": beneficiary, "packCount": 1,
        }}),
        "GetAllotment" => json!({"name": allotment}),
        "TakeBackAllotment" => json!({"name": allotment, "reason": "no"}),
        "HandOverAllotment" => json!({
            "name": allotment, "receiver": "PACK_RECEIVER_PROXY", "receiptReference": "S1", "handedOverBy": member,
        }),
        "ListBeneficiaries" | "ListVisits" | "ListDonationDrives" | "ListAllotments"
        | "ListWishes" | "ListRounds" => json!({"parent": parent}),
        other => panic!("say how {other} is asked"),
    }
}

/// A wish that a member may confirm, their pledge of it, and dispatches to them and to a team.
pub(super) async fn things(world: &World, member: &Member, team: &str) -> [String; 4] {
    let needy = world.beneficiary(VisitGrade::Weekly).await.name;
    let other = world.open_wish(&needy, 1).await;
    let dispatch = world.dispatch(&other, member).await;
    let other = world.open_wish(&needy, 1).await;
    let errand = world.asked(&other, world.as_team(team));
    let errand = send!(world.clients.dispatches, dispatch_wish, errand).unwrap();
    let wish = wish::Wish {
        proxy: member.name.clone(),
        ..world.wish_for(wish::WishUnit::Each, 1000)
    };
    let wish = world.published(wish).await;
    let pledge = world.pledge_of(&wish, member, 1);
    let pledge = world.pledge(pledge).await.unwrap();
    [wish.name, pledge.name, dispatch.name, errand.name]
}
