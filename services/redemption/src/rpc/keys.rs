//! Callers with the key of a terminal.

use runtime::{Holder, KeyRefusal, Keys, Role};

use super::{
    merchant::MERCHANTS,
    terminal::{STORES, name, terminal_name},
};
use crate::{
    KeyRefused, Redemption,
    domain::{KEY_PREFIX, Name, TerminalKey, Thumbprint, Unbound},
};

/// Says who calls with a terminal's key.
pub(super) fn keys(service: Redemption) -> Keys {
    Keys::new(KEY_PREFIX, move |text, certificate| {
        let (service, key) = (service.clone(), TerminalKey::read(text));
        async move {
            let key = key.ok_or(KeyRefusal::Unknown)?;
            let presented = certificate.map(|it| Thumbprint(it.0));
            let at = service.holder_of_key(&key, presented).await;
            let at = at.map_err(refusal)?;
            let counted = service.counters.terminal(key.terminal);
            counted.map_err(KeyRefusal::Limited)?;
            let terminal = terminal_name(Name {
                community: key.community,
                id: key.terminal,
            });
            Ok(Holder {
                subject: terminal.clone(),
                communities: vec![key.community.to_string()],
                resources: vec![
                    terminal,
                    name(key.community, STORES, at.store),
                    name(key.community, MERCHANTS, at.merchant),
                ],
                ..Holder::everywhere("", [Role::Terminal])
            })
        }
    })
}

fn refusal(why: KeyRefused) -> KeyRefusal {
    match why {
        KeyRefused::Unknown => KeyRefusal::Unknown,
        KeyRefused::Revoked => KeyRefusal::Revoked,
        KeyRefused::Retired => KeyRefusal::Retired,
        KeyRefused::Unbound(Unbound::NoCertificate) => KeyRefusal::CertificateRequired,
        KeyRefused::Unbound(Unbound::OtherCertificate) => KeyRefusal::CertificateMismatch,
        KeyRefused::Store(cause) => {
            tracing::warn!(error = %cause, "The database does not say whose a key is: {cause}");
            KeyRefusal::Unavailable
        }
    }
}
