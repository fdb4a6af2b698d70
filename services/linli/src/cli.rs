//! The command line: what can be asked for, and one line for whatever goes wrong.

mod groups;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ledger::proof::Verifier;
use runtime::{Problem, Telemetry};

use crate::{
    bench::{self, Figure, Timing},
    call, contract, demo, key, receipt,
    role::Role,
    serve,
    system::Ports,
    terminal, token, up, verify,
};

pub use groups::{
    BearerArgs, DatabaseArgs, EmergencyArgs, LimitArgs, OriginArgs, RootsArgs, TlsArgs,
};

/// A points-and-rewards exchange for communities.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay programmes on a temporary system and compare what comes out with what is expected
    Demo(DemoArgs),
    /// Run the whole system on a durable data folder until Ctrl-C
    Up(UpArgs),
    /// Make a token for the services of a `linli up`, to call them in some role
    Token(TokenArgs),
    /// Call a method of a running service with a JSON request and print its JSON answer
    Call(CallArgs),
    /// Run single services against DATABASE_URL, as in production
    Serve(ServeArgs),
    /// Bring the database at DATABASE_URL up to this version
    Migrate(DatabaseArgs),
    /// Fetch the receipt of an entry: what proves that it is in the journal
    Receipt(ReceiptArgs),
    /// Make a key for LINLI_LEDGER_KEY, and under it the verifier key that others may know; or one for LINLI_PERSON_KEYS
    Key(KeyArgs),
    /// Recompute everything from the journal and name each row that differs
    Verify(VerifyArgs),
    /// Print the contracts of all services in a form that other tools read
    #[command(subcommand)]
    Contract(Contract),
    /// Measure the speed of this machine and of what runs on it
    #[command(subcommand)]
    Bench(Bench),
}

/// In which form.
#[derive(Debug, Subcommand)]
pub enum Contract {
    /// An OpenAPI 3.1 document, for clients over HTTP
    Openapi,
    /// Pages to read, in Markdown
    Reference,
    /// A google.protobuf.FileDescriptorSet, for gRPC tools and code generators
    Descriptor(DescriptorArgs),
}

/// Where the descriptor set goes.
#[derive(Debug, Args)]
pub struct DescriptorArgs {
    /// Write it into this folder, under a name with its version as in linli-1.2.3.binpb, and print the path [default: the set itself
    /// is printed]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Measure the ledger beside the textbook way, on a temporary PostgreSQL with fsync
    Ledger(BenchLedgerArgs),
    /// Measure redemptions at shops' tills, through two calls each, on a temporary PostgreSQL with fsync
    Till(BenchTillArgs),
}

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchLedgerArgs {
    /// Print one JSON object in place of the tables
    #[arg(long)]
    pub json: bool,
    /// Only the figures that something is required of, within a minute
    #[arg(long)]
    pub quick: bool,
    /// Store so many transfers first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preload: u64,
    /// How long each figure is measured at a time [default: 2, with --quick 0.8; at most 300]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Only this figure, as in `bulk_hot`, `bulk_1000_lots` or `unary_256_hot`; may be repeated
    #[arg(long, value_name = "FIGURE")]
    pub only: Vec<Figure>,
}

impl BenchLedgerArgs {
    /// How long each figure is measured at a time; a quarter of that goes before.
    pub fn timing(&self) -> Timing {
        let usual = if self.quick { 800 } else { 2_000 };
        Timing::of(self.seconds.unwrap_or(Duration::from_millis(usual)))
    }
}

/// How long to measure.
#[derive(Debug, Args)]
pub struct BenchTillArgs {
    /// Print one JSON object in place of the table
    #[arg(long)]
    pub json: bool,
    /// How long each figure is measured at a time, three times in all
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "3")]
    pub seconds: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.1..=300.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "not a number of seconds from 0.1 to 300".to_owned())
}

/// Which receipt.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReceiptArgs {
    /// The entry, as in communities/…/entries/17
    pub entry: Option<String>,
    /// Where the ledger is [default: where `linli up` puts it]
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// File to write it to [default: the terminal]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whom calls over https trust
    #[command(flatten)]
    pub roots: RootsArgs,
    /// Who calls
    #[command(flatten)]
    pub token: BearerArgs,
    #[command(subcommand)]
    check: Option<ReceiptCommand>,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    /// Check a receipt, without network or database
    Check(ReceiptCheckArgs),
}

