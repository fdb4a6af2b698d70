//! Wrong input to every RPC: INVALID_ARGUMENT that names the field, before anything else is looked at.

use std::time::Duration;

use chrono::DateTime;
use runtime::{Client, Clock, Ids, asked};
use sqlx::postgres::PgPoolOptions;
use tonic::Code;
use tonic_types::StatusExt;

use super::*;

const COMMUNITY: &str = "communities/00000000-0000-4000-8000-000000000001";
const OTHER: &str = "communities/00000000-0000-4000-8000-000000000002";
const ID: &str = "00000000-0000-4000-8000-000000000003";

/// A service whose database and neighbours are nowhere: only what is refused before them can be answered.
fn service() -> Rpc {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let nowhere = || Client::new(runtime::channel("http://127.0.0.1:1").unwrap(), None);
    Rpc(Redemption::new(
        PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy("postgres://nobody@127.0.0.1:1/none")
            .unwrap(),
        clock.clone(),
        Ids::seeded(clock, 1),
        nowhere(),
        nowhere(),
    ))
}

fn fields_of<T>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let Err(status) = answer else {
        panic!("it was answered")
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(
        runtime::reason_of(&status).as_deref(),
        Some("INVALID_FIELD")
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|one| one.field).collect()
}

macro_rules! empty_names {
    ($service:expr, $($rpc:ident: $($field:literal)+;)+) => {$(
        let fields = fields_of($service.$rpc(asked(Default::default())).await);
        for field in [$($field),+] {
            assert!(fields.iter().any(|one| one == field), "{}: {field} not in {fields:?}", stringify!($rpc));
        }
    )+};
}

#[tokio::test]
async fn an_empty_request_names_what_is_required() {
    empty_names! { service(),
        create_merchant: "parent" "request_id" "merchant";
        get_merchant: "name";
        list_merchants: "parent";
        suspend_merchant: "name" "request_id";
        resume_merchant: "name" "request_id";
        terminate_merchant: "name" "request_id";
        create_agreement: "parent" "request_id" "agreement";
        list_agreements: "parent";
        get_merchant_summary: "name";
        create_offer: "parent" "request_id" "offer";
        get_offer: "name";
        list_offers: "parent";
        submit_offer: "name" "request_id";
        return_offer: "name" "request_id";
        activate_offer: "name" "request_id";
        pause_offer: "name" "request_id";
        resume_offer: "name" "request_id";
        end_offer: "name" "request_id";
        revise_offer: "name" "request_id" "points";
        adjust_offer_stock: "name" "request_id" "delta";
        hold_redemption: "parent" "request_id" "member" "offer" "quantity";
        capture_redemption: "name" "request_id";
        release_redemption: "name" "request_id";
        redeem: "parent" "request_id" "member" "offer" "quantity";
        reverse_redemption: "name" "request_id" "reason" "operator";
        cancel_redemption_by_request_id: "parent" "request_id";
        get_redemption: "name";
        list_redemptions: "parent";
    }
}

#[tokio::test]
async fn every_wrong_field_of_an_offer_is_named() {
    let date = |year, month, day| Some(proto::google::r#type::Date { year, month, day });
    let offer = pb::Offer {
        merchant: format!("{OTHER}/merchants/{ID}"),
        programme: "programmes/1".into(),
        title: "长".repeat(121),
        points: 1_000_000_001,
        stock: -1,
        per_member_limit: Some(0),
        audience: 9,
        start_date: date(2026, 3, 31),
        end_date: date(2026, 2, 30),
        reversal_days: Some(3651),
        ..pb::Offer::default()
    };
    let request = |offer| {
        asked(pb::CreateOfferRequest {
            parent: COMMUNITY.into(),
            request_id: ID.into(),
            offer: Some(offer),
            ..pb::CreateOfferRequest::default()
        })
    };
    let mut fields = fields_of(service().create_offer(request(offer.clone())).await);
    fields.sort();
    assert_eq!(
        fields,
        [
            "offer.audience",
            "offer.end_date",
            "offer.merchant",
            "offer.per_member_limit",
            "offer.points",
            "offer.programme",
            "offer.reversal_days",
            "offer.stock",
            "offer.title",
        ]
    );
    let backwards = pb::Offer {
        end_date: date(1970, 1, 1),
        ..offer
    };
    let fields = fields_of(service().create_offer(request(backwards)).await);
    assert!(fields.contains(&"offer.end_date".to_owned()));
}

#[tokio::test]
async fn every_wrong_field_of_an_order_is_named() {
    let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    for ttl in [
        ttl(0, 999_999_999),
        ttl(2_592_000, 1),
        ttl(-5, 0),
        ttl(i64::MAX, 0),
    ] {
        let request = pb::HoldRedemptionRequest {
            parent: COMMUNITY.into(),
            request_id: ID.to_uppercase().replace('0', "A"),
            payer: Some(pb::hold_redemption_request::Payer::Member(format!(
                "{COMMUNITY}/members/x"
            ))),
            offer: format!("{OTHER}/offers/{ID}"),
            quantity: 1001,
            ttl,
            validate_only: true,
        };
        let mut fields = fields_of(service().hold_redemption(asked(request)).await);
        fields.sort();
        assert_eq!(fields, ["member", "offer", "quantity", "request_id", "ttl"]);
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_list_is_named() {
    let request = pb::ListRedemptionsRequest {
        parent: COMMUNITY.into(),
        merchant: format!("{OTHER}/merchants/{ID}"),
        member: "x".into(),
        state: 77,
        page_size: -1,
        page_token: "!".into(),
    };
    let mut fields = fields_of(service().list_redemptions(asked(request)).await);
    fields.sort();
    assert_eq!(
        fields,
        ["member", "merchant", "page_size", "page_token", "state"]
    );
}

#[tokio::test]
async fn without_a_database_the_answer_is_unavailable() {
    let request = pb::GetMerchantRequest {
        name: format!("{COMMUNITY}/merchants/{ID}"),
    };
    let status = service().get_merchant(asked(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}

#[test]
fn a_refusal_says_its_numbers_in_both_languages_and_in_the_metadata() {
    let refusal = crate::domain::Refusal::OfferSoldOut { left: 2, asked: 3 };
    let status = Status::from(crate::Error::from(refusal));
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "2 left, 3 asked for");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("OFFER_SOLD_OUT", "redemption.linli")
    );
    assert_eq!(
        (
            info.metadata["left"].as_str(),
            info.metadata["asked"].as_str()
        ),
        ("2", "3")
    );
    let localized = status.get_details_localized_message().unwrap();
    assert_eq!(localized.locale, "zh-CN");
    assert!(localized.message.contains('2') && localized.message.contains('3'));
}
