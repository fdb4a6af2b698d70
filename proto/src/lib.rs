//! The contracts of Linli's services, compiled from `proto/linli/**`.
//!
//! Services know each other only through the clients in here and through [`account_id`].

use uuid::Uuid;

/// Standard types that the contracts use.
pub mod google {
    /// `google.type`.
    #[allow(missing_docs, clippy::all)]
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

macro_rules! contract {
    ($service:ident, $package:literal) => {
        #[doc = concat!("The contract `", $package, "`.")]
        pub mod $service {
            /// Version 1.
            #[allow(missing_docs, clippy::all, clippy::pedantic, unused_qualifications)]
            pub mod v1 {
                tonic::include_proto!($package);

                /// The encoded `FileDescriptorSet` of the contract, comments included.
                pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(
                    env!("OUT_DIR"),
                    "/",
                    stringify!($service),
                    ".descriptor"
                ));
            }
        }
    };
}

/// The contracts under the prefix `linli`, as generated code names them.
pub mod linli {
    /// Who may call what, and who called.
    pub mod access {
        /// Version 1.
        #[allow(missing_docs, clippy::all, clippy::pedantic)]
        pub mod v1 {
            tonic::include_proto!("linli.access.v1");
        }
    }
    contract!(ledger, "linli.ledger.v1");
    contract!(activity, "linli.activity.v1");
    contract!(redemption, "linli.redemption.v1");
    contract!(wish, "linli.wish.v1");
}

pub use linli::{access, activity, ledger, redemption, wish};

/// Returns the id of a programme's ledger account, the same in every service: UUIDv5 of `{kind}/{owner}` under the
/// programme's UUID. Issuing, expired, paid-out and wish accounts have no owner.
pub fn account_id(programme: Uuid, kind: ledger::v1::AccountKind, owner: Option<Uuid>) -> Uuid {
    let kind = kind
        .as_str_name()
        .trim_start_matches("ACCOUNT_KIND_")
        .to_ascii_lowercase();
    let owner = owner.map(|id| id.to_string()).unwrap_or_default();
    Uuid::new_v5(&programme, format!("{kind}/{owner}").as_bytes())
}
