//! Whom a server lets in: tokens of every kind of wrongness, keys that come and go, and contracts that do not say who may call.

use std::{path::Path, sync::Arc, time::Duration};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Status};

use super::{
    guard::{Admission, Guard},
    issuers::MIN_INTERVAL,
    refusal::Untrusted,
    *,
};
use crate::{Clock, reason_of};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://login.example";

fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp(NOW, 0).unwrap())
}

fn staff() -> Holder {
    Holder::everywhere("STAFF01", [Role::Staff])
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["linli", "other"], "sub": "wx-7f3a", "exp": NOW + 600, "nbf": NOW - 600,
        "roles": ["member", "staff", "king"], "communities": ["00000000-0000-4000-8000-000000000001"],
        "resources": ["communities/00000000-0000-4000-8000-000000000001/members/00000000-0000-4000-8000-000000000002"],
    })
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let content = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(content.as_bytes()));
    format!("{content}.{signature}")
}

/// An RSA key as an identity provider has it.
struct Rsa(RsaKeyPair);

impl Rsa {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn jwk(&self, id: &str) -> Value {
        let public = self.0.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
            "n": number(n.big_endian_without_leading_zero()), "e": number(e.big_endian_without_leading_zero()),
        })
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": id});
        signed(&header, claims, |content| {
            let mut signature = vec![0; self.0.public_modulus_len()];
            let random = SystemRandom::new();
            let done = self
                .0
                .sign(&RSA_PKCS1_SHA256, &random, content, &mut signature);
            done.unwrap();
            signature
        })
    }

    fn public_der(&self) -> Vec<u8> {
        let public = self.0.public_key();
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = public.as_der().unwrap();
        der.as_ref().to_vec()
    }
}

/// Reads the issuers of a configuration beside which there is a file of keys.
fn configured(folder: &Path, keys: &str, roles: &str) -> Result<Vec<Issuer>, crate::Problem> {
    let path = folder.join("issuers.toml");
    let text = format!(
        "[[issuer]]\niss = \"{ISSUER}\"\naud = \"linli\"\nkeys = \"{keys}\"\nroles = {roles}\n"
    );
    std::fs::write(&path, text).unwrap();
    read_issuers(&path, &["linli-up"])
}

fn publish(folder: &Path, keys: &[Value]) {
    let path = folder.join("jwks.json");
    std::fs::write(path, json!({ "keys": keys }).to_string()).unwrap();
}

