//! What a notice is about, in and out.

use proto::activity::v1::{
    self as pb, CardEventKind, DispatchEventKind, PledgeEventKind, new_notice, notice::Detail,
};
use runtime::Fields;
use uuid::Uuid;

use super::{neighbour, programme, report_text::encode_event_kind};
use crate::{
    domain::{
        Community,
        notice::{CardEvent, Content, DispatchMove, PledgeMove},
    },
    notice::{Told, What},
};

const MOST_TITLE: usize = 120;
/// The most of an offer that is taken at once.
const MOST_QUANTITY: i64 = 1_000;
/// The most that is paid for it at once; no pledge is worth more.
const MOST_AMOUNT: i64 = 1_000_000_000_000;

/// Reads what another service tells; nothing, when it does not say what.
pub(super) fn read(
    fields: &mut Fields,
    community: Community,
    notice: pb::NewNotice,
) -> Option<Told> {
    let id = fields.uuid("id", &notice.id);
    let member = neighbour(fields, "member", &notice.member, (community, "members"));
    let Some(detail) = notice.detail else {
        fields.fail("detail", "required");
        return None;
    };
    let what = read_what(fields, community, detail)?;
    Some(Told { id, member, what })
}

fn read_what(
    fields: &mut Fields,
    community: Community,
    detail: new_notice::Detail,
) -> Option<What> {
    let name = |fields: &mut Fields, field: &str, value: &str, kind| {
        neighbour(fields, field, value, (community, kind))
    };
    Some(match detail {
        new_notice::Detail::RedemptionReversed(said) => What::RedemptionReversed {
            redemption: name(
                fields,
                "redemption_reversed.redemption",
                &said.redemption,
                "redemptions",
            ),
            title: fields.text("redemption_reversed.title", &said.title, MOST_TITLE),
            programme: name(
                fields,
                "redemption_reversed.programme",
                &said.programme,
                "programmes",
            ),
            quantity: fields.range(
                "redemption_reversed.quantity",
                said.quantity,
                1,
                MOST_QUANTITY,
            ),
            amount: fields.range("redemption_reversed.amount", said.amount, 1, MOST_AMOUNT),
            is_whole: said.whole,
        },
        new_notice::Detail::RedemptionAssisted(said) => What::RedemptionAssisted {
            redemption: name(
                fields,
                "redemption_assisted.redemption",
                &said.redemption,
                "redemptions",
            ),
            title: fields.text("redemption_assisted.title", &said.title, MOST_TITLE),
            programme: name(
                fields,
                "redemption_assisted.programme",
                &said.programme,
                "programmes",
            ),
            amount: fields.range("redemption_assisted.amount", said.amount, 1, MOST_AMOUNT),
        },
        new_notice::Detail::CardChanged(said) => What::CardChanged {
            card: name(
                fields,
                "card_changed.member_card",
                &said.member_card,
                "memberCards",
            ),
            what: match fields.enumeration("card_changed.kind", said.kind)? {
                CardEventKind::Unspecified => return None,
                CardEventKind::Created => CardEvent::Created,
                CardEventKind::PinReset => CardEvent::PinReset,
                CardEventKind::Blocked => CardEvent::Blocked,
                CardEventKind::Revoked => CardEvent::Revoked,
            },
        },
        new_notice::Detail::PledgeMoved(said) => What::PledgeMoved {
            pledge: name(fields, "pledge_moved.pledge", &said.pledge, "pledges"),
            wish: name(fields, "pledge_moved.wish", &said.wish, "wishes"),
            title: fields.text("pledge_moved.title", &said.title, MOST_TITLE),
            back: match said.programme.is_empty() {
                true => {
                    let why = "without a programme nothing came back";
                    fields.check("pledge_moved.amount", said.amount == 0, why);
                    None
                }
                false => {
                    let amount = fields.range("pledge_moved.amount", said.amount, 1, MOST_AMOUNT);
                    let field = "pledge_moved.programme";
                    Some((name(fields, field, &said.programme, "programmes"), amount))
                }
            },
            what: match fields.enumeration("pledge_moved.kind", said.kind)? {
                PledgeEventKind::Unspecified => return None,
                PledgeEventKind::Confirmed => PledgeMove::Confirmed,
                PledgeEventKind::Refused => PledgeMove::Refused,
                PledgeEventKind::Revoked => PledgeMove::Revoked,
                PledgeEventKind::Lapsed => PledgeMove::Lapsed,
                PledgeEventKind::Reversed => PledgeMove::Reversed,
            },
        },
        new_notice::Detail::DispatchMoved(said) => What::DispatchMoved {
            dispatch: name(
                fields,
                "dispatch_moved.dispatch",
                &said.dispatch,
                "dispatches",
            ),
            wish: name(fields, "dispatch_moved.wish", &said.wish, "wishes"),
            title: fields.text("dispatch_moved.title", &said.title, MOST_TITLE),
            what: match fields.enumeration("dispatch_moved.kind", said.kind)? {
                DispatchEventKind::Unspecified => return None,
                DispatchEventKind::Issued => DispatchMove::Issued,
                DispatchEventKind::Expired => DispatchMove::Expired,
                DispatchEventKind::Withdrawn => DispatchMove::Withdrawn,
            },
        },
    })
}

