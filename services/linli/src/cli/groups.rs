//! Options that several commands have in common.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use activity::EmergencyNumbers;
use clap::Args;
use redemption::Limits;
use runtime::{Bearer, Clock, Problem, Roots, Tls, TlsFiles};

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

/// How a service ends TLS itself; without a certificate its port is plain.
#[derive(Debug, Default, Args)]
pub struct TlsArgs {
    /// The certificate to serve TLS with and those that lead to a root, a PEM file; read again when it changes
    #[arg(long = "tls-cert", env = "LINLI_TLS_CERT", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file
    #[arg(long = "tls-key", env = "LINLI_TLS_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The authorities whose client certificates are taken, a PEM file; clients may show one, and a till's key is bound to it
    #[arg(
        long = "tls-client-ca",
        env = "LINLI_TLS_CLIENT_CA",
        value_name = "FILE"
    )]
    pub client_ca: Option<PathBuf>,
    /// Address of a plain port that answers health checks and nothing else, for probes that know no TLS
    #[arg(long, env = "LINLI_HEALTH_LISTEN", value_name = "HOST:PORT")]
    pub health_listen: Option<String>,
}

impl TlsArgs {
    /// Whether it does.
    pub fn is_on(&self) -> bool {
        named(&self.certificate).is_some()
    }

    /// What the files hold; nothing when none is named.
    pub fn tls(&self, clock: &Clock) -> Result<Option<Tls>, Problem> {
        let client_ca = named(&self.client_ca);
        let files = match (named(&self.certificate), named(&self.key)) {
            (Some(certificate), Some(key)) => TlsFiles {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                client_ca: client_ca.map(Path::to_owned),
            },
            (None, None) if client_ca.is_none() => return Ok(None),
            _ => {
                return Err(Problem::new(
                    "TLS needs a certificate and its key: set both LINLI_TLS_CERT and LINLI_TLS_KEY",
                ));
            }
        };
        Tls::read(files, clock.clone()).map(Some)
    }
}

/// Whom calls over https trust.
#[derive(Debug, Default, Args)]
pub struct RootsArgs {
    /// The authorities that a server's certificate has to come from, a PEM file [default: the system's]
    #[arg(long, env = "LINLI_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

impl RootsArgs {
    /// What the file holds.
    pub fn roots(&self) -> Result<Roots, Problem> {
        named(&self.tls_ca).map_or_else(|| Ok(Roots::default()), Roots::read)
    }
}

/// An empty variable names nothing.
fn named(file: &Option<PathBuf>) -> Option<&Path> {
    file.as_deref().filter(|path| !path.as_os_str().is_empty())
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
