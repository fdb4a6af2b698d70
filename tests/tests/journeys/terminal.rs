//! A till's life: paired, calling, its key changed, shut out.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use journeys::{Merchant, PATIENCE, Refused, World, refused, send, web::Web};
use linli::system::{Clients, Limits};
use proto::redemption::v1::{self as red, terminal_service_client::TerminalServiceClient};
use runtime::{Bearer, Client, Holder, Role};
use serde_json::json;
use tonic::{Code, Status};

/// A shop's owner, a store of the shop, and how to reach the service.
struct Shop<'a> {
    world: &'a World,
    merchant: Merchant,
    offer: red::Offer,
    owner: TerminalServiceClient<Client>,
    store: red::Store,
}

impl<'a> Shop<'a> {
    async fn open(world: &'a World) -> Self {
        let merchant = world.merchant().await;
        let holder = Holder {
            resources: vec![merchant.name.clone()],
            ..Holder::everywhere("owner", [Role::Merchant])
        };
        let owner = terminals(world, Some(&world.token(&holder)));
        let message = red::CreateStoreRequest {
            parent: merchant.name.clone(),
            store: Some(red::Store {
                number: "1".to_owned(),
                display_name: "Corner".to_owned(),
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        Self {
            world,
            offer: world.offer(&merchant).active().await,
            store: send!(owner, create_store, message).unwrap(),
            merchant,
            owner,
        }
    }

    fn code_request(&self) -> red::CreatePairingCodeRequest {
        red::CreatePairingCodeRequest {
            parent: self.store.name.clone(),
            request_id: self.world.id(),
        }
    }

    async fn code(&self) -> String {
        let code = send!(self.owner, create_pairing_code, self.code_request());
        code.unwrap().code
    }

    fn pairing(&self, code: &str) -> red::PairTerminalRequest {
        red::PairTerminalRequest {
            parent: self.world.community_name(),
            code: code.to_owned(),
            display_name: "Till 1".to_owned(),
            request_id: self.world.id(),
        }
    }

    async fn pair(
        &self,
        message: red::PairTerminalRequest,
    ) -> Result<(red::Terminal, String), Refused> {
        let nobody = terminals(self.world, None);
        let answer = send!(nobody, pair_terminal, message).map_err(|status| refused(&status))?;
        Ok((answer.terminal.unwrap(), answer.key))
    }

    async fn rotate(
        &self,
        terminal: &red::Terminal,
        key: &str,
        grace_seconds: i64,
    ) -> Result<red::RotateTerminalKeyResponse, Status> {
        let message = red::RotateTerminalKeyRequest {
            name: terminal.name.clone(),
            grace: Some(prost_types::Duration {
                seconds: grace_seconds,
                nanos: 0,
            }),
            request_id: self.world.id(),
            ..Default::default()
        };
        let till = terminals(self.world, Some(key));
        send!(till, rotate_terminal_key, message)
    }
}

fn terminals(world: &World, token: Option<&str>) -> TerminalServiceClient<Client> {
    let channel = runtime::channel(&world.system.redemption.url()).unwrap();
    let bearer = token.map(|token| Bearer::given(token).unwrap());
    TerminalServiceClient::new(Client::new(channel, bearer))
}

/// Sees the offer with a key.
async fn look(shop: &Shop<'_>, key: &str) -> Result<(), (Code, String)> {
    let clients: &Clients = &shop.world.clients;
    let mut request = runtime::request(
        red::GetOfferRequest {
            name: shop.offer.name.clone(),
        },
        PATIENCE,
    );
    let bearer = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let answer = clients.redemption.clone().get_offer(request).await;
    answer.map(drop).map_err(|status| {
        let refusal = refused(&status);
        (refusal.code, refusal.reason)
    })
}

fn unauthenticated(reason: &str) -> Result<(), (Code, String)> {
    Err((Code::Unauthenticated, reason.to_owned()))
}

#[tokio::test]
async fn a_till_pairs_serves_its_shop_and_no_other() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let member = world.volunteer().with_points(50).await;
    let code = shop.code().await;
    let typed = code.to_lowercase().replace('-', " ");
    let (terminal, key) = shop.pair(shop.pairing(&typed)).await.unwrap();
    assert_eq!(terminal.merchant, shop.merchant.name);
    assert_eq!(terminal.store, shop.store.name);

    let web = Web::with_token(&key);
    let url = format!(
        "{}/linli.redemption.v1.RedemptionService/Redeem",
        world.system.redemption.url()
    );
    let handle = world.handle(&member, &shop.merchant).await;
    let order = |offer: &red::Offer| {
        json!({
            "parent": world.community_name(), "requestId": world.id(), "memberHandle": handle,
            "offer": offer.name, "quantity": 1,
        })
    };
    let sold = web.post(&url, &order(&shop.offer)).await;
    let sold = sold.json();
    assert_eq!(sold["state"], "REDEMPTION_STATE_CAPTURED");
    assert_eq!(sold["terminal"], json!(terminal.name));
    assert_eq!(sold["store"], json!(shop.store.name));
    let elsewhere = Shop::open(&world).await;
    let refused = web.post(&url, &order(&elsewhere.offer)).await;
    assert_eq!(refused.code, 403);
    assert_eq!(world.balance(&member).await, 40);

    let audit = red::ListAuditEntriesRequest {
        parent: world.community_name(),
        subject: terminal.name.clone(),
        ..Default::default()
    };
    let said = send!(world.clients.redemption, list_audit_entries, audit).unwrap();
    assert_eq!(said.entries[0].method, "Redeem");
}

#[tokio::test]
async fn a_code_pairs_one_till_once_and_not_for_long() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let wrong = shop.pair(shop.pairing("0000-0000")).await.unwrap_err();
    assert_eq!(
        (wrong.code, &wrong.reason[..]),
        (Code::InvalidArgument, "PAIRING_CODE_INVALID")
    );

    let code = shop.code().await;
    let first = shop.pairing(&code);
    let (terminal, lost) = shop.pair(first.clone()).await.unwrap();
    let other = shop.pair(shop.pairing(&code)).await.unwrap_err();
    assert_eq!(other.reason, "PAIRING_CODE_USED");
    // The answer was lost: the same call again is the same till with another key.
    let (same, key) = shop.pair(first.clone()).await.unwrap();
    assert_eq!(same, terminal);
    assert_eq!(look(&shop, &lost).await, unauthenticated("TOKEN_INVALID"));
    assert_eq!(look(&shop, &key).await, Ok(()));
    world.clock.advance(TimeDelta::minutes(11));
    let late = shop.pair(first).await.unwrap_err();
    assert_eq!(late.reason, "PAIRING_CODE_EXPIRED");
    assert_eq!(look(&shop, &key).await, Ok(()));

    let code = shop.code().await;
    world.clock.advance(TimeDelta::minutes(11));
    let late = shop.pair(shop.pairing(&code)).await.unwrap_err();
    assert_eq!(late.reason, "PAIRING_CODE_EXPIRED");
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_is_made_again_and_counts_no_more() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let message = shop.code_request();
    let lost = send!(shop.owner, create_pairing_code, message.clone()).unwrap();
    let code = send!(shop.owner, create_pairing_code, message.clone()).unwrap();
    assert_ne!(code.code, lost.code);
    let wrong = shop.pair(shop.pairing(&lost.code)).await.unwrap_err();
    assert_eq!(wrong.reason, "PAIRING_CODE_INVALID");
    shop.pair(shop.pairing(&code.code)).await.unwrap();
    let used = send!(shop.owner, create_pairing_code, message).unwrap_err();
    assert_eq!(refused(&used).reason, "PAIRING_CODE_USED");
}

#[tokio::test]
async fn a_rotated_key_counts_for_its_grace_and_a_revoked_till_never_again() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let (terminal, first) = shop.pair(shop.pairing(&shop.code().await)).await.unwrap();
    let second = shop.rotate(&terminal, &first, 60).await.unwrap().key;
    assert_eq!(look(&shop, &first).await, Ok(()));
    assert_eq!(look(&shop, &second).await, Ok(()));
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!(look(&shop, &first).await, unauthenticated("KEY_RETIRED"));
    assert_eq!(look(&shop, &second).await, Ok(()));
    // A till changes its own key and nobody else's.
    let (other, key) = shop.pair(shop.pairing(&shop.code().await)).await.unwrap();
    let foreign = shop.rotate(&terminal, &key, 0).await.unwrap_err();
    assert_eq!(refused(&foreign).reason, "NOT_YOURS");

