//! Stores and terminals: how a till is let in, changes its key, and is shut out. A secret is in one answer and nowhere else, so a call that is
//! made again can't repeat it: it makes another in its place.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Deadline;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{
        Happened, Name, NewEvent, News, PAIRING_TIME, PairingCode, Refusal, Resource, Revoked,
        Store, Terminal, TerminalKey, Thumbprint, Unbound,
    },
    merchant,
    store::{self, Call, KeyHolder, NewKey, Page},
};

/// A store to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStore {
    /// Its id, when the caller chose one.
    pub id: Option<Uuid>,
    /// The merchant's number of it.
    pub number: String,
    /// Its name.
    pub display_name: String,
    /// Whether its tills need a client certificate to be paired.
    pub require_certificate: bool,
}

/// A till to be paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTerminal {
    /// Its name.
    pub display_name: String,
    /// The client certificate of the connection, which its key is bound to.
    pub certificate: Option<Thumbprint>,
}

/// How a key is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How long the keys before still count.
    pub grace: TimeDelta,
    /// The client certificate that the new key is bound to.
    pub certificate: Option<Thumbprint>,
}

/// What is kept of a secret that a call has made.
#[derive(Serialize, Deserialize)]
struct Made {
    hash: [u8; 32],
    until: DateTime<Utc>,
}

/// Why a key lets nobody in.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefused {
    /// There is no such key.
    #[error("no such key")]
    Unknown,
    /// Its terminal is shut out.
    #[error("its terminal is revoked")]
    Revoked,
    /// It was rotated, and its grace is over.
    #[error("it was rotated")]
    Retired,
    /// It is bound to a client certificate.
    #[error("it is bound to a client certificate: {0:?}")]
    Unbound(Unbound),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