/// What to check.
#[derive(Debug, Args)]
pub struct ReceiptCheckArgs {
    /// The receipt
    pub file: PathBuf,
    /// The ledger's verifier key, as `linli call GetVerifierKey` shows it
    #[arg(long, value_name = "KEY", value_parser = key::verifier)]
    pub key: Verifier,
}

/// Which key to make.
#[derive(Debug, Args)]
struct KeyArgs {
    /// What it is for
    #[arg(value_enum, value_name = "KIND", default_value_t = KeyKind::Ledger)]
    kind: KeyKind,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KeyKind {
    /// Signs the ledger's checkpoints: LINLI_LEDGER_KEY
    Ledger,
    /// Seals who the members are: an entry of LINLI_PERSON_KEYS
    Person,
}

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this community
    #[arg(long, value_name = "UUID")]
    pub community: Option<uuid::Uuid>,
    /// The ledger's verifier key, to check the signatures of its checkpoints [default: that of --data]
    #[arg(long, value_name = "KEY", value_parser = key::verifier)]
    pub key: Option<Verifier>,
    /// A checkpoint kept elsewhere, whose past still has to stand; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
    /// Data folder of a `linli up` that does not run, in place of DATABASE_URL
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The database
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// What to replay.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folders of programmes [default: every folder in tests/programmes]
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Print one line of JSON a programme, with the fields of expected.json, in place of the table
    #[arg(long)]
    pub json: bool,
}

/// Where the system lives.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Folder of the database and of all else that is kept
    #[arg(long, value_name = "DIR", default_value = up::DATA)]
    pub data: PathBuf,
    /// Port of the ledger; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = Role::Ledger.default_port())]
    pub ledger_port: u16,
    /// Port of activity
    #[arg(long, value_name = "PORT", default_value_t = Role::Activity.default_port())]
    pub activity_port: u16,
    /// Port of redemption
    #[arg(long, value_name = "PORT", default_value_t = Role::Redemption.default_port())]
    pub redemption_port: u16,
    /// Port of wishes
    #[arg(long, value_name = "PORT", default_value_t = Role::Wish.default_port())]
    pub wish_port: u16,
    /// Who may call from a browser
    #[command(flatten)]
    pub origins: OriginArgs,
    /// How much one till and one member may do
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl UpArgs {
    /// The four ports.
    pub fn ports(&self) -> Ports {
        Ports {
            ledger: self.ledger_port,
            activity: self.activity_port,
            redemption: self.redemption_port,
            wish: self.wish_port,
        }
    }
}

/// What to call.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Name of the method, as in `GetMember` or `linli.activity.v1.ActivityService/GetMember`
    pub method: String,
    /// The request, in the JSON of its contract
    #[arg(value_name = "JSON", default_value = "{}")]
    pub request: String,
    /// Where the service is [default: where `linli up` puts it]
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// Whom calls over https trust
    #[command(flatten)]
    pub roots: RootsArgs,
    /// Who calls
    #[command(flatten)]
    pub token: BearerArgs,
}

/// Whose token to make.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// In what capacity it lets call; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<runtime::Role>,
    /// Who calls, as the audit log is to name it [default: the first role]
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// A community that the caller may see; may be repeated [default: all]
    #[arg(long = "community", value_name = "UUID")]
    pub communities: Vec<uuid::Uuid>,
    /// What is the caller's own, as in communities/…/members/…; may be repeated
    #[arg(long = "own", value_name = "NAME")]
    pub resources: Vec<String>,
    /// How long it lasts
    #[arg(long, value_name = "MINUTES", default_value_t = 720, value_parser = clap::value_parser!(u32).range(1..=525_600))]
    pub minutes: u32,
    /// Data folder of the `linli up`
    #[arg(long, value_name = "DIR", default_value = up::DATA)]
    pub data: PathBuf,
}

