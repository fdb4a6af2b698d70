//! Setting up a scheme: programmes, policies, merchants, offers, and the states they go through.

use journeys::{Scheme, World, date, one_answer, refused, send};
use proto::{activity::v1 as act, redemption::v1 as red};
use tonic::{Code, Status};

#[tokio::test]
async fn equal_calls_at_once_set_a_scheme_up_once() {
    let world = World::empty().await;
    let (activity, redemption) = (&world.clients.activity, &world.clients.redemption);
    let programme = act::CreateProgrammeRequest {
        parent: world.community_name(),
        programme: Some(act::Programme {
            display_name: "Neighbours".to_owned(),
            asset: "points".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let programme = one_answer!(activity, create_programme, programme);
    let revision = act::CreatePolicyRevisionRequest {
        parent: programme.name.clone(),
        policy: Some(Scheme::default().policy),
        request_id: world.id(),
    };
    let revision = one_answer!(activity, create_policy_revision, revision);
    let activation = act::ActivatePolicyRevisionRequest {
        name: revision.name,
        request_id: world.id(),
    };
    one_answer!(activity, activate_policy_revision, activation);
    let merchant = red::CreateMerchantRequest {
        parent: world.community_name(),
        merchant: Some(red::Merchant {
            number: "S01".to_owned(),
            display_name: "Corner shop".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let merchant = one_answer!(redemption, create_merchant, merchant);
    let offer = red::CreateOfferRequest {
        parent: world.community_name(),
        offer: Some(red::Offer {
            merchant: merchant.name,
            programme: programme.name,
            title: "A pot of tea".to_owned(),
            points: 10,
            stock: 5,
            audience: red::Audience::All.into(),
            start_date: Some(date(2026, 1, 1)),
            end_date: Some(date(2026, 12, 31)),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let offer = one_answer!(redemption, create_offer, offer);
    let more = red::AdjustOfferStockRequest {
        name: offer.name.clone(),
        delta: 3,
        request_id: world.id(),
    };
    let more = one_answer!(redemption, adjust_offer_stock, more);

    assert_eq!((more.stock, more.stock_left), (8, 8));
    assert_eq!(
        (offer.asset.as_str(), offer.reversal_days),
        ("points", Some(7))
    );
    let all = red::ListOffersRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let all = send!(redemption, list_offers, all).unwrap();
    assert_eq!(all.offers, [more]);
    let kinds = world.trial_balance().await.rows.len();
    assert_eq!(kinds, 3, "issuing, expired, merchant: one account each");
}

/// How to get to a state, and where one may go from there by which step.
type Row = (
    &'static [&'static str],
    red::OfferState,
    &'static [(&'static str, red::OfferState)],
);

/// What can be done with an offer, by its method.
async fn step(world: &World, offer: &str, step: &str) -> Result<red::Offer, Status> {
    let (name, request_id) = (offer.to_owned(), world.id());
    let client = &world.clients.redemption;
    match step {
        "submit" => send!(
            client,
            submit_offer,
            red::SubmitOfferRequest { name, request_id }
        ),
        "return" => send!(
            client,
            return_offer,
            red::ReturnOfferRequest { name, request_id }
        ),
        "activate" => send!(
            client,
            activate_offer,
            red::ActivateOfferRequest { name, request_id }
        ),
        "pause" => send!(
            client,
            pause_offer,
            red::PauseOfferRequest { name, request_id }
        ),
        "resume" => send!(
            client,
            resume_offer,
            red::ResumeOfferRequest { name, request_id }
        ),
        "end" => send!(client, end_offer, red::EndOfferRequest { name, request_id }),
        other => panic!("no step {other}"),
    }
}

#[tokio::test]
async fn an_offer_goes_only_where_its_state_lets_it() {
    use red::OfferState::{Active, Draft, Ended, InReview, Paused};
    const STEPS: [&str; 6] = ["submit", "return", "activate", "pause", "resume", "end"];
    let world = World::start().await;
    let merchant = world.merchant().await;
    let table: [Row; 5] = [
        (
            &[],
            Draft,
            &[("submit", InReview), ("activate", Active), ("end", Ended)],
        ),
        (
            &["submit"],
            InReview,
            &[("return", Draft), ("activate", Active), ("end", Ended)],
        ),
        (&["activate"], Active, &[("pause", Paused), ("end", Ended)]),
        (
            &["activate", "pause"],
            Paused,
            &[("resume", Active), ("end", Ended)],
        ),
        (&["end"], Ended, &[]),
    ];

    for (way, state, allowed) in table {
        for next in STEPS {
            let offer = world.offer(&merchant).draft().await.name;
            for earlier in way {
                step(&world, &offer, earlier).await.unwrap();
            }
            let answer = step(&world, &offer, next).await;
            match allowed.iter().find(|(step, _)| *step == next) {
                Some((_, then)) => assert_eq!(answer.unwrap().state(), *then, "{state:?} {next}"),
                None => {
                    let refusal = refused(&answer.unwrap_err());
                    assert_eq!(refusal.code, Code::FailedPrecondition, "{state:?} {next}");
                    assert_eq!(refusal.reason, "WRONG_STATE", "{state:?} {next}");
                    assert!(refusal.metadata.contains_key("state"));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_merchant_goes_only_where_its_state_lets_it() {
    let world = World::start().await;
    let client = &world.clients.redemption;
    let (name, id) = (world.merchant().await.name, || world.id());
    let suspend = || red::SuspendMerchantRequest {
        name: name.clone(),
        request_id: id(),
    };
    let resume = || red::ResumeMerchantRequest {
        name: name.clone(),
        request_id: id(),
    };
    let terminate = || red::TerminateMerchantRequest {
        name: name.clone(),
        request_id: id(),
    };
    let reason = |answer: Result<red::Merchant, Status>| refused(&answer.unwrap_err()).reason;

    assert_eq!(
        reason(send!(client, resume_merchant, resume())),
        "WRONG_STATE"
    );
    let suspended = send!(client, suspend_merchant, suspend()).unwrap();
    assert_eq!(suspended.state(), red::MerchantState::Suspended);
    assert_eq!(
        reason(send!(client, suspend_merchant, suspend())),
        "WRONG_STATE"
    );
    let resumed = send!(client, resume_merchant, resume()).unwrap();
    assert_eq!(resumed.state(), red::MerchantState::Active);
    let ended = send!(client, terminate_merchant, terminate()).unwrap();
    assert_eq!(ended.state(), red::MerchantState::Terminated);
    for answer in [
        send!(client, suspend_merchant, suspend()),
        send!(client, resume_merchant, resume()),
        send!(client, terminate_merchant, terminate()),
    ] {
        assert_eq!(reason(answer), "WRONG_STATE");
    }
}

#[tokio::test]
async fn a_policy_revision_comes_into_force_once() {
    let world = World::start().await;
    let client = &world.clients.activity;
    let draft = || act::CreatePolicyRevisionRequest {
        parent: world.programme_name(),
        policy: Some(Scheme::default().policy),
        request_id: world.id(),
    };
    let activate = |name: &str| act::ActivatePolicyRevisionRequest {
        name: name.to_owned(),
        request_id: world.id(),
    };
    let discard = |name: &str| act::DiscardPolicyRevisionRequest {
        name: name.to_owned(),
        request_id: world.id(),
    };
    let reason = |answer: Result<act::PolicyRevision, Status>| refused(&answer.unwrap_err()).reason;
    let second = send!(client, create_policy_revision, draft()).unwrap().name;
    let third = send!(client, create_policy_revision, draft()).unwrap().name;

    let discarded = send!(client, discard_policy_revision, discard(&second)).unwrap();
    assert_eq!(discarded.state(), act::PolicyRevisionState::Discarded);
    let again = send!(client, activate_policy_revision, activate(&second));
    assert_eq!(reason(again), "WRONG_STATE");
    send!(client, activate_policy_revision, activate(&third)).unwrap();
    let again = send!(client, activate_policy_revision, activate(&third));
    assert_eq!(reason(again), "WRONG_STATE");
    let away = send!(client, discard_policy_revision, discard(&third));
    assert_eq!(reason(away), "WRONG_STATE");
}

#[tokio::test]
async fn numbers_and_chosen_ids_are_given_once() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let client = &world.clients.activity;
    let register = |member_id: &str, number: &str| act::CreateMemberRequest {
        parent: world.community_name(),
        member_id: member_id.to_owned(),
        member: Some(act::Member {
            number: number.to_owned(),
            kind: act::MemberKind::Resident.into(),
            display_name: "赵五".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
    };

    let id = member.id.to_string();
    let same_number = send!(client, create_member, register("", &member.number)).unwrap_err();
    let same_id = send!(client, create_member, register(&id, "V9999")).unwrap_err();

    let (same_number, same_id) = (refused(&same_number), refused(&same_id));
    assert_eq!(
        (same_number.code, same_id.code),
        (Code::AlreadyExists, Code::AlreadyExists)
    );
    assert_eq!(same_number.reason, "NUMBER_TAKEN");
    assert_eq!(same_id.reason, "RESOURCE_EXISTS");
    for text in [&same_number.message, &same_id.message] {
        assert!(!text.contains("赵五"), "no names in errors: {text}");
    }
}

#[tokio::test]
async fn stock_is_taken_back_only_as_far_as_it_is_unsold() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let offer = world.offer(&merchant).stock(10).active().await;
    let member = world.volunteer().with_points(100).await;
    world.redeem(world.order(&member, &offer, 3)).await.unwrap();
    world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let adjust = |delta| red::AdjustOfferStockRequest {
        name: offer.name.clone(),
        delta,
        request_id: world.id(),
    };
    let client = &world.clients.redemption;

    let too_much = send!(client, adjust_offer_stock, adjust(-6)).unwrap_err();
    let all = send!(client, adjust_offer_stock, adjust(-5)).unwrap();

    assert_eq!(refused(&too_much).reason, "OFFER_SOLD_OUT");
    assert_eq!((all.stock, all.stock_left), (5, 0));
}
