//! Keys that a service gives out itself, beside the tokens of issuers. Each call asks the service again, so what it takes back counts no more.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Holder, refusal::Untrusted};
use crate::Thumbprint;

type Find = dyn Fn(&str, Option<Thumbprint>) -> Asked + Send + Sync;
type Asked = Pin<Box<dyn Future<Output = Result<Holder, KeyRefusal>> + Send>>;

/// Says who holds a service's own keys.
#[derive(Clone)]
pub struct Keys {
    prefix: &'static str,
    find: Arc<Find>,
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
    /// It counts only over a connection with the certificate that it is bound to, and this one has none.
    CertificateRequired,
    /// The same, and this one has another.
    CertificateMismatch,
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
    /// Keys that begin with `prefix`; `find` says who holds one that is presented over a connection with that certificate.
    pub fn new<F>(
        prefix: &'static str,
        find: impl Fn(&str, Option<Thumbprint>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Holder, KeyRefusal>> + Send + 'static,
    {
        Self {
            prefix,
            find: Arc::new(move |key, certificate| Box::pin(find(key, certificate))),
        }
    }

    /// Whether this is one of them, by its looks.
    pub(super) fn takes(&self, key: &str) -> bool {
        key.starts_with(self.prefix)
    }

    pub(super) fn find(&self, key: &str, certificate: Option<Thumbprint>) -> Asked {
        (self.find)(key, certificate)
    }
}

impl From<KeyRefusal> for Untrusted {
    fn from(why: KeyRefusal) -> Self {
        match why {
            KeyRefusal::Unknown => Self::Invalid("no such key".to_owned()),
            KeyRefusal::Revoked => Self::Revoked,
            KeyRefusal::Retired => Self::Retired,
            KeyRefusal::CertificateRequired => Self::CertificateRequired,
            KeyRefusal::CertificateMismatch => Self::CertificateMismatch,
            KeyRefusal::Limited(wait) => Self::Limited(wait),
            KeyRefusal::Unavailable => Self::NoKeys,
        }
    }
}
