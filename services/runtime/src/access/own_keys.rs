//! Keys that a service gives out itself, beside the tokens of issuers. Each call asks the service again, so what it takes back counts no more.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Holder, refusal::Untrusted};

type Asked = Pin<Box<dyn Future<Output = Result<Holder, KeyRefusal>> + Send>>;

/// Says who holds a service's own keys.
#[derive(Clone)]
pub struct Keys {
    prefix: &'static str,
    find: Arc<dyn Fn(&str) -> Asked + Send + Sync>,
}

/// Why a key lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// There is no such key.
    Unknown,
    /// Whoever held it is shut out.
    Revoked,
    /// Another took its place.
    Retired,
    /// Its holder calls too often, and may again after this time.
    Limited(Duration),
    /// It can't be said now.
    Unavailable,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keys({}…)", self.prefix)
    }
}

impl Keys {
    /// Keys that begin with `prefix`; `find` says who holds one.
    pub fn new<F>(prefix: &'static str, find: impl Fn(&str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Holder, KeyRefusal>> + Send + 'static,
    {
        Self {
            prefix,
            find: Arc::new(move |key| Box::pin(find(key))),
        }
    }

    /// Whether this is one of them, by its looks.
    pub(super) fn takes(&self, key: &str) -> bool {
        key.starts_with(self.prefix)
    }

    pub(super) fn find(&self, key: &str) -> Asked {
        (self.find)(key)
    }
}

impl From<KeyRefusal> for Untrusted {
    fn from(why: KeyRefusal) -> Self {
        match why {
            KeyRefusal::Unknown => Self::Invalid("no such key".to_owned()),
            KeyRefusal::Revoked => Self::Revoked,
            KeyRefusal::Retired => Self::Retired,
            KeyRefusal::Limited(wait) => Self::Limited(wait),
            KeyRefusal::Unavailable => Self::NoKeys,
        }
    }
}
