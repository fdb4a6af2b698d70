//! `call`: any method of any service from the command line, its request and answer in the JSON of the contract.
//!
//! It knows the contracts only through their descriptors, so a new method needs nothing here.

use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use runtime::{Client, Problem};
use serde_json::ser::Formatter;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{cli::CallArgs, contract, role::Role, rpc, terminal};

/// Makes one call and prints its answer, or each answer on a line of its own as it comes.
pub async fn run(args: CallArgs) -> Result<(), Problem> {
    let (role, method) = find(&args.method)?;
    if method.is_client_streaming() {
        return Err(Problem::new(format!(
            "{} takes a stream of requests; docs/json.md shows how to send one",
            method.name()
        )));
    }
    let request = parse(&method, &args.request)?;
    let address = args
        .address
        .unwrap_or_else(|| format!("http://127.0.0.1:{}", role.default_port()));
    let client = Client::new(
        runtime::channel_trusting(&args.roots.roots()?, &address)?,
        args.token.bearer()?,
    );
    let problem = |status: Status| match status.code() {
        // No service said that, for theirs have details.
        Code::Unavailable if status.details().is_empty() => Problem::new(format!(
            "no service answers at {address} ({}): start it, as `linli up` does, or name another --address",
            status.message()
        )),
        _ => rpc::failure(method.name(), &status),
    };
    if method.is_server_streaming() {
        let mut answers = watch(client, &method, request).await.map_err(problem)?;
        while let Some(answer) = answers.message().await.map_err(problem)? {
            if !terminal::is_read(format!("{}\n", line(&answer)?).as_bytes())? {
                break;
            }
        }
        return Ok(());
    }
    let answer = send(client, &method, request).await.map_err(problem)?;
    terminal::print(json(&answer)?)
}

async fn send(
    client: Client,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let mut client = ready(client).await?;
    let request = runtime::request(request, rpc::TIMEOUT);
    let answer = client.unary(request, path(method)?, JsonCodec(method.clone()));
    Ok(answer.await?.into_inner())
}

/// Begins a stream of answers, which has no limit in time.
async fn watch(
    client: Client,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<Streaming<DynamicMessage>, Status> {
    let mut client = ready(client).await?;
    let codec = JsonCodec(method.clone());
    let answers = client.server_streaming(Request::new(request), path(method)?, codec);
    Ok(answers.await?.into_inner())
}

async fn ready(client: Client) -> Result<Grpc<Client>, Status> {
    let mut client = Grpc::new(client);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client)
}

fn path(method: &MethodDescriptor) -> Result<PathAndQuery, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    PathAndQuery::try_from(path)
        .map_err(|error| Status::internal(format!("no path for the method: {error}")))
}

/// Finds a method by its name alone or by `service/name`.
fn find(wanted: &str) -> Result<(Role, MethodDescriptor), Problem> {
    let mut found = Vec::new();
    for role in Role::ALL {
        for service in contract::pool(role)?.services() {
            for method in service.methods() {
                let full = format!("{}/{}", service.full_name(), method.name());
                if method.name() == wanted || full == wanted.trim_start_matches('/') {
                    found.push((role, method));
                }
            }
        }
    }
    match found.len() {
        0 => Err(Problem::new(format!(
            "no method {wanted}: it is like GetMember or linli.activity.v1.ActivityService/GetMember"
        ))),
        1 => Ok(found.remove(0)),
        _ => {
            let services: Vec<String> = found
                .iter()
                .map(|(_, method)| method.parent_service().full_name().to_owned())
                .collect();
            Err(Problem::new(format!(
                "{wanted} is a method of {}: write the service before it, as in {}/{wanted}",
                services.join(" and "),
                services[0]
            )))
        }
    }
}