    let message = red::RevokeTerminalRequest {
        name: terminal.name.clone(),
        reason: "stolen".to_owned(),
        request_id: world.id(),
    };
    let revoked = send!(shop.owner, revoke_terminal, message.clone()).unwrap();
    assert_eq!(revoked.state(), red::TerminalState::Revoked);
    assert_eq!(
        look(&shop, &second).await,
        unauthenticated("TERMINAL_REVOKED")
    );
    assert_eq!(look(&shop, &key).await, Ok(()));
    assert_eq!(
        send!(shop.owner, revoke_terminal, message).unwrap(),
        revoked
    );
    let list = red::ListTerminalsRequest {
        parent: shop.merchant.name.clone(),
        ..Default::default()
    };
    let all = send!(shop.owner, list_terminals, list).unwrap().terminals;
    assert!(all.contains(&revoked) && all.contains(&other) && all.len() == 2);
}

#[tokio::test]
async fn one_till_and_one_member_may_not_do_as_much_as_they_like() {
    let world = World::limited(Limits {
        terminal_rate: NonZeroU32::new(2),
        member_rate: NonZeroU32::new(3),
    })
    .await;
    let shop = Shop::open(&world).await;
    let (_, key) = shop.pair(shop.pairing(&shop.code().await)).await.unwrap();
    let limited = Err((Code::ResourceExhausted, "RATE_LIMITED".to_owned()));
    for _ in 0..10 {
        assert_eq!(look(&shop, &key).await, Ok(()));
    }
    assert_eq!(look(&shop, &key).await, limited);
    let (_, other) = shop.pair(shop.pairing(&shop.code().await)).await.unwrap();
    assert_eq!(look(&shop, &other).await, Ok(()), "another till may");
    world.clock.advance(TimeDelta::milliseconds(500));
    assert_eq!(look(&shop, &key).await, Ok(()));

    let member = world.volunteer().with_points(50).await;
    let order = || world.order(&member, &shop.offer, 1);
    let first = order();
    for order in [first.clone(), order(), order()] {
        world.redeem(order).await.unwrap();
    }
    let refusal = refused(&world.redeem(order()).await.unwrap_err());
    assert_eq!(refusal.reason, "RATE_LIMITED");
    assert!(refusal.try_again);
    assert_eq!(world.balance(&member).await, 20, "it had no effect");
    world.clock.advance(TimeDelta::seconds(20));
    // It was refused before it was looked at, so the same call may come again.
    assert!(world.redeem(first).await.is_ok());

    let mut tries = 0;
    let refusal = loop {
        tries += 1;
        let refusal = shop.pair(shop.pairing("0000-0000")).await.unwrap_err();
        if refusal.reason != "PAIRING_CODE_INVALID" {
            break refusal;
        }
    };
    assert_eq!(refusal.reason, "RATE_LIMITED");
    assert!(tries <= 21, "{tries} tries");
}
