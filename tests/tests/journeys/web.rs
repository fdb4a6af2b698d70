//! The same system for browsers and mini-programs: JSON and gRPC-Web over HTTP/1.1.

use std::collections::BTreeMap;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use journeys::{
    World, refused, send,
    web::{ORIGIN, Reply, post},
    wire,
};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use proto::ledger::v1 as led;
use runtime::{Holder, Role};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Status;

const LEDGER: &str = "linli.ledger.v1.LedgerService";
const REDEMPTION: &str = "linli.redemption.v1.RedemptionService";

fn path(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn as_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().skip_default_fields(false);
    let json = serde_json::value::Serializer;
    message.serialize_with_options(json, &options).unwrap()
}

fn detail<'a>(error: &'a Value, kind: &str) -> &'a Value {
    let details = error["details"].as_array().unwrap();
    let wanted = format!("type.googleapis.com/google.rpc.{kind}");
    let found = details.iter().find(|it| it["@type"] == wanted.as_str());
    found.unwrap_or(&Value::Null)
}

/// Checks that an error in JSON says what the one in gRPC says.
fn assert_same(reply: &Reply, status: &Status, what: &str) {
    let (error, expected) = (reply.json(), refused(status));
    assert_eq!(error["code"], i32::from(status.code()), "{what}");
    assert_eq!(error["message"], status.message(), "{what}");
    let info = detail(&error, "ErrorInfo");
    assert_eq!(info["reason"], expected.reason.as_str(), "{what}");
    assert_eq!(info["domain"], expected.domain.as_str(), "{what}");
    let metadata: BTreeMap<String, String> =
        serde_json::from_value(info.get("metadata").cloned().unwrap_or(json!({}))).unwrap();
    assert_eq!(metadata, expected.metadata, "{what}");
    let text = &detail(&error, "LocalizedMessage")["message"];
    assert_eq!(text, expected.message_zh.as_str(), "{what}");
    let violations = detail(&error, "BadRequest")["fieldViolations"]
        .as_array()
        .cloned();
    let fields = violations.unwrap_or_default();
    let fields: Vec<&str> = fields
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, expected.fields, "{what}");
}

#[tokio::test]
async fn every_method_gives_the_same_errors_in_json() {
    let world = World::start().await;
    let web = world.web();
    let mut asked = 0;
    for method in wire::methods() {
        let empty = DynamicMessage::new(method.input());
        let Err(status) = world.wire(&method).call(&method, &empty).await else {
            continue;
        };
        let url = format!("{}/{}", world.url(&method), path(&method));
        let reply = web.post(&url, &json!({})).await;
        assert_eq!(reply.code, StatusCode::BAD_REQUEST, "{}", method.name());
        assert_same(&reply, &status, method.name());
        asked += 1;
    }
    assert!(asked > 60, "{asked} methods were asked");
}

#[tokio::test]
async fn a_mini_program_shows_the_balance_redeems_and_hears_why_it_may_not() {
    let world = World::start().await;
    let web = world.web();
    let (_, offer, member) = world.counter(12).await;
    let get_account = wire::method("GetAccount");
    let account = json!({ "name": world.points(&member).await.name });
    let ledger = format!("{}/{LEDGER}/GetAccount", world.system.ledger.url());

    let shown = web.post(&ledger, &account).await;
    assert_eq!(shown.code, StatusCode::OK);
    let request = DynamicMessage::deserialize(get_account.input(), &account).unwrap();
    let by_grpc = world.wire(&get_account).call(&get_account, &request).await;
    assert_eq!(shown.json(), as_json(&by_grpc.unwrap()));
    // int64 is a string in the JSON of proto3.
    assert_eq!(shown.json()["available"], "12");

    let redeem = format!("{}/{REDEMPTION}/Redeem", world.system.redemption.url());
    let order = |quantity: &str| {
        json!({
            "parent": world.community_name(),
            "requestId": world.id(),
            "member": member.name,
            "offer": offer.name,
            "quantity": quantity,
        })
    };
    let paid = order("1");
    let first = web.post(&redeem, &paid).await;
    assert_eq!(first.json()["state"], "REDEMPTION_STATE_CAPTURED");
    let again = web.post(&redeem, &paid).await;
    assert_eq!(again.body, first.body);

    let dear = order("100");
    let refusal = web.post(&redeem, &dear).await;
    assert_eq!(refusal.code, StatusCode::BAD_REQUEST);
    let redeem = wire::method("Redeem");
    let dear = DynamicMessage::deserialize(redeem.input(), &dear).unwrap();
    let status = world.wire(&redeem).call(&redeem, &dear).await.unwrap_err();
    assert_same(&refusal, &status, "a redemption that is too dear");
}