/// What to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The services
    #[arg(value_name = "ROLE", required = true)]
    pub roles: Vec<Role>,
    /// The database
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Address to listen at; of several services the host counts, and each takes its own port
    #[arg(long, env = "LINLI_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The key that the ledger signs its checkpoints with: PRIVATE+KEY+name+hash+base64
    #[arg(
        long,
        env = "LINLI_LEDGER_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub ledger_key: Option<String>,
    /// The keys that activity seals who the members are under, one a line: id:base64; the first one seals, the others open what was sealed before;
    /// +id:base64 comes next and opens only
    #[arg(
        long,
        env = "LINLI_PERSON_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub person_keys: Option<String>,
    /// The issuers whose tokens are trusted, a TOML file
    #[arg(long, env = "LINLI_ISSUERS", value_name = "FILE")]
    pub issuers: Option<PathBuf>,
    /// The key that services sign the tokens with that they call each other with: 32 bytes in base64
    #[arg(
        long,
        env = "LINLI_SERVICE_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub service_key: Option<String>,
    /// What redemption signs offline codes with: 32 bytes in base64; several with commas, new codes are signed with the first
    #[arg(
        long,
        env = "LINLI_OFFLINE_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub offline_keys: Option<String>,
    /// Where the ledger is
    #[arg(long, env = "LINLI_LEDGER_URL", value_name = "URL")]
    pub ledger_url: Option<String>,
    /// Where activity is
    #[arg(long, env = "LINLI_ACTIVITY_URL", value_name = "URL")]
    pub activity_url: Option<String>,
    /// Whom calls over https trust
    #[command(flatten)]
    pub roots: RootsArgs,
    /// How it ends TLS itself
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Who may call from a browser
    #[command(flatten)]
    pub origins: OriginArgs,
    /// How much one till and one member may do
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What to call in an emergency
    #[command(flatten)]
    pub emergency: EmergencyArgs,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("linli: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Problem> {
    let threads = tokio::runtime::Runtime::new()
        .map_err(|error| Problem::new(format!("can't start threads: {error}")))?;
    let (telemetry, done) = threads.block_on(async {
        let telemetry = telemetry(&command)?;
        let done = match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Up(args) => up::run(args).await,
            Command::Token(args) => token::print(&args),
            Command::Call(args) => call::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Migrate(args) => migrate(&args).await,
            Command::Receipt(args) => match args.check {
                Some(ReceiptCommand::Check(args)) => receipt::check(&args),
                None => receipt::fetch(args).await,
            },
            Command::Verify(args) => verify::run(args).await,
            Command::Key(args) => key::print_new(args.kind),
            Command::Contract(form) => contract::print(&form),
            Command::Bench(Bench::Ledger(args)) => bench::ledger(args).await,
            Command::Bench(Bench::Till(args)) => bench::till(args).await,
        };
        Ok::<_, Problem>((telemetry, done))
    })?;
    // Its last export still needs the threads.
    if let Some(telemetry) = telemetry {
        telemetry.shutdown();
    }
    // What still runs, such as a connection that nobody uses any more, is not worth waiting for.
    threads.shutdown_background();
    done
}

fn telemetry(command: &Command) -> Result<Option<Telemetry>, Problem> {
    let service = match command {
        Command::Demo(_)
        | Command::Token(_)
        | Command::Call(_)
        | Command::Receipt(_)
        | Command::Verify(_)
        | Command::Contract(_)
        | Command::Key(_) => {
            runtime::init_quiet();
            return Ok(None);
        }
        // It counts what is logged.
        Command::Bench(_) => return Ok(None),
        Command::Up(_) => "linli-up".to_owned(),
        Command::Migrate(_) => "linli-migrate".to_owned(),
        Command::Serve(args) => {
            let roles: Vec<&str> = args.roles.iter().map(|role| role.name()).collect();
            format!("linli-{}", roles.join("-"))
        }
    };
    runtime::init(&service).map(Some)
}

async fn migrate(args: &DatabaseArgs) -> Result<(), Problem> {
    runtime::migrate(args.url()?).await?;
    terminal::print("the database is up to date")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_figure_is_measured_for_as_long_as_asked() {
        let timing = |args: &[&str]| {
            let words = ["linli", "bench", "ledger"].iter().chain(args);
            match Cli::try_parse_from(words).unwrap().command {
                Command::Bench(Bench::Ledger(args)) => args.timing(),
                command => panic!("{command:?}"),
            }
        };
        assert_eq!(timing(&[]).measured, Duration::from_secs(2));
        assert_eq!(timing(&["--quick"]).measured, Duration::from_millis(800));
        let short = timing(&["--quick", "--seconds", "0.4"]);
        assert_eq!(short.measured, Duration::from_millis(400));
        assert_eq!(short.warm_up, Duration::from_millis(100));
    }

    #[test]
    fn a_length_of_time_is_above_zero_and_at_most_five_minutes() {
        for wrong in ["0", "-1", "NaN", "inf", "301", "1s", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_database_has_no_default() {
        let args = DatabaseArgs {
            database_url: Some(String::new()),
        };
        let problem = args.url().unwrap_err().to_string();
        assert!(problem.starts_with("DATABASE_URL is not set"), "{problem}");
    }
}