fn invalid(outcome: Result<Arc<Caller>, Untrusted>) -> String {
    match outcome {
        Err(Untrusted::Invalid(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_says_who_calls_and_its_issuer_what_that_counts_for() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = Rsa::new();
    publish(folder.path(), &[rsa.jwk("a")]);
    let issuers = configured(folder.path(), "jwks.json", r#"["member"]"#).unwrap();
    let authority = Authority::new(clock(), issuers).unwrap();

    let caller = authority.caller(&rsa.token("a", &claims())).unwrap();

    assert_eq!(caller.subject, "wx-7f3a");
    // The issuer may make nobody staff, and nobody is king.
    assert_eq!(caller.roles, Roles::from(Role::Member));
    let (community, member) = (Uuid::from_u128(0x4000_8000_0000_0000_0001), 2_u128);
    assert!(caller.sees(community) && !caller.sees(Uuid::from_u128(member)));
    let member = Uuid::parse_str("00000000-0000-4000-8000-000000000002").unwrap();
    assert!(caller.has(community, "members", member));
    assert!(!caller.has(community, "merchants", member));
}

#[test]
fn what_is_not_signed_for_us_by_a_trusted_key_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (rsa, other) = (Rsa::new(), Rsa::new());
    publish(folder.path(), &[rsa.jwk("a")]);
    let issuers = configured(folder.path(), "jwks.json", r#"["member"]"#).unwrap();
    let authority = Authority::new(clock(), issuers).unwrap();
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let good = rsa.token("a", &claims());
    let (content, _) = good.rsplit_once('.').unwrap();
    let hmac = |content: &[u8]| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &rsa.public_der());
        aws_lc_rs::hmac::sign(&key, content).as_ref().to_vec()
    };
    let minter = Minter::new("linli-up", [7; 32]);

    for (why, token) in [
        ("no JWT", "abc".to_owned()),
        ("no claims", "e30.e30.e30".to_owned()),
        ("no signature", format!("{content}.")),
        ("another's signature", other.token("a", &claims())),
        (
            "alg none",
            signed(&json!({"alg": "none"}), &claims(), |_| vec![]),
        ),
        (
            "our public key as a shared secret",
            signed(&json!({"alg": "HS256", "kid": "a"}), &claims(), hmac),
        ),
        (
            "another audience",
            rsa.token("a", &changed("aud", json!("bank"))),
        ),
        ("no audience", rsa.token("a", &without("aud"))),
        (
            "another issuer",
            rsa.token("a", &changed("iss", json!("https://evil.example"))),
        ),
        ("no issuer", rsa.token("a", &without("iss"))),
        ("no subject", rsa.token("a", &without("sub"))),
        (
            "an empty subject",
            rsa.token("a", &changed("sub", json!(""))),
        ),
        (
            "a subject for two lines",
            rsa.token("a", &changed("sub", json!("a\nb"))),
        ),
        ("no end", rsa.token("a", &without("exp"))),
        (
            "the issuer of `linli up`",
            minter.mint(&staff(), clock().now(), TimeDelta::hours(1)),
        ),
        ("very long", "a".repeat(10_000)),
    ] {
        let said = invalid(authority.caller(&token));
        assert!(!said.is_empty(), "{why}");
        let status = Status::from(Untrusted::Invalid(said));
        assert_eq!(status.code(), Code::Unauthenticated, "{why}");
        assert_eq!(
            reason_of(&status).as_deref(),
            Some("TOKEN_INVALID"),
            "{why}"
        );
    }
    assert!(authority.caller(&good).is_ok());
}

#[test]
fn a_token_counts_from_its_beginning_to_its_end() {
    let clock = clock();
    let minter = Minter::new("test", [7; 32]);
    let issuer = minter.issuer(Roles::from_iter(Role::ALL));
    let authority = Authority::new(clock.clone(), vec![issuer]).unwrap();
    let from = clock.now() + TimeDelta::minutes(1);
    let token = minter.mint(&staff(), from, TimeDelta::minutes(10));
    let outcome = || {
        authority
            .caller(&token)
            .map(|caller| caller.subject.clone())
    };

    assert_eq!(outcome(), Err(Untrusted::NotYetValid));
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(
        outcome(),
        Ok("STAFF01".to_owned()),
        "clocks differ a little"
    );
    clock.advance(TimeDelta::minutes(10));
    assert_eq!(outcome(), Ok("STAFF01".to_owned()));
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(outcome(), Err(Untrusted::Expired), "although it is known");
}

#[test]
fn a_caller_needs_a_role_that_the_contract_names() {
    let minter = Minter::new("test", [7; 32]);
    let issuer = minter.issuer(Roles::from_iter(Role::ALL));
    let authority = Authority::new(clock(), vec![issuer]).unwrap();
    let health = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let problem = Guard::new(health, authority.clone(), None)
        .unwrap_err()
        .to_string();
    assert_eq!(
        problem,
        "the contract of grpc.health.v1.Health/Check does not say who may call it (linli.access.v1.callers)"
    );

    let contract = contract();
    let guard = Guard::new(&contract, authority, None).unwrap();
    let call = |method: &str, holder: Option<Holder>| {
        let mut headers = HeaderMap::new();
        if let Some(holder) = holder {
            let token = minter.mint(&holder, clock().now(), TimeDelta::hours(1));
            let value = HeaderValue::try_from(format!("bearer {token}")).unwrap();
            headers.insert(AUTHORIZATION, value);
        }
        guard
            .admit(&format!("/test.v1.Shop/{method}"), &headers, None)
            .map(|admission| match admission {
                Admission::Now(access) => access,
                Admission::Asked(_) => panic!("there are no keys"),
            })
            .map_err(|status| (status.code(), reason_of(&status).unwrap()))
    };
    let community = Uuid::from_u128(1);
    let member = Uuid::from_u128(2);
    let person = Holder {
        resources: vec![format!("communities/{community}/members/{member}")],
        ..Holder::everywhere("wx", [Role::Member])
    };

    let access = call("Sell", Some(staff())).unwrap();
    assert!(!access.is_limited() && access.owns(community, "members", member));
    assert_eq!(access.roles(), Roles::from(Role::Staff));
    let access = call("Sell", Some(person)).unwrap();
    assert!(access.is_limited() && access.owns(community, "members", member));
    assert!(
        !access.owns(community, "merchants", member),
        "of another kind"
    );
    assert!(!access.owns(community, "members", community), "another's");
    let auditor = Holder::everywhere("a", [Role::Auditor]);
    let denied = (Code::PermissionDenied, "ROLE_NOT_ALLOWED".to_owned());
    assert_eq!(call("Sell", Some(auditor)).unwrap_err(), denied);
    let missing = (Code::Unauthenticated, "TOKEN_MISSING".to_owned());
    assert_eq!(call("Sell", None).unwrap_err(), missing);
    assert!(
        call("Look", None)
            .unwrap()
            .owns(community, "members", member)
    );
}

/// A contract with two methods, one for some and one for all.
fn contract() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let access = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    std::fs::write(
        folder.path().join("shop.proto"),
        r#"syntax = "proto3";
        package test.v1;
        import "linli/access/v1/access.proto";
        message Thing {}
        service Shop {
          rpc Sell(Thing) returns (Thing) {
            option (linli.access.v1.callers) = {own: [ROLE_MEMBER] community: [ROLE_STAFF]};
          }
          rpc Look(Thing) returns (Thing) {
            option (linli.access.v1.callers) = {anyone: true};
          }
        }"#,
    )
    .unwrap();
    let mut compiler = protox::Compiler::new([folder.path(), &access]).unwrap();
    compiler.include_imports(true);
    compiler.open_file("shop.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

#[tokio::test]
async fn keys_are_looked_for_when_a_token_names_a_new_one_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Rsa::new(), Rsa::new());
    publish(folder.path(), &[old.jwk("old")]);
    let issuers = configured(folder.path(), "jwks.json", r#"["member"]"#).unwrap();
    let clock = clock();
    let authority = Authority::new(clock.clone(), issuers).unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    authority.spawn_workers(&tasks, &stop);
    let (before, after) = (old.token("old", &claims()), new.token("new", &claims()));
    assert!(authority.caller(&before).is_ok());

    publish(folder.path(), &[new.jwk("new")]);
    let mut admitted = false;
    for _ in 0..1000 {
        match authority.caller(&after) {
            Ok(_) => {
                admitted = true;
                break;
            }
            // Looked a moment ago: no look for each wrong token.
            Err(Untrusted::Invalid(_)) => clock.advance(TimeDelta::from_std(MIN_INTERVAL).unwrap()),
            Err(Untrusted::NoKeys) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(admitted);
    clock.advance(TimeDelta::from_std(MIN_INTERVAL).unwrap() / 20);
    let said = authority.caller(&before);
    assert!(
        matches!(said, Err(Untrusted::Invalid(_))),
        "it was taken back: {said:?}"
    );

    // A file that is damaged changes nothing.
    std::fs::write(folder.path().join("jwks.json"), "{").unwrap();
    clock.advance(TimeDelta::minutes(6));
    let late = claims_until(NOW + 86_400);
    assert!(authority.caller(&new.token("new", &late)).is_ok());
    stop.cancel();
}

fn claims_until(end: i64) -> Value {
    let mut claims = claims();
    claims["exp"] = json!(end);
    claims
}

#[tokio::test]
async fn keys_come_from_a_url_and_until_then_the_caller_is_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = Rsa::new();
    let body = json!({ "keys": [rsa.jwk("a")] }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let issuers = configured(folder.path(), &url, r#"["member"]"#).unwrap();
    let authority = Authority::new(clock(), issuers).unwrap();
    let token = rsa.token("a", &claims());
    let status = Status::from(authority.caller(&token).unwrap_err());
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        reason_of(&status).as_deref(),
        Some("ISSUER_KEYS_UNAVAILABLE")
    );

    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        let _ = socket.read(&mut asked).await.unwrap();
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    authority.spawn_workers(&tasks, &stop);
    let mut outcome = authority.caller(&token);
    for _ in 0..1000 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        outcome = authority.caller(&token);
    }
    assert_eq!(outcome.unwrap().subject, "wx-7f3a");
    stop.cancel();
}

#[test]
fn a_configuration_that_can_not_be_meant_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |keys: &str, roles: &str| {
        let issuers = configured(folder.path(), keys, roles);
        let made = issuers.and_then(|issuers| Authority::new(clock(), issuers));
        made.unwrap_err().to_string()
    };
    let member = r#"["member"]"#;
    for (keys, roles, why) in [
        ("http://login.example/jwks", member, "https only"),
        ("http://localhost.evil.example/jwks", member, "https only"),
        ("jwks.json", "[]", "at least one"),
        ("jwks.json", r#"["service"]"#, "LINLI_SERVICE_KEY"),
        ("jwks.json", r#"["king"]"#, "unknown variant `king`"),
        ("missing.json", member, "can't read"),
    ] {
        let said = problem(keys, roles);
        assert!(said.contains(why), "{said}");
    }
    publish(folder.path(), &[json!({"kty": "oct", "k": "AAAA"})]);
    assert!(problem("jwks.json", member).contains("no Ed25519 or RSA key"));
    let path = folder.path().join("up.toml");
    let text =
        "[[issuer]]\niss = \"linli-up\"\naud = \"linli\"\nkeys = \"k\"\nroles = [\"staff\"]\n";
    std::fs::write(&path, text).unwrap();
    let said = read_issuers(&path, &["linli-up"]).unwrap_err().to_string();
    assert!(said.contains("for trying out only"), "{said}");
}
