//! Refusals about the roster, dispatches and donation drives.

use tonic::Code;

use super::{Naming, of};
use crate::domain::refusal::{Resource, RosterRefusal};

pub(super) fn naming(refusal: &RosterRefusal) -> Naming {
    match refusal {
        RosterRefusal::NumberTaken { number } => Naming {
            code: Code::AlreadyExists,
            reason: "NUMBER_TAKEN",
            text_zh: format!("编号 {number} 已被其他服务对象使用"),
            metadata: vec![
                ("resource", Resource::Beneficiary.word().to_owned()),
                ("number", number.clone()),
            ],
        },
        RosterRefusal::ConcurrentUpdate { beneficiary } => Naming {
            code: Code::Aborted,
            reason: "CONCURRENT_UPDATE",
            text_zh: "该服务对象的资料已被他人修改，请重新读取后再试".to_owned(),
            metadata: of(Resource::Beneficiary, beneficiary),
        },
        RosterRefusal::BeneficiaryErased { beneficiary } => Naming {
            code: Code::FailedPrecondition,
            reason: "BENEFICIARY_ERASED",
            text_zh: format!("服务对象 {beneficiary} 的个人信息已删除"),
            metadata: of(Resource::Beneficiary, beneficiary),
        },
        RosterRefusal::RevealOver { request_id } => Naming {
            code: Code::FailedPrecondition,
            reason: "REVEAL_OVER",
            text_zh: "该 request_id 的查看已结束，请用新的 request_id 并说明理由".to_owned(),
            metadata: vec![("request_id", request_id.to_string())],
        },
        RosterRefusal::NoActiveTask { task } => Naming {
            code: Code::FailedPrecondition,
            reason: "NO_ACTIVE_TASK",
            text_zh: "您没有需要上门的进行中任务".to_owned(),
            metadata: vec![("task", task.to_string())],
        },
        RosterRefusal::WishInPoints { wish } => Naming {
            code: Code::FailedPrecondition,
            reason: "WISH_IN_POINTS",
            text_zh: format!("心愿 {wish} 以积分计，不能派单"),
            metadata: of(Resource::Wish, wish),
        },
        RosterRefusal::DispatchOpen { wish, dispatch } => Naming {
            code: Code::FailedPrecondition,
            reason: "DISPATCH_OPEN",
            text_zh: format!("心愿 {wish} 已有待答复的派单 {dispatch}"),
            metadata: [
                of(Resource::Wish, wish),
                vec![("dispatch", dispatch.to_string())],
            ]
            .concat(),
        },
        RosterRefusal::DispatchExpired {
            dispatch,
            expires_at,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "DISPATCH_EXPIRED",
            text_zh: format!("派单 {dispatch} 已于 {expires_at} 过期"),
            metadata: [
                of(Resource::Dispatch, dispatch),
                vec![("expire_time", expires_at.to_rfc3339())],
            ]
            .concat(),
        },
        RosterRefusal::ExpireTimeOver { expires_at } => Naming {
            code: Code::FailedPrecondition,
            reason: "EXPIRE_TIME_OVER",
            text_zh: format!("派单的答复期限 {expires_at} 已过"),
            metadata: vec![("expire_time", expires_at.to_rfc3339())],
        },
        RosterRefusal::PacksShort { drive, left, packs } => Naming {
            code: Code::FailedPrecondition,
            reason: "PACKS_SHORT",
            text_zh: format!("捐赠活动只剩 {left} 份，申请 {packs} 份"),
            metadata: [
                of(Resource::DonationDrive, drive),
                vec![("left", left.to_string()), ("packs", packs.to_string())],
            ]
            .concat(),
        },
        RosterRefusal::PacksAllotted { drive, allotted } => Naming {
            code: Code::FailedPrecondition,
            reason: "PACKS_ALLOTTED",
            text_zh: format!("还有 {allotted} 份已分配未发放，请先发放或收回"),
            metadata: [
                of(Resource::DonationDrive, drive),
                vec![("allotted", allotted.to_string())],
            ]
            .concat(),
        },
        RosterRefusal::HouseholdServed { drive, beneficiary } => Naming {
            code: Code::FailedPrecondition,
            reason: "HOUSEHOLD_SERVED",
            text_zh: "该户已分得本次捐赠的物资".to_owned(),
            metadata: [
                of(Resource::DonationDrive, drive),
                vec![("beneficiary", beneficiary.to_string())],
            ]
            .concat(),
        },
    }
}
