//! Roles, as tokens and the contract name them.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// In what capacity somebody calls: `linli.access.v1.Role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the contract says what each is")]
pub enum Role {
    Member,
    Leader,
    Staff,
    Merchant,
    Terminal,
    Auditor,
    Service,
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Member,
        Self::Leader,
        Self::Staff,
        Self::Merchant,
        Self::Terminal,
        Self::Auditor,
        Self::Service,
        Self::Operator,
    ];

    /// Its name in a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Leader => "leader",
            Self::Staff => "staff",
            Self::Merchant => "merchant",
            Self::Terminal => "terminal",
            Self::Auditor => "auditor",
            Self::Service => "service",
            Self::Operator => "operator",
        }
    }

    /// The kinds of resource that are its own, as in resource names.
    pub fn owns(self) -> &'static [&'static str] {
        match self {
            Self::Member => &["members"],
            Self::Leader => &["teams"],
            Self::Merchant => &["merchants"],
            Self::Terminal => &["merchants", "terminals"],
            Self::Staff | Self::Auditor | Self::Service | Self::Operator => &[],
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.name() == name);
        known.ok_or_else(|| format!("no role {name}: there are {}", Roles::from_iter(Self::ALL)))
    }
}

/// Some roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a role is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & Self::from(role).0 != 0
    }

    /// Those that are among others too.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(1 << role as u8)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        let bits = roles.into_iter().map(|role| Self::from(role).0);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, role) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{}", role.name())?;
        }
        Ok(())
    }
}
