//! Requests about stores and terminals.

use chrono::TimeDelta;
use proto::redemption::v1::{self as pb, terminal_service_server::TerminalService};
use runtime::{Access, Fields, timestamp};
use tonic::{Request, Response, Status};

use super::{
    merchant::MERCHANTS,
    own,
    read::{self, Asked, fields},
    status::DOMAIN,
};
use crate::{
    NewStore, NewTerminal, Redemption, Rotation,
    domain::{Name, PairingCode, Store, Terminal, TerminalKey, Thumbprint},
};

pub(super) const STORES: &str = "stores";
pub(super) const TERMINALS: &str = "terminals";
const DEFAULT_GRACE: TimeDelta = TimeDelta::hours(24);
const MAX_GRACE: TimeDelta = TimeDelta::days(7);

/// The second service of the contract.
pub(super) struct TerminalRpc(pub Redemption);

#[tonic::async_trait]
impl TerminalService for TerminalRpc {
    async fn create_store(
        &self,
        request: Request<pb::CreateStoreRequest>,
    ) -> Result<Response<pb::Store>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let merchant = read::name(&mut fields, "parent", &request.parent, MERCHANTS);
        let request_id = fields.request_id(&request.request_id);
        let about = (merchant.community, &request.parent[..]);
        let call = read::call(access, about, request_id, "CreateStore", &request);
        let store = read::required(&mut fields, "store", request.store);
        let new = NewStore {
            id: fields.optional_uuid("store_id", &request.store_id),
            number: fields.text("store.number", &store.number, 32),
            display_name: fields.text("store.display_name", &store.display_name, 120),
            require_certificate: store.require_certificate,
        };
        fields.finish()?;
        own::merchant(access, merchant)?;
        let store = self.0.create_store(call, merchant, new).await?;
        Ok(Response::new(store_message(store)))
    }

    async fn list_stores(
        &self,
        request: Request<pb::ListStoresRequest>,
    ) -> Result<Response<pb::ListStoresResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let merchant = read::name(&mut fields, "parent", &request.parent, MERCHANTS);
        let query = format!("ListStores {}", request.parent);
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        own::merchant(access, merchant)?;
        let rows = self.0.list_stores(merchant, asked.page()).await?;
        let (rows, next_page_token) = asked.cut(rows, |row| row.id);
        Ok(Response::new(pb::ListStoresResponse {
            stores: rows.into_iter().map(store_message).collect(),
            next_page_token,
        }))
    }

    async fn create_pairing_code(
        &self,
        request: Request<pb::CreatePairingCodeRequest>,
    ) -> Result<Response<pb::PairingCode>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let store = read::name(&mut fields, "parent", &request.parent, STORES);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::store(&self.0, access, store).await?;
        let about = (store.community, &request.parent[..]);
        let call = read::call(access, about, request_id, "CreatePairingCode", &request);
        let (code, expires_at) = self.0.create_pairing_code(call, store).await?;
        Ok(Response::new(pb::PairingCode {
            code: code.to_string(),
            store: request.parent,
            expire_time: Some(timestamp(expires_at)),
        }))
    }

    async fn pair_terminal(
        &self,
        request: Request<pb::PairTerminalRequest>,
    ) -> Result<Response<pb::PairTerminalResponse>, Status> {
        let access = &Access::of(&request);
        let certificate = shown(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let community = read::parent(&mut fields, &request.parent);
        let code = read_code(&mut fields, &request.code);
        let display_name = fields.text("display_name", &request.display_name, 60);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let code = code.ok_or_else(runtime::internal)?;
        let counted = self.0.counters.pairing(community);
        counted.map_err(|wait| runtime::rate_limited(DOMAIN, "community", wait))?;
        let about = (community, &request.parent[..]);
        let call = read::call(access, about, request_id, "PairTerminal", &request);
        let new = NewTerminal {
            display_name,
            certificate,
        };
        let (terminal, key) = self.0.pair_terminal(call, &code, new).await?;
        Ok(Response::new(pb::PairTerminalResponse {
            terminal: Some(message(terminal)),
            key: key.to_string(),
        }))
    }

    async fn rotate_terminal_key(
        &self,
        request: Request<pb::RotateTerminalKeyRequest>,
    ) -> Result<Response<pb::RotateTerminalKeyResponse>, Status> {
        let access = &Access::of(&request);
        let shown = shown(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let terminal = read::name(&mut fields, "name", &request.name, TERMINALS);
        let next = read_thumbprint(&mut fields, &request.certificate_thumbprint);
        let rotation = Rotation {
            grace: read_grace(&mut fields, &request.grace),
            certificate: next.or(shown),
        };
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        access.require(access.owns(terminal.community, TERMINALS, terminal.id))?;
        let about = (terminal.community, &request.name[..]);
        let call = read::call(access, about, request_id, "RotateTerminalKey", &request);
        let rotated = self.0.rotate_terminal_key(call, terminal, rotation).await;
        let (key, retire_at): (TerminalKey, _) = rotated?;
        Ok(Response::new(pb::RotateTerminalKeyResponse {
            key: key.to_string(),
            retire_time: Some(timestamp(retire_at)),
        }))
    }

    async fn revoke_terminal(
        &self,
        request: Request<pb::RevokeTerminalRequest>,
    ) -> Result<Response<pb::Terminal>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let terminal = read::name(&mut fields, "name", &request.name, TERMINALS);
        let reason = fields.text("reason", &request.reason, 200);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::terminal(&self.0, access, terminal).await?;
        let about = (terminal.community, &request.name[..]);
        let call = read::call(access, about, request_id, "RevokeTerminal", &request);
        let revoked = self.0.revoke_terminal(call, terminal, reason).await?;
        Ok(Response::new(message(revoked)))
    }

    async fn get_terminal(
        &self,
        request: Request<pb::GetTerminalRequest>,
    ) -> Result<Response<pb::Terminal>, Status> {
        let access = &Access::of(&request);
        let mut fields = fields(access);
        let name = read::name(&mut fields, "name", &request.get_ref().name, TERMINALS);
        fields.finish()?;
        own::terminal(&self.0, access, name).await?;
        Ok(Response::new(message(self.0.get_terminal(name).await?)))
    }

    async fn list_terminals(
        &self,
        request: Request<pb::ListTerminalsRequest>,
    ) -> Result<Response<pb::ListTerminalsResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let merchant = read::name(&mut fields, "parent", &request.parent, MERCHANTS);
        let query = format!("ListTerminals {}", request.parent);
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        own::merchant(access, merchant)?;
        let rows = self.0.list_terminals(merchant, asked.page()).await?;
        let (rows, next_page_token) = asked.cut(rows, |row| row.id);
        Ok(Response::new(pb::ListTerminalsResponse {
            terminals: rows.into_iter().map(message).collect(),
            next_page_token,
        }))
    }
}

