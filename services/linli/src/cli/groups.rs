//! Options that several commands have in common.

use std::num::NonZeroU32;

use activity::EmergencyNumbers;
use clap::Args;
use redemption::Limits;
use runtime::{Bearer, Problem};

/// Which web pages may call the services.
#[derive(Debug, Default, Args)]
pub struct OriginArgs {
    /// Let web pages of this origin call from browsers, as in https://app.example, or `*` for every page; may be repeated, in the
    /// variable separated by commas
    #[arg(
        long = "allow-origin",
        env = "LINLI_ALLOW_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    allow: Vec<String>,
}

/// How much one till and one member may do in redemption; 0: as much as they like.
#[derive(Debug, Default, Args)]
pub struct LimitArgs {
    /// Calls of one till a second; five times as many at once
    #[arg(
        long,
        env = "LINLI_TERMINAL_RATE",
        value_name = "N",
        default_value_t = 20
    )]
    terminal_rate: u32,
    /// Holds and redemptions for one member a minute
    #[arg(
        long,
        env = "LINLI_MEMBER_RATE",
        value_name = "N",
        default_value_t = 30
    )]
    member_rate: u32,
    /// The most points that one offline code is worth
    #[arg(
        long,
        env = "LINLI_OFFLINE_POINTS",
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(i64).range(1..=1_000_000_000)
    )]
    pub offline_points: i64,
}

/// What to call in an emergency.
#[derive(Debug, Default, Args)]
pub struct EmergencyArgs {
    /// Numbers that activity tells those who report an emergency, where a programme has none of its own
    #[arg(
        long = "emergency-numbers",
        env = "LINLI_EMERGENCY_NUMBERS",
        value_name = "KIND=NUMBER,…",
        default_value_t
    )]
    pub numbers: EmergencyNumbers,
}

impl LimitArgs {
    /// The limits.
    pub fn limits(&self) -> Limits {
        Limits {
            terminal_rate: NonZeroU32::new(self.terminal_rate),
            member_rate: NonZeroU32::new(self.member_rate),
        }
    }
}

impl OriginArgs {
    /// Those that were named; an empty variable names none.
    pub fn named(&self) -> Vec<String> {
        let named = self.allow.iter().filter(|origin| !origin.is_empty());
        named.cloned().collect()
    }
}

/// What a call says of who makes it.
#[derive(Debug, Args)]
pub struct BearerArgs {
    /// The token to call with, as `linli token` makes one [default: none]
    #[arg(
        long,
        env = "LINLI_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
}

impl BearerArgs {
    /// What the calls carry; an empty token is none.
    pub fn bearer(&self) -> Result<Option<Bearer>, Problem> {
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        token.map(Bearer::given).transpose()
    }
}

/// Where the database is.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The database, as in postgres://user@host/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
}

impl DatabaseArgs {
    /// The address; there is no default, lest a migration reach the wrong database.
    pub fn url(&self) -> Result<&str, Problem> {
        match self.database_url.as_deref() {
            Some(url) if !url.is_empty() => Ok(url),
            _ => Err(Problem::new(
                "DATABASE_URL is not set: set it to postgres://user@host/database",
            )),
        }
    }
}
