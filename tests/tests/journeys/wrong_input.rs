//! Wrong input to every method of every service is refused by the name of the field at fault, and never breaks anything.

use std::collections::HashMap;

use journeys::{Refused, Scheme, World, refused, send, wire};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use proto::{
    activity::v1 as act,
    ledger::v1::{AccountKind, EntryKind},
    redemption::v1::RedemptionState,
    wish::v1::WishUnit,
};
use tonic::{Code, Status};

use crate::sample::{Sampler, Wrong, is_required};

/// A world with one of everything, and a sampler that knows it.
async fn world() -> (World, Sampler) {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let redemption = world.redeem(world.order(&member, &offer, 2)).await.unwrap();
    let grant = world.earn(&member, 60).await;
    let record = world.record(world.service(&member, 60)).await;
    let report = world.reported(world.report(&member, "word")).await;
    let revision = world.put_in_force(Scheme::default().policy).await;
    let hold = world.entries(&world.points(&member).await.name).await;
    let hold = hold.iter().find(|entry| entry.kind() == EntryKind::Hold);
    let of_member = last(&world.account_name(AccountKind::Member, Some(member.id)));
    let of_merchant = last(&world.account_name(AccountKind::Merchant, Some(merchant.id)));
    let wish = world.wish_for(WishUnit::Each, 1000);
    let wish = world.published(wish).await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 1)).await;
    let there = HashMap::from([
        ("wishes", last(&wish.name)),
        ("pledges", last(&pledge.unwrap().name)),
        ("programmes", world.programme.to_string()),
        ("members", member.id.to_string()),
        ("merchants", merchant.id.to_string()),
        ("offers", last(&offer.name)),
        ("redemptions", last(&redemption.name)),
        ("grants", last(&grant.name)),
        ("serviceRecords", last(&record.name)),
        ("reports", last(&report.name)),
        ("policyRevisions", last(&revision.name)),
        ("holds", hold.unwrap().request_id.clone()),
        ("accounts", of_member.clone()),
        ("debit_account", of_member),
        ("credit_account", of_merchant),
    ]);
    assert_eq!(held.state(), RedemptionState::Held);
    let sampler = Sampler {
        community: world.community,
        now: world.clock.now(),
        there,
    };
    (world, sampler)
}

fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap().to_owned()
}

/// Why an answer is none that a caller can work with; nothing when it is.
fn unclean(status: &Status) -> Option<Refused> {
    let refusal = refused(status);
    let known = matches!(
        refusal.code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::PermissionDenied
    );
    let told = refusal
        .reason
        .chars()
        .all(|letter| letter.is_ascii_uppercase() || letter == '_')
        && !refusal.reason.is_empty()
        && refusal.domain.ends_with("linli")
        && !refusal.message_zh.is_empty();
    (!known || !told).then_some(refusal)
}