/// The value itself is not repeated in the violation: it may be the right code of another till.
fn read_code(fields: &mut Fields, typed: &str) -> Option<PairingCode> {
    let code = PairingCode::read(typed);
    let why = "8 letters and digits, as in K7QF-2M9X";
    fields.check("code", code.is_some(), why);
    code
}

/// The certificate of the till's connection.
fn shown<T>(request: &Request<T>) -> Option<Thumbprint> {
    runtime::Thumbprint::of(request).map(|it| Thumbprint(it.0))
}

fn read_thumbprint(fields: &mut Fields, text: &str) -> Option<Thumbprint> {
    if text.is_empty() {
        return None;
    }
    let read = runtime::Thumbprint::read(text);
    let why = "43 characters: SHA-256 in base64url without padding";
    fields.check("certificate_thumbprint", read.is_some(), why);
    read.map(|it| Thumbprint(it.0))
}

fn read_grace(fields: &mut Fields, grace: &Option<prost_types::Duration>) -> TimeDelta {
    let Some(grace) = grace else {
        return DEFAULT_GRACE;
    };
    let read = runtime::from_duration(grace)
        .and_then(|grace| TimeDelta::from_std(grace).ok())
        .filter(|grace| *grace <= MAX_GRACE);
    fields.check("grace", read.is_some(), "from 0 s to 7 days");
    // The database keeps microseconds.
    let micros = read.unwrap_or(DEFAULT_GRACE).num_microseconds();
    TimeDelta::microseconds(micros.expect("at most 7 days"))
}

fn store_message(store: Store) -> pb::Store {
    let Store { community, .. } = store;
    pb::Store {
        name: name(community, STORES, store.id),
        merchant: name(community, MERCHANTS, store.merchant),
        number: store.number,
        display_name: store.display_name,
        require_certificate: store.require_certificate,
        create_time: Some(timestamp(store.created_at)),
    }
}

fn message(terminal: Terminal) -> pb::Terminal {
    let Terminal { community, .. } = terminal;
    let state = match terminal.revoked {
        None => pb::TerminalState::Active,
        Some(_) => pb::TerminalState::Revoked,
    };
    let revoked = terminal.revoked.as_ref();
    pb::Terminal {
        name: name(community, TERMINALS, terminal.id),
        store: name(community, STORES, terminal.store),
        merchant: name(community, MERCHANTS, terminal.merchant),
        display_name: terminal.display_name,
        state: state.into(),
        pair_time: Some(timestamp(terminal.paired_at)),
        certificate_thumbprint: terminal
            .certificate
            .map(|it| runtime::Thumbprint(it.0).to_string())
            .unwrap_or_default(),
        revoke_time: revoked.map(|revoked| timestamp(revoked.at)),
        revoke_reason: revoked
            .map(|revoked| revoked.reason.clone())
            .unwrap_or_default(),
    }
}

pub(super) fn name(community: uuid::Uuid, kind: &str, id: uuid::Uuid) -> String {
    format!("communities/{community}/{kind}/{id}")
}

/// The name of a terminal.
pub(super) fn terminal_name(of: Name) -> String {
    name(of.community, TERMINALS, of.id)
}