fn parse(method: &MethodDescriptor, text: &str) -> Result<DynamicMessage, Problem> {
    let wrong = |error: serde_json::Error| {
        Problem::new(format!("{}: the request is wrong: {error}", method.name()))
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(method.input(), &mut json).map_err(wrong)?;
    json.end().map_err(wrong)?;
    Ok(message)
}

fn json(message: &DynamicMessage) -> Result<String, Problem> {
    shown(message, serde_json::Serializer::pretty(Vec::new()))
}

fn line(message: &DynamicMessage) -> Result<String, Problem> {
    shown(message, serde_json::Serializer::new(Vec::new()))
}

fn shown<F: Formatter>(
    message: &DynamicMessage,
    mut out: serde_json::Serializer<Vec<u8>, F>,
) -> Result<String, Problem> {
    // Fields that are 0 or empty are shown too: a balance of 0 is an answer.
    let options = SerializeOptions::new().skip_default_fields(false);
    message
        .serialize_with_options(&mut out, &options)
        .map_err(|error| Problem::new(format!("the answer can't be shown: {error}")))?;
    Ok(String::from_utf8_lossy(&out.into_inner()).into_owned())
}

/// Sends and receives messages that are known only by their descriptors.
struct JsonCodec(MethodDescriptor);

struct Sender;

struct Receiver(MethodDescriptor);

impl Codec for JsonCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Sender;
    type Decoder = Receiver;

    fn encoder(&mut self) -> Sender {
        Sender
    }

    fn decoder(&mut self) -> Receiver {
        Receiver(self.0.clone())
    }
}

impl Encoder for Sender {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message
            .encode(out)
            .map_err(|error| Status::internal(format!("the request can't be sent: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Receiver {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.output(), bytes)
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer can't be read: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_its_name() {
        let (role, method) = find("CreateMember").unwrap();
        assert_eq!(role, Role::Activity);
        assert_eq!(
            method.full_name(),
            "linli.activity.v1.ActivityService.CreateMember"
        );
    }

    #[test]
    fn a_method_is_found_by_its_service_and_name() {
        let (role, _) = find("linli.ledger.v1.LedgerService/GetAccount").unwrap();
        assert_eq!(role, Role::Ledger);
    }

    #[test]
    fn a_name_is_enough_but_for_what_every_service_has() {
        for role in Role::ALL {
            let pool = contract::pool(role).unwrap();
            for service in pool.services() {
                for method in service.methods() {
                    let by_name = find(method.name());
                    if method.name() == "ListAuditEntries" {
                        let problem = by_name.unwrap_err().to_string();
                        assert!(problem.contains("write the service before it"), "{problem}");
                    } else {
                        by_name.unwrap();
                    }
                    find(&format!("{}/{}", service.full_name(), method.name())).unwrap();
                }
            }
        }
    }

    #[test]
    fn an_unknown_method_is_refused_in_one_line() {
        let problem = find("Steal").unwrap_err().to_string();
        assert!(problem.starts_with("no method Steal: "), "{problem}");
    }

    #[test]
    fn json_becomes_the_message_it_means() {
        let (_, method) = find("CreateMember").unwrap();
        let text =
            r#"{"parent":"communities/x","member":{"kind":"MEMBER_KIND_RIDER","birthYear":1990}}"#;
        let message = parse(&method, text).unwrap();
        let request =
            proto::activity::v1::CreateMemberRequest::decode(&message.encode_to_vec()[..]).unwrap();
        assert_eq!(request.parent, "communities/x");
        assert_eq!(request.member.unwrap().birth_year, 1990);
    }

    #[test]
    fn a_field_that_is_not_there_is_named() {
        let (_, method) = find("GetMember").unwrap();
        let problem = parse(&method, r#"{"nmae":"x"}"#).unwrap_err().to_string();
        assert!(problem.contains("nmae"), "{problem}");
    }

    #[test]
    fn what_follows_the_request_is_refused() {
        let (_, method) = find("GetMember").unwrap();
        assert!(parse(&method, "{} {}").is_err());
    }
}