#[tokio::test]
async fn what_is_no_request_is_told_apart() {
    let world = World::empty().await;
    let web = world.web();
    let url = format!("{}/{LEDGER}", world.system.ledger.url());
    let method = format!("{url}/PostTransfers");
    let json_of = |body: &str| post(&method, "application/json", body.to_owned());
    let get = Request::get(&method).body(Full::default()).unwrap();
    let unknown = post(&format!("{url}/Steal"), "application/json", "{}");
    let mut zipped = json_of("{}");
    let gzip = "gzip".parse().unwrap();
    zipped.headers_mut().insert("content-encoding", gzip);
    let cases = [
        (get, StatusCode::METHOD_NOT_ALLOWED, "NOT_POST", "not GET"),
        (unknown, StatusCode::NOT_FOUND, "UNKNOWN_METHOD", "/Steal;"),
        (
            post(&method, "text/plain", "{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNKNOWN_CONTENT_TYPE",
            "\"text/plain\"",
        ),
        (
            post(&method, "application/grpc", "{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNKNOWN_CONTENT_TYPE",
            "over HTTP/2, application/grpc",
        ),
        (
            zipped,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNKNOWN_CONTENT_TYPE",
            "content-encoding \"gzip\"",
        ),
        (
            json_of("{\"parent\":"),
            StatusCode::BAD_REQUEST,
            "MALFORMED_MESSAGE",
            "EOF while parsing",
        ),
        (
            json_of("{\"parent\": 1}"),
            StatusCode::BAD_REQUEST,
            "INVALID_FIELD",
            "parent: 1 does not fit: ",
        ),
        (
            json_of("{} {}"),
            StatusCode::BAD_REQUEST,
            "MALFORMED_MESSAGE",
            "trailing characters",
        ),
        (
            json_of("{\"parents\": \"\"}"),
            StatusCode::BAD_REQUEST,
            "MALFORMED_MESSAGE",
            "unrecognized field name 'parents'",
        ),
        (
            json_of("{\"transfers\": [{}, {\"amount\": \"ten\"}]}"),
            StatusCode::BAD_REQUEST,
            "INVALID_FIELD",
            "transfers[1].amount: \"ten\" does not fit: ",
        ),
    ];
    for (request, code, reason, told) in cases {
        let reply = web.send(request).await;
        let error = reply.json();
        assert_eq!(reply.code, code, "{error}");
        assert_eq!(detail(&error, "ErrorInfo")["reason"], reason, "{error}");
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
        assert_ne!(detail(&error, "LocalizedMessage"), &Value::Null, "{error}");
    }
}

#[tokio::test]
async fn what_proto3_lets_vary_may_vary() {
    let world = World::start().await;
    let web = world.web();
    let member = world.volunteer().with_points(7).await;
    let account = world.points(&member).await;
    let url = format!("{}/{LEDGER}/ListEntries", world.system.ledger.url());
    let asked = [
        json!({ "parent": world.community_name(), "account": account.name, "pageSize": 1 }),
        json!({ "parent": world.community_name(), "account": account.name, "page_size": "1" }),
    ];
    for request in asked {
        let request = post(&url, "Application/JSON; charset=utf-8", request.to_string());
        let reply = web.send(request).await;
        assert_eq!(reply.json()["entries"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_told_back_in_short() {
    let world = World::empty().await;
    let web = world.web();
    let url = format!("{}/{LEDGER}/PostTransfers", world.system.ledger.url());
    let long = "a".repeat(1 << 20);
    let short_of = async |body: String, code: StatusCode| {
        let reply = web.send(post(&url, "application/json", body)).await;
        assert_eq!(reply.code, code);
        assert!(reply.body.len() < 4_000, "{} bytes", reply.body.len());
        detail(&reply.json(), "ErrorInfo")["reason"].clone()
    };
    let refused = StatusCode::BAD_REQUEST;
    let wrong = json!({ "transfers": long }).to_string();
    assert_eq!(short_of(wrong, refused).await, "INVALID_FIELD");
    let unknown = json!({ (long.as_str()): 1 }).to_string();
    assert_eq!(short_of(unknown, refused).await, "MALFORMED_MESSAGE");

    let too_large = StatusCode::PAYLOAD_TOO_LARGE;
    let bytes = json!({ "parent": "a".repeat(16 << 20) }).to_string();
    assert_eq!(short_of(bytes, too_large).await, "MESSAGE_TOO_LARGE");
    let values = format!("{{\"transfers\":[{}{{}}]}}", "{},".repeat(150_000));
    assert_eq!(short_of(values, too_large).await, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_time_limit_holds_over_http_too_also_for_a_body_that_never_comes() {
    let world = World::empty().await;
    let web = world.web();
    let url = format!("{}/{LEDGER}/GetAccount", world.system.ledger.url());
    let mut late = post(&url, "application/json", "{}");
    let no_time = "0m".parse().unwrap();
    late.headers_mut().insert("grpc-timeout", no_time);
    let reply = web.send(late).await;
    assert_eq!(reply.code, StatusCode::GATEWAY_TIMEOUT);

    let address = world.system.ledger.address();
    let mut stalled = TcpStream::connect(address).await.unwrap();
    let token = world.token(&Holder::everywhere("web", [Role::Staff]));
    let head = format!(
        "POST /{LEDGER}/GetAccount HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\ngrpc-timeout: 50m\r\ncontent-length: 100\r\n\r\n{{"
    );
    stalled.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stalled.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
}

#[tokio::test]
async fn streams_are_lines_and_end_with_what_went_wrong() {
    let world = World::start().await;
    let web = world.web();
    let member = world.volunteer().with_points(7).await;
    let account = world.points(&member).await;
    let url = |method: &str| format!("{}/{LEDGER}/{method}", world.system.ledger.url());

    let refused = web.post(&url("WatchEntries"), &json!({})).await;
    assert_eq!(refused.code, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["code"], 3);

    let watch = json!({ "parent": world.community_name() });
    let request = post(&url("WatchEntries"), "application/json", watch.to_string());
    let mut answer = web.begin(request).await.into_body();
    let mut text = String::new();
    while !text.contains('\n') {
        let data = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    drop(answer);
    let entry: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let entry = &entry["result"];
    assert_eq!(
        (&entry["sequence"], &entry["amount"]),
        (&json!("1"), &json!("7"))
    );
    assert_eq!(entry["creditAccount"], account.name.as_str());

    let transfer = |amount: &str| {
        json!({
            "requestId": world.id(),
            "debitAccount": account.name,
            "creditAccount": entry["debitAccount"],
            "amount": amount,
        })
    };
    let lines = [
        json!({ "parent": world.community_name(), "transfers": [transfer("3")] }).to_string(),
        String::new(),
        json!({ "transfers": [transfer("9"), transfer("2")] }).to_string(),
        json!({ "transfers": [transfer("1.5")] }).to_string(),
    ];
    let stream = post(
        &url("StreamTransfers"),
        "application/x-ndjson",
        lines.join("\n"),
    );
    let reply = web.send(stream).await;
    assert_eq!(reply.code, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let lines = reply
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut lines: Vec<Value> = lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let error = lines.pop().unwrap();
    let violation = &detail(&error["error"], "BadRequest")["fieldViolations"][0];
    assert_eq!(violation["field"], "line 4.transfers[0].amount", "{error}");
    let verdicts: Vec<&Value> = lines
        .iter()
        .flat_map(|it| it["result"]["verdicts"].as_array().unwrap())
        .collect();
    assert_eq!(verdicts.len(), 3);
    assert_eq!(verdicts[0]["entry"]["amount"], "3");
    assert_eq!(verdicts[1]["refusal"]["reason"], "INSUFFICIENT_POINTS");
    assert_eq!(world.balance(&member).await, 2);
}

#[tokio::test]
async fn a_browser_calls_by_grpc_web() {
    let world = World::start().await;
    let web = world.web();
    let member = world.volunteer().with_points(7).await;
    let name = world.points(&member).await.name;
    let url = format!("{}/{LEDGER}/GetAccount", world.system.ledger.url());
    let ask = async |name: String| {
        let message = led::GetAccountRequest { name }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, &message].concat();
        web.send(post(&url, "application/grpc-web+proto", framed))
            .await
    };

    let reply = ask(name.clone()).await;
    assert_eq!(reply.header("content-type"), "application/grpc-web+proto");
    let length = u32::from_be_bytes(reply.body[1..5].try_into().unwrap());
    let (message, trailers) = reply.body[5..].split_at(usize::try_from(length).unwrap());
    let account = led::Account::decode(message).unwrap();
    let request = led::GetAccountRequest { name };
    assert_eq!(
        Ok(account),
        send!(world.clients.ledger, get_account, request).map_err(|it| it.to_string())
    );
    assert_eq!(trailers[0], 0x80, "a frame of trailers");
    assert!(String::from_utf8_lossy(trailers).contains("grpc-status:0"));

    let reply = ask("accounts".to_owned()).await;
    assert_eq!(reply.header("grpc-status"), "3");

    let strange = post(&url, "application/grpc-web+json", "{}");
    let reply = web.send(strange).await;
    assert_eq!(reply.code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let text = post(&url, "application/grpc-web-text", "!!!!");
    let reply = web.send(text).await;
    assert_eq!(reply.header("grpc-status"), "3", "its own fault: {reply:?}");
}

#[tokio::test]
async fn only_pages_that_were_named_may_call_from_a_browser() {
    let world = World::empty().await;
    let web = world.web();
    let url = format!("{}/{LEDGER}/GetAccount", world.system.ledger.url());
    let preflight = async |origin: &str| {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(&url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "content-type,authorization",
            );
        web.send(request.body(Full::default()).unwrap()).await
    };

    let allowed = preflight(ORIGIN).await;
    assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(allowed.header("access-control-allow-methods"), "POST");
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        "content-type,authorization"
    );
    let strange = preflight("https://elsewhere.example").await;
    assert_eq!(strange.header("access-control-allow-origin"), "");
    // Not even when its browser takes this server for the page's own.
    let mut request = post(&url, "application/json", "{}");
    let elsewhere = "https://elsewhere.example".parse().unwrap();
    request.headers_mut().insert("origin", elsewhere);
    let reply = web.send(request).await;
    assert_eq!(reply.code, StatusCode::FORBIDDEN);
    let reason = detail(&reply.json(), "ErrorInfo")["reason"].clone();
    assert_eq!(reason, "ORIGIN_NOT_ALLOWED");

    let reply = web.send(post(&url, "application/json", "{}")).await;
    assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
    assert!(
        reply
            .header("access-control-expose-headers")
            .contains("grpc-status")
    );
}