fn encode_card(what: CardEvent) -> i32 {
    let kind = match what {
        CardEvent::Created => CardEventKind::Created,
        CardEvent::PinReset => CardEventKind::PinReset,
        CardEvent::Blocked => CardEventKind::Blocked,
        CardEvent::Revoked => CardEventKind::Revoked,
    };
    kind.into()
}

fn encode_pledge(what: PledgeMove) -> i32 {
    let kind = match what {
        PledgeMove::Confirmed => PledgeEventKind::Confirmed,
        PledgeMove::Refused => PledgeEventKind::Refused,
        PledgeMove::Revoked => PledgeEventKind::Revoked,
        PledgeMove::Lapsed => PledgeEventKind::Lapsed,
        PledgeMove::Reversed => PledgeEventKind::Reversed,
    };
    kind.into()
}

fn encode_dispatch(what: DispatchMove) -> i32 {
    let kind = match what {
        DispatchMove::Issued => DispatchEventKind::Issued,
        DispatchMove::Expired => DispatchEventKind::Expired,
        DispatchMove::Withdrawn => DispatchEventKind::Withdrawn,
    };
    kind.into()
}

/// What a notice is about, as the contract writes it; nothing, when a later release wrote it.
pub(super) fn encode_detail(community: Community, content: &Content) -> Option<Detail> {
    let name = |kind: &str, id: Uuid| format!("communities/{}/{kind}/{id}", community.0);
    Some(match content {
        Content::ExpiryAhead {
            programme,
            amount,
            held,
            expires_at,
            days,
            ..
        } => Detail::ExpiryAhead(pb::ExpiryAhead {
            programme: programme::name(community, *programme),
            amount: *amount,
            held: *held,
            expire_time: Some(runtime::timestamp(*expires_at)),
            days: *days,
        }),
        Content::ExpiryDone {
            programme,
            amount,
            expires_at,
            entry,
            ..
        } => Detail::ExpiryDone(pb::ExpiryDone {
            programme: programme::name(community, *programme),
            amount: *amount,
            expire_time: Some(runtime::timestamp(*expires_at)),
            entry: format!("communities/{}/entries/{entry}", community.0),
        }),
        Content::ReportMoved {
            report,
            what,
            event,
            ..
        } => Detail::ReportMoved(pb::ReportMoved {
            report: format!("communities/{}/reports/{report}", community.0),
            kind: encode_event_kind(*what),
            event: *event,
        }),
        Content::GrantRevoked {
            grant,
            amount,
            taken,
            ..
        } => Detail::GrantRevoked(pb::GrantRevoked {
            grant: name("grants", *grant),
            amount: *amount,
            taken_amount: *taken,
        }),
        Content::PointsTaken {
            adjustment,
            amount,
            reason,
            ..
        } => Detail::PointsTaken(pb::PointsTaken {
            adjustment: name("adjustments", *adjustment),
            amount: *amount,
            reason: reason.clone(),
        }),
        Content::Unknown => return None,
        Content::RedemptionReversed {
            redemption,
            title,
            points,
            quantity,
            is_whole,
        } => Detail::RedemptionReversed(pb::RedemptionReversed {
            redemption: name("redemptions", *redemption),
            title: title.clone(),
            programme: programme::name(community, points.programme),
            quantity: *quantity,
            amount: points.amount,
            whole: *is_whole,
        }),
        Content::RedemptionAssisted {
            redemption,
            title,
            points,
        } => Detail::RedemptionAssisted(pb::RedemptionAssisted {
            redemption: name("redemptions", *redemption),
            title: title.clone(),
            programme: programme::name(community, points.programme),
            amount: points.amount,
        }),
        Content::CardChanged { card, what } => Detail::CardChanged(pb::CardChanged {
            member_card: name("memberCards", *card),
            kind: encode_card(*what),
        }),
        Content::PledgeMoved {
            pledge,
            wish,
            title,
            what,
            back,
        } => Detail::PledgeMoved(pb::PledgeMoved {
            pledge: name("pledges", *pledge),
            wish: name("wishes", *wish),
            title: title.clone(),
            kind: encode_pledge(*what),
            programme: back
                .as_ref()
                .map(|points| programme::name(community, points.programme))
                .unwrap_or_default(),
            amount: back.as_ref().map_or(0, |points| points.amount),
        }),
        Content::DispatchMoved {
            dispatch,
            wish,
            title,
            what,
        } => Detail::DispatchMoved(pb::DispatchMoved {
            dispatch: name("dispatches", *dispatch),
            wish: name("wishes", *wish),
            title: title.clone(),
            kind: encode_dispatch(*what),
        }),
    })
}
