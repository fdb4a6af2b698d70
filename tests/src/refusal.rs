//! What a refused caller is told, in a form that can be compared.

use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refusal, without what differs from call to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status code.
    pub code: Code,
    /// `ErrorInfo.reason`; empty without one.
    pub reason: String,
    /// `ErrorInfo.domain`; empty without one.
    pub domain: String,
    /// `ErrorInfo.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// The text in English.
    pub message: String,
    /// The text in Chinese; empty without one.
    pub message_zh: String,
    /// The fields that a BadRequest names.
    pub fields: Vec<String>,
    /// Whether the caller was told when to try again.
    pub try_again: bool,
}

/// Reads a status.
pub fn refused(status: &Status) -> Refused {
    let details = status.get_error_details();
    let info = details.error_info().cloned();
    let fields = details.bad_request().map(|bad| {
        let violations = bad.field_violations.iter();
        violations.map(|one| one.field.clone()).collect()
    });
    Refused {
        code: status.code(),
        reason: info
            .as_ref()
            .map(|info| info.reason.clone())
            .unwrap_or_default(),
        domain: info
            .as_ref()
            .map(|info| info.domain.clone())
            .unwrap_or_default(),
        metadata: info.into_iter().flat_map(|info| info.metadata).collect(),
        message: status.message().to_owned(),
        message_zh: details
            .localized_message()
            .map(|text| text.message.clone())
            .unwrap_or_default(),
        fields: fields.unwrap_or_default(),
        try_again: details.retry_info().is_some(),
    }
}