impl Redemption {
    /// Registers a store.
    pub async fn create_store(&self, call: Call, of: Name, new: NewStore) -> Result<Store, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            store::merchant_find(&mut *tx, of)
                .await?
                .ok_or(merchant::not_found(of))?;
            let made = Store {
                community: call.community,
                id: new.id.unwrap_or_else(|| self.ids.next()),
                merchant: of.id,
                number: new.number,
                display_name: new.display_name,
                require_certificate: new.require_certificate,
                created_at: self.clock.now(),
            };
            store::store_insert(&mut tx, &made).await.map_err(
                |error| match runtime::constraint(&error) {
                    Some("store_pk") => merchant::exists(Resource::Store, made.id),
                    Some("store_number_unique") => Error::Refused(Refusal::NumberTaken {
                        number: made.number.clone(),
                    }),
                    _ => Error::Store(error),
                },
            )?;
            let event = NewEvent::of_store(&made);
            self.finish(tx, &call, made, event.into()).await
        })
        .await
    }

    /// Returns a store, if it is there.
    pub async fn find_store(&self, name: Name) -> Result<Option<Store>, Error> {
        Ok(store::store_find(&self.pool, name).await?)
    }

    /// Lists a merchant's stores by id.
    pub async fn list_stores(&self, of: Name, page: Page<Uuid>) -> Result<Vec<Store>, Error> {
        self.get_merchant(of).await?;
        Ok(store::store_list(&self.pool, of, page).await?)
    }

    /// Makes a code that pairs one till with a store; returns it and its end.
    pub async fn create_pairing_code(
        &self,
        call: Call,
        name: Name,
    ) -> Result<(PairingCode, DateTime<Utc>), Error> {
        let code = PairingCode::new(runtime::secret());
        let expires_at = self.clock.now() + PAIRING_TIME;
        let put = (code.hash(), expires_at);
        let made = self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            store::store_find(&mut *tx, name)
                .await?
                .ok_or(Error::not_found(Resource::Store, name))?;
            store::pairing_code_put(&mut tx, name, call.request_id, put).await?;
            let hash = code.hash().0;
            self.finish(
                tx,
                &call,
                Made {
                    hash,
                    until: expires_at,
                },
                News::none(),
            )
            .await
        });
        let made: Made = made.await?;
        // It was made before: then that code is lost, and this one takes its place.
        if made.hash != code.hash().0 {
            let mut conn = self.pool.acquire().await?;
            if !store::pairing_code_put(&mut conn, name, call.request_id, put).await? {
                return Err(Refusal::PairingCodeUsed.into());
            }
        }
        Ok((code, expires_at))
    }

    /// Pairs a till. A refusal is not kept: whoever has no token leaves nothing behind.
    pub async fn pair_terminal(
        &self,
        call: Call,
        code: &PairingCode,
        new: NewTerminal,
    ) -> Result<(Terminal, TerminalKey), Error> {
        let (community, now) = (call.community, self.clock.now());
        let mut tx = self.pool.begin().await?;
        let kept = store::pairing_code_lock(&mut tx, community, code.hash())
            .await?
            .ok_or(Refusal::PairingCodeInvalid)?;
        if kept.expires_at <= now {
            return Err(Refusal::PairingCodeExpired {
                expired_at: kept.expires_at,
            }
            .into());
        }
        let name = |id| Name { community, id };
        let shop = store::store_find(&mut *tx, name(kept.store))
            .await?
            .ok_or(Error::not_found(Resource::Store, name(kept.store)))?;
        let certificate = new.certificate;
        let mut news = News::none();
        let terminal = match (kept.used_by, kept.terminal) {
            // Its answer was lost.
            (Some(by), Some(id)) if by == call.request_id => {
                shop.admit(certificate)?;
                store::terminal_find(&mut *tx, name(id))
                    .await?
                    .ok_or(Error::not_found(Resource::Terminal, name(id)))?
            }
            (None, _) => {
                shop.admit(certificate)?;
                let terminal = Terminal {
                    community,
                    id: self.ids.next(),
                    store: shop.id,
                    merchant: shop.merchant,
                    display_name: new.display_name,
                    paired_at: now,
                    certificate,
                    revoked: None,
                };
                if !store::answer_claim(&mut tx, &call, now).await? {
                    let request_id = call.request_id;
                    return Err(Refusal::RequestIdReused { request_id }.into());
                }
                store::terminal_insert(&mut tx, &terminal).await?;
                let (made_by, used_by) = (name(kept.request_id), call.request_id);
                store::pairing_code_use(&mut tx, made_by, used_by, terminal.id).await?;
                news = NewEvent::of_terminal(Happened::TerminalPaired, &terminal).into();
                terminal
            }
            _ => return Err(Refusal::PairingCodeUsed.into()),
        };
        let key = TerminalKey::new(community, terminal.id, runtime::secret());
        let put = NewKey {
            hash: key.hash(),
            certificate,
            at: now,
        };
        store::terminal_key_put(&mut tx, name(terminal.id), call.request_id, put).await?;
        self.commit(tx, community, &news).await?;
        let id = terminal.id;
        tracing::info!(terminal.id = %id, "Paired terminal {id}");
        let terminal = Terminal {
            certificate,
            ..terminal
        };
        Ok((terminal, key))
    }

    /// Gives a terminal a new key; its others count until the grace is over. Returns the key and that instant.
    pub async fn rotate_terminal_key(
        &self,
        call: Call,
        name: Name,
        rotation: Rotation,
    ) -> Result<(TerminalKey, DateTime<Utc>), Error> {
        let key = TerminalKey::new(call.community, name.id, runtime::secret());
        let now = self.clock.now();
        let put = NewKey {
            hash: key.hash(),
            certificate: rotation.certificate,
            at: now,
        };
        let made: Made = self
            .answered(&call, Deadline::default(), async {
                let mut tx = self.begin(&call).await?;
                let terminal = store::terminal_lock(&mut tx, name)
                    .await?
                    .ok_or(Error::not_found(Resource::Terminal, name))?;
                if terminal.revoked.is_some() {
                    return Err(Refusal::TerminalRevoked.into());
                }
                let until = now + rotation.grace;
                store::terminal_keys_retire(&mut tx, name, call.request_id, until).await?;
                store::terminal_key_put(&mut tx, name, call.request_id, put).await?;
                let hash = key.hash().0;
                let event = NewEvent::of_terminal(Happened::TerminalKeyRotated, &terminal);
                self.finish(tx, &call, Made { hash, until }, event.into())
                    .await
            })
            .await?;
        if made.hash != key.hash().0 {
            let mut conn = self.pool.acquire().await?;
            store::terminal_key_put(&mut conn, name, call.request_id, put).await?;
        }
        Ok((key, made.until))
    }

    /// Shuts a terminal out, at once and for good.
    pub async fn revoke_terminal(
        &self,
        call: Call,
        name: Name,
        reason: String,
    ) -> Result<Terminal, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let revoked = Revoked {
                at: self.clock.now(),
                reason,
            };
            let terminal = store::terminal_lock(&mut tx, name)
                .await?
                .ok_or(Error::not_found(Resource::Terminal, name))?
                .revoke(revoked.at, revoked.reason.clone())?;
            store::terminal_revoke(&mut tx, name, &revoked).await?;
            let event = NewEvent::of_terminal(Happened::TerminalRevoked, &terminal);
            self.finish(tx, &call, terminal, event.into()).await
        })
        .await
    }

    /// Returns a terminal.
    pub async fn get_terminal(&self, name: Name) -> Result<Terminal, Error> {
        let found = self.find_terminal(name).await?;
        found.ok_or(Error::not_found(Resource::Terminal, name))
    }

    /// Returns a terminal, if it is there.
    pub async fn find_terminal(&self, name: Name) -> Result<Option<Terminal>, Error> {
        Ok(store::terminal_find(&self.pool, name).await?)
    }

    /// Lists a merchant's terminals by id.
    pub async fn list_terminals(&self, of: Name, page: Page<Uuid>) -> Result<Vec<Terminal>, Error> {
        self.get_merchant(of).await?;
        Ok(store::terminal_list(&self.pool, of, page).await?)
    }

    /// At whose till a key is that is presented over a connection with that certificate. It is looked up for each call, so a key that is taken back lets nobody in any more, in any
    /// replica.
    pub async fn holder_of_key(
        &self,
        key: &TerminalKey,
        presented: Option<Thumbprint>,
    ) -> Result<KeyHolder, KeyRefused> {
        let terminal = Name {
            community: key.community,
            id: key.terminal,
        };
        let found = store::terminal_key_find(&self.pool, terminal, key.hash()).await?;
        let holder = found.ok_or(KeyRefused::Unknown)?;
        // First of all: whoever has only stolen the key learns nothing more.
        Thumbprint::check(holder.certificate, presented).map_err(KeyRefused::Unbound)?;
        if holder.is_revoked {
            return Err(KeyRefused::Revoked);
        }
        match holder.retires_at {
            Some(at) if at <= self.clock.now() => Err(KeyRefused::Retired),
            _ => Ok(holder),
        }
    }
}
