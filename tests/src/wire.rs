//! Calls of any method of the contracts, known only by its descriptor.

use prost::{Message, bytes::BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use runtime::{Bearer, Client, Holder, Role};
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

use crate::{PATIENCE, World};

/// Every method of every contract that takes one message and gives one, in the contracts' order.
pub fn methods() -> Vec<MethodDescriptor> {
    let mut methods = all_methods();
    methods.retain(|method| !method.is_client_streaming() && !method.is_server_streaming());
    methods
}

/// Every method of every contract.
pub fn all_methods() -> Vec<MethodDescriptor> {
    let contracts = [
        proto::ledger::v1::DESCRIPTOR,
        proto::activity::v1::DESCRIPTOR,
        proto::redemption::v1::DESCRIPTOR,
        proto::wish::v1::DESCRIPTOR,
    ];
    contracts
        .into_iter()
        .map(|contract| DescriptorPool::decode(contract).unwrap())
        .flat_map(|pool| pool.services().collect::<Vec<_>>())
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// The method of that name.
pub fn method(name: &str) -> MethodDescriptor {
    let found = methods().into_iter().find(|method| method.name() == name);
    found.unwrap_or_else(|| panic!("no method {name}"))
}

impl World {
    /// A connection to the service of a method, for many calls.
    pub fn wire(&self, method: &MethodDescriptor) -> Wire {
        let url = self.url(method);
        let token = self.token(&Holder::everywhere("wire", Role::ALL));
        let bearer = Bearer::given(&token).unwrap();
        Wire(Grpc::new(Client::new(
            runtime::channel(&url).unwrap(),
            Some(bearer),
        )))
    }

    /// Where the service of a method is.
    pub fn url(&self, method: &MethodDescriptor) -> String {
        match method.parent_service().package_name() {
            "linli.ledger.v1" => self.system.ledger.url(),
            "linli.activity.v1" => self.system.activity.url(),
            "linli.wish.v1" => self.system.wish.url(),
            _ => self.system.redemption.url(),
        }
    }
}

/// A connection to a service.
#[derive(Clone)]
pub struct Wire(Grpc<Client>);

impl Wire {
    /// Makes a call.
    pub async fn call(
        &mut self,
        method: &MethodDescriptor,
        message: &DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        let answer = self.send(method, message.encode_to_vec()).await?;
        Ok(DynamicMessage::decode(method.output(), answer.as_slice()).unwrap())
    }

    /// Makes a call with whatever bytes.
    pub async fn send(
        &mut self,
        method: &MethodDescriptor,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, Status> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = PathAndQuery::try_from(path).unwrap();
        self.0.ready().await?;
        let request = runtime::request(bytes, PATIENCE);
        Ok(self.0.unary(request, path, Bytes).await?.into_inner())
    }
}

/// Sends and receives messages as they are on the wire.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = Vec::new();
        bytes.put(message);
        Ok(Some(bytes))
    }
}
