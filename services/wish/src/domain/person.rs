//! The people behind the roster: what may be shown of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who somebody is. It can't be printed: it is sealed, masked, or revealed to somebody who said why. A field that is added later has a
/// `serde(default)`, for those who were sealed before it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub phone: String,
    pub address: String,
    pub needs: String,
    pub proxy_name: String,
    pub proxy_phone: String,
}

/// What may be shown of a person; empty, once erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    pub name: String,
    pub phone: String,
}

/// What is to be put in place of parts of a person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonChange {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub needs: Option<String>,
    pub proxy_name: Option<String>,
    pub proxy_phone: Option<String>,
}

impl Person {
    /// Hides all of the name but its first character, and all of the phone but its last four digits.
    pub fn masked(&self) -> Masked {
        Masked {
            name: runtime::masked_name(&self.name),
            phone: runtime::masked_phone(&self.phone),
        }
    }

    /// The person with these parts.
    pub fn with(self, change: PersonChange) -> Self {
        Self {
            name: change.name.unwrap_or(self.name),
            phone: change.phone.unwrap_or(self.phone),
            address: change.address.unwrap_or(self.address),
            needs: change.needs.unwrap_or(self.needs),
            proxy_name: change.proxy_name.unwrap_or(self.proxy_name),
            proxy_phone: change.proxy_phone.unwrap_or(self.proxy_phone),
        }
    }
}

impl PersonChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Person(hidden)")
    }
}

impl fmt::Debug for PersonChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PersonChange(hidden)")
    }
}
