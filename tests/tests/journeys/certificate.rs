//! Keys of tills that are bound to a client certificate: the key alone opens nothing.

use chrono::TimeDelta;
use journeys::{Certificate, Secure, World, refused, send};
use proto::redemption::v1::{self as red, terminal_service_client::TerminalServiceClient};
use runtime::{Bearer, Client, Holder, Role};
use tonic::{Code, Status};

type Terminals = TerminalServiceClient<Client>;

/// The desk of a shop that has one store, and ways to its tills.
struct Desk<'a> {
    world: &'a World,
    secure: Secure,
    client: Terminals,
    store: red::Store,
}

impl<'a> Desk<'a> {
    async fn open(world: &'a World, require_certificate: bool) -> Self {
        let merchant = world.merchant().await;
        let token = world.token(&Holder::everywhere("STAFF01", [Role::Staff]));
        let client = plain(world, Some(&token));
        let message = red::CreateStoreRequest {
            parent: merchant.name.clone(),
            store: Some(red::Store {
                number: "1".to_owned(),
                display_name: "Corner".to_owned(),
                require_certificate,
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        let store = send!(client, create_store, message).unwrap();
        Self {
            secure: world.secure().await,
            world,
            client,
            store,
        }
    }

    /// What a till sends to be paired.
    async fn pairing(&self) -> red::PairTerminalRequest {
        let message = red::CreatePairingCodeRequest {
            parent: self.store.name.clone(),
            request_id: self.world.id(),
        };
        let code = send!(self.client, create_pairing_code, message).unwrap();
        red::PairTerminalRequest {
            parent: self.world.community_name(),
            code: code.code,
            display_name: "Till 1".to_owned(),
            request_id: self.world.id(),
        }
    }

    /// A till with a certificate.
    fn till(&self, certificate: &Certificate, key: Option<&str>) -> Terminals {
        TerminalServiceClient::new(self.secure.client(Some(certificate), key))
    }

    /// A till without one, over TLS.
    fn bare(&self, key: Option<&str>) -> Terminals {
        TerminalServiceClient::new(self.secure.client(None, key))
    }

    fn rotation(&self, terminal: &str, next: &str) -> red::RotateTerminalKeyRequest {
        red::RotateTerminalKeyRequest {
            name: terminal.to_owned(),
            certificate_thumbprint: next.to_owned(),
            request_id: self.world.id(),
            ..Default::default()
        }
    }
}

/// A till over the plain port of another replica.
fn plain(world: &World, token: Option<&str>) -> Terminals {
    let channel = runtime::channel(&world.system.redemption.url()).unwrap();
    let bearer = token.map(|token| Bearer::given(token).unwrap());
    TerminalServiceClient::new(Client::new(channel, bearer))
}

/// What a till sees of itself: what its newest key is bound to.
async fn looks(client: Terminals, terminal: &str) -> Result<String, (Code, String)> {
    let message = red::GetTerminalRequest {
        name: terminal.to_owned(),
    };
    let answer = send!(client, get_terminal, message);
    answer
        .map(|terminal| terminal.certificate_thumbprint)
        .map_err(|status| reason(&status))
}

fn reason(status: &Status) -> (Code, String) {
    let refusal = refused(status);
    (refusal.code, refusal.reason)
}

fn unauthenticated(reason: &str) -> Result<String, (Code, String)> {
    Err((Code::Unauthenticated, reason.to_owned()))
}

#[tokio::test]
async fn a_key_that_was_given_over_mtls_counts_with_that_certificate_alone() {
    let world = World::start().await;
    let desk = Desk::open(&world, false).await;
    let (ours, other) = (desk.secure.certificate(), desk.secure.certificate());
    let pairing = desk.pairing().await;
    let paired = send!(desk.till(&ours, None), pair_terminal, pairing).unwrap();
    let (terminal, key) = (paired.terminal.unwrap(), paired.key);
    assert_eq!(terminal.certificate_thumbprint, ours.thumbprint());
    let (name, key) = (&terminal.name[..], Some(&key[..]));

    let bound = Ok(ours.thumbprint());
    assert_eq!(looks(desk.till(&ours, key), name).await, bound);
    let renewed = desk.secure.renewed(&ours);
    assert_eq!(looks(desk.till(&renewed, key), name).await, bound);
    let mismatch = unauthenticated("CERTIFICATE_MISMATCH");
    assert_eq!(looks(desk.till(&other, key), name).await, mismatch);
    let required = unauthenticated("CERTIFICATE_REQUIRED");
    assert_eq!(looks(desk.bare(key), name).await, required);
    assert_eq!(looks(plain(&world, key), name).await, required);

    let list = red::ListTerminalsRequest {
        parent: desk.store.merchant.clone(),
        ..Default::default()
    };
    let listed = send!(desk.client, list_terminals, list).unwrap().terminals;
    assert_eq!(listed, [terminal]);
}

#[tokio::test]
async fn a_till_changes_to_another_certificate_by_rotating_its_key() {
    let world = World::start().await;
    let desk = Desk::open(&world, false).await;
    let (ours, next) = (desk.secure.certificate(), desk.secure.certificate());
    let pairing = desk.pairing().await;
    let paired = send!(desk.till(&ours, None), pair_terminal, pairing).unwrap();
    let (terminal, first) = (paired.terminal.unwrap().name, paired.key);

    let wrong = desk.rotation(&terminal, "word");
    let wrong = send!(desk.till(&ours, Some(&first)), rotate_terminal_key, wrong);
    assert_eq!(
        refused(&wrong.unwrap_err()).fields,
        ["certificate_thumbprint"]
    );
    let rotation = desk.rotation(&terminal, &next.thumbprint());
    let stolen = send!(
        desk.bare(Some(&first)),
        rotate_terminal_key,
        rotation.clone()
    );
    assert_eq!(reason(&stolen.unwrap_err()).1, "CERTIFICATE_REQUIRED");
    let till = desk.till(&ours, Some(&first));
    let second = send!(till, rotate_terminal_key, rotation).unwrap().key;
    let second = Some(&second[..]);

    // Until the grace is over each counts with its own.
    let bound = Ok(next.thumbprint());
    assert_eq!(looks(till.clone(), &terminal).await, bound);
    assert_eq!(looks(desk.till(&next, second), &terminal).await, bound);
    let mismatch = unauthenticated("CERTIFICATE_MISMATCH");
    assert_eq!(looks(desk.till(&ours, second), &terminal).await, mismatch);
    world.clock.advance(TimeDelta::hours(24));
    assert_eq!(looks(till, &terminal).await, unauthenticated("KEY_RETIRED"));
    assert_eq!(looks(desk.till(&next, second), &terminal).await, bound);
}

#[tokio::test]
async fn a_key_that_counts_anywhere_is_bound_when_it_is_rotated_over_mtls() {
    let world = World::start().await;
    let desk = Desk::open(&world, false).await;
    let ours = desk.secure.certificate();
    let pairing = desk.pairing().await;
    let paired = send!(plain(&world, None), pair_terminal, pairing).unwrap();
    let (terminal, first) = (paired.terminal.unwrap().name, paired.key);
    let first = Some(&first[..]);
    let unbound = Ok(String::new());
    assert_eq!(looks(plain(&world, first), &terminal).await, unbound);
    assert_eq!(looks(desk.till(&ours, first), &terminal).await, unbound);

    let till = desk.till(&ours, first);
    let rotation = desk.rotation(&terminal, "");
    let second = send!(till, rotate_terminal_key, rotation).unwrap().key;
    let second = Some(&second[..]);
    let bound = Ok(ours.thumbprint());
    assert_eq!(looks(desk.till(&ours, second), &terminal).await, bound);
    let required = unauthenticated("CERTIFICATE_REQUIRED");
    assert_eq!(looks(plain(&world, second), &terminal).await, required);
    assert_eq!(looks(plain(&world, first), &terminal).await, bound);
    world.clock.advance(TimeDelta::hours(24));
    let retired = unauthenticated("KEY_RETIRED");
    assert_eq!(looks(plain(&world, first), &terminal).await, retired);
}

#[tokio::test]
async fn a_store_that_requires_certificates_takes_no_till_without_one() {
    let world = World::start().await;
    let desk = Desk::open(&world, true).await;
    assert!(desk.store.require_certificate);
    let ours = desk.secure.certificate();
    let pairing = desk.pairing().await;
    for client in [plain(&world, None), desk.bare(None)] {
        let refusal = send!(client, pair_terminal, pairing.clone()).unwrap_err();
        let required = "CERTIFICATE_REQUIRED".to_owned();
        assert_eq!(reason(&refusal), (Code::FailedPrecondition, required));
    }
    // The code was not used up.
    let paired = send!(desk.till(&ours, None), pair_terminal, pairing.clone()).unwrap();
    assert!(send!(plain(&world, None), pair_terminal, pairing).is_err());
    let (terminal, key) = (paired.terminal.unwrap().name, Some(&paired.key[..]));
    let bound = Ok(ours.thumbprint());
    assert_eq!(looks(desk.till(&ours, key), &terminal).await, bound);
}
