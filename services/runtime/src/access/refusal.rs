//! Why a call is not admitted: UNAUTHENTICATED says who is not known, PERMISSION_DENIED who may not.

use std::time::Duration;

use tonic::{Code, Status};

use super::{Callers, Roles};
use crate::{
    rate_limited,
    status::{DOMAIN, Reason, refusal},
};

const TOKEN_MISSING: &str = "TOKEN_MISSING";
const TOKEN_INVALID: &str = "TOKEN_INVALID";
const TOKEN_EXPIRED: &str = "TOKEN_EXPIRED";
const TOKEN_NOT_YET_VALID: &str = "TOKEN_NOT_YET_VALID";
const TERMINAL_REVOKED: &str = "TERMINAL_REVOKED";
const KEY_RETIRED: &str = "KEY_RETIRED";
const CERTIFICATE_REQUIRED: &str = "CERTIFICATE_REQUIRED";
const CERTIFICATE_MISMATCH: &str = "CERTIFICATE_MISMATCH";

/// The reasons that are about the token itself.
pub(crate) const TOKEN_REASONS: [&str; 8] = [
    TOKEN_MISSING,
    TOKEN_INVALID,
    TOKEN_EXPIRED,
    TOKEN_NOT_YET_VALID,
    TERMINAL_REVOKED,
    KEY_RETIRED,
    CERTIFICATE_REQUIRED,
    CERTIFICATE_MISMATCH,
];

/// Why a token does not say who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untrusted {
    /// There is none.
    Missing,
    /// It proves nothing, and why.
    Invalid(String),
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is a key whose holder is shut out.
    Revoked,
    /// It is a key that another took the place of.
    Retired,
    /// It is a key that counts only with a certificate, and the connection has none.
    CertificateRequired,
    /// The same, and the connection has another.
    CertificateMismatch,
    /// Its holder calls too often.
    Limited(Duration),
    /// What it is to be checked with is not here now.
    NoKeys,
}

impl From<Untrusted> for Status {
    fn from(why: Untrusted) -> Self {
        let unauthenticated = |reason, text_en: &str, text_zh| {
            refusal(Reason {
                domain: DOMAIN,
                reason,
                code: Code::Unauthenticated,
                text_en,
                text_zh,
                metadata: vec![],
                retry_after: None,
            })
        };
        match why {
            Untrusted::Missing => unauthenticated(
                TOKEN_MISSING,
                "the call needs a token: authorization: Bearer …",
                "请先登录",
            ),
            Untrusted::Invalid(why) => unauthenticated(
                TOKEN_INVALID,
                &format!("the token proves nothing: {why}"),
                "登录凭证无效,请重新登录",
            ),
            Untrusted::Expired => unauthenticated(
                TOKEN_EXPIRED,
                "the token has expired",
                "登录已过期,请重新登录",
            ),
            Untrusted::NotYetValid => unauthenticated(
                TOKEN_NOT_YET_VALID,
                "the token is not valid yet",
                "登录凭证尚未生效,请检查时钟",
            ),
            Untrusted::Revoked => unauthenticated(
                TERMINAL_REVOKED,
                "the terminal was revoked",
                "该终端已停用,请联系社区工作人员",
            ),
            Untrusted::Retired => unauthenticated(
                KEY_RETIRED,
                "the key was rotated and counts no more",
                "该终端密钥已更换,请使用新密钥",
            ),
            Untrusted::CertificateRequired => unauthenticated(
                CERTIFICATE_REQUIRED,
                "the key counts only over TLS with the client certificate that it is bound to",
                "该终端密钥须配合终端证书使用,请检查证书",
            ),
            Untrusted::CertificateMismatch => unauthenticated(
                CERTIFICATE_MISMATCH,
                "the key is bound to another client certificate",
                "终端证书与密钥不符,请检查证书",
            ),
            Untrusted::Limited(wait) => rate_limited(DOMAIN, "terminal", wait),
            Untrusted::NoKeys => refusal(Reason {
                domain: DOMAIN,
                reason: "ISSUER_KEYS_UNAVAILABLE",
                code: Code::Unavailable,
                text_en: "what the token is to be checked with is not here now; try again",
                text_zh: "暂时无法验证登录凭证,请稍后重试",
                metadata: vec![],
                retry_after: Some(Duration::from_secs(1)),
            }),
        }
    }
}

/// No role of the token may call the method.
pub(super) fn role_not_allowed(roles: Roles, callers: &Callers) -> Status {
    let allowed = Roles::from_iter(callers.community.iter().chain(callers.own.iter()));
    let has = if roles.is_empty() {
        "no role".to_owned()
    } else {
        roles.to_string()
    };
    denied(
        "ROLE_NOT_ALLOWED",
        &format!("for {allowed}; the token has {has}"),
        "您的身份不能进行此操作",
        vec![
            ("roles", roles.to_string()),
            ("allowed", allowed.to_string()),
        ],
    )
}

pub(super) fn not_your_community() -> Status {
    let text = "the token is not for this community";
    denied("NOT_YOUR_COMMUNITY", text, "您不属于该社区", vec![])
}

pub(super) fn not_yours() -> Status {
    let text = "not the caller's own, or not there";
    denied("NOT_YOURS", text, "您无权访问此内容", vec![])
}

fn denied(
    reason: &'static str,
    text_en: &str,
    text_zh: &str,
    metadata: Vec<(&'static str, String)>,
) -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason,
        code: Code::PermissionDenied,
        text_en,
        text_zh,
        metadata,
        retry_after: None,
    })
}