fn names(refusal: &Refused, path: &str) -> bool {
    refusal.code == Code::InvalidArgument
        && refusal.fields.iter().any(|field| {
            let rest = field.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
}

#[tokio::test]
async fn a_well_formed_request_is_never_called_malformed() {
    let (world, sampler) = world().await;
    let mut problems = Vec::new();
    for method in wire::methods() {
        let message = sampler.message(&method.input());
        if let Err(status) = world.wire(&method).call(&method, &message).await {
            let refusal = refused(&status);
            if !refusal.fields.is_empty() || unclean(&status).is_some() {
                problems.push(format!("{}: {refusal:?}", method.name()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The methods that ask for something.
fn asking() -> impl Iterator<Item = MethodDescriptor> {
    let methods = wire::methods().into_iter();
    methods.filter(|method| method.input().fields().len() > 0)
}

#[tokio::test]
async fn an_empty_request_is_told_every_field_that_is_required() {
    let (world, _) = world().await;
    let mut problems = Vec::new();
    for method in asking() {
        let message = DynamicMessage::new(method.input());
        let refusal = match world.wire(&method).call(&method, &message).await {
            Err(status) => refused(&status),
            Ok(answer) => panic!("{} answers nothing with {answer}", method.name()),
        };
        for field in method.input().fields().filter(is_required) {
            if !names(&refusal, field.name()) {
                problems.push(format!("{} {}: {refusal:?}", method.name(), field.name()));
            }
        }
        if refusal.reason != "INVALID_FIELD" {
            problems.push(format!("{}: {refusal:?}", method.name()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Sends every wrong request to every method of a package.
async fn send_wrong(package: &str) {
    let (world, sampler) = world().await;
    let mut problems = Vec::new();
    let mut sent = 0;
    for method in wire::methods() {
        if method.parent_service().package_name() != package {
            continue;
        }
        let mut wire = world.wire(&method);
        for wrong in sampler.wrong(&sampler.message(&method.input())) {
            // A call that was answered before would not be looked at again.
            let message = sampler.renewed(&wrong, || world.id());
            let answer = wire.call(&method, &message).await;
            sent += 1;
            problems.extend(problem(answer, &wrong).map(|why| format!("{} {why}", method.name())));
        }
    }
    assert!(sent > 100, "{sent} were sent");
    assert!(
        problems.is_empty(),
        "{} of {sent}:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

fn problem(answer: Result<DynamicMessage, Status>, wrong: &Wrong) -> Option<String> {
    let Wrong { path, what, .. } = wrong;
    match answer {
        Ok(_) if wrong.refused => Some(format!("{path} ({what}): taken")),
        Ok(_) => None,
        // Entry 1 is there, and its proof a moment later.
        Err(status) if refused(&status).reason == "ENTRY_NOT_SEALED" => None,
        Err(status) => match unclean(&status) {
            Some(refusal) => Some(format!("{path} ({what}): {refusal:?}")),
            None if wrong.refused && !names(&refused(&status), path) => Some(format!(
                "{path} ({what}): names another: {:?}",
                refused(&status)
            )),
            None => None,
        },
    }
}

#[tokio::test]
async fn wrong_input_to_the_ledger_is_refused_by_the_name_of_its_field() {
    send_wrong("linli.ledger.v1").await;
}

#[tokio::test]
async fn wrong_input_to_activity_is_refused_by_the_name_of_its_field() {
    send_wrong("linli.activity.v1").await;
}

#[tokio::test]
async fn wrong_input_to_redemption_is_refused_by_the_name_of_its_field() {
    send_wrong("linli.redemption.v1").await;
}

#[tokio::test]
async fn wrong_input_to_wish_is_refused_by_the_name_of_its_field() {
    send_wrong("linli.wish.v1").await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_as_such() {
    let (world, _) = world().await;
    // A field that breaks off, a text that is none, a field number that is none.
    let broken: [&[u8]; 3] = [b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\x07"];
    for method in asking() {
        for bytes in broken {
            let answer = world.wire(&method).send(&method, bytes.to_vec()).await;
            let refusal = refused(&answer.unwrap_err());
            assert_eq!(refusal.code, Code::InvalidArgument, "{}", method.name());
            assert_eq!(refusal.reason, "MALFORMED_MESSAGE", "{}", method.name());
        }
    }
}

#[tokio::test]
async fn a_malformed_call_leaves_its_id_free_for_the_right_one() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let mut order = world.order(&member, &offer, 0);
    let refusal = refused(&world.redeem(order.clone()).await.unwrap_err());
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["quantity".to_owned()])
    );
    let record = world.record(world.service(&member, 60)).await;
    let mut verification = world.verification(&record);
    let name = std::mem::take(&mut verification.name);
    let client = &world.clients.activity;
    let wrong = send!(client, verify_service_record, verification.clone());
    assert_eq!(refused(&wrong.unwrap_err()).fields, ["name"]);

    order.quantity = 1;
    verification.name = name;

    assert!(world.redeem(order).await.is_ok());
    let verified = send!(client, verify_service_record, verification).unwrap();
    assert_eq!(verified.state(), act::ServiceRecordState::Verified);
}
