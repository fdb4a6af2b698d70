//! `up`: the whole system on this machine, on a data folder that outlives it.

use std::{
    env,
    path::{Path, PathBuf},
    time::Instant,
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proto::ledger::v1::AccountKind;
use redemption::Offline;
use runtime::{Clock, Durability, Ids, Postgres, Problem};
use serde_json::{Value, json};

use crate::{
    cli::UpArgs,
    key,
    role::Role,
    sample::Sample,
    signals::Signals,
    system::{System, SystemConfig},
    terminal,
};

/// The data folder when no other is named.
pub const DATA: &str = ".linli";
/// The database in a data folder.
pub const DATABASE: &str = "linli";

/// Runs until a signal comes or a service fails.
pub async fn run(args: UpArgs) -> Result<(), Problem> {
    let started = Instant::now();
    let mut signals = Signals::catch()?;
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let (postgres, mut system) = tokio::select! {
        begun = begin(&args, &clock, &ids) => begun?,
        () = signals.wait() => return Ok(()),
    };
    let serving = async {
        match greet(&args, &clock, &ids, &system, started).await {
            Ok(()) => system.failed().await,
            Err(problem) => problem,
        }
    };
    let outcome = tokio::select! {
        problem = serving => Err(problem),
        () = signals.wait() => {
            eprintln!("stopping");
            Ok(())
        }
    };
    signals.end_at_once_from_now_on();
    let stopped = system.stop().await;
    // It blocks until Postgres has ended, and nothing else is left to run.
    postgres.stop();
    outcome.and(stopped)
}

async fn begin(args: &UpArgs, clock: &Clock, ids: &Ids) -> Result<(Postgres, System), Problem> {
    let folder = args.data.clone();
    let postgres =
        tokio::task::spawn_blocking(move || Postgres::start(&folder, Durability::Durable))
            .await
            .map_err(|error| Problem::new(format!("PostgreSQL did not start: {error}")))??;
    let database_url = postgres.url(DATABASE);
    runtime::create_database(&database_url).await?;
    runtime::migrate(&database_url).await?;
    let signer = key::in_folder(&args.data)?;
    let system = System::start(SystemConfig {
        database_url,
        clock: clock.clone(),
        ids: ids.clone(),
        listen: args.ports(),
        signer: Some(signer),
        person_keys: key::persons_in_folder(&args.data)?,
        origins: args.origins.named(),
        limits: args.limits.limits(),
        offline: Offline {
            keys: key::offline_in_folder(&args.data)?,
            most_points: args.limits.offline_points,
        },
        minter: key::issuer_in_folder(&args.data)?,
    })
    .await?;
    Ok((postgres, system))
}

/// Prints where everything is and what to try; the last line says that all is ready.
async fn greet(
    args: &UpArgs,
    clock: &Clock,
    ids: &Ids,
    system: &System,
    started: Instant,
) -> Result<(), Problem> {
    let sample = Sample::ensure(&args.data, ids, &system.clients()?).await?;
    let services = [
        (Role::Ledger, &system.ledger),
        (Role::Activity, &system.activity),
        (Role::Redemption, &system.redemption),
        (Role::Wish, &system.wish),
    ];
    for (role, service) in services {
        terminal::print(format!("{:<11} {}", role.name(), service.url()))?;
    }
    terminal::print(format!("{:<11} {}", "data", args.data.display()))?;
    let signer = key::in_folder(&args.data)?;
    terminal::print(format!("{:<11} {}", "key", signer.verifier()))?;
    terminal::print("\nTry it in another terminal:")?;
    let data = match args.data == Path::new(DATA) {
        true => String::new(),
        false => format!(" --data {}", quoted(&args.data)),
    };
    terminal::print("\n# be a member of the community's staff")?;
    terminal::print(format!(
        "export LINLI_TOKEN=$({} token --role staff{data})",
        program()
    ))?;
    for step in steps(&sample, clock.now(), ids) {
        let service = services.iter().find(|(role, _)| *role == step.role);
        let address = match service {
            Some((role, service)) if service.address().port() != role.default_port() => {
                format!(" --address {}", service.url())
            }
            _ => String::new(),
        };
        terminal::print(format!("\n# {}", step.title))?;
        terminal::print(format!(
            "{} call {} '{}'{address}",
            program(),
            step.method,
            step.request
        ))?;
    }
    terminal::print(format!("\nready in {} ms", started.elapsed().as_millis()))
}

/// Something to try: the request holds no quote, so it can stand between two.
struct Step {
    title: &'static str,
    role: Role,
    method: &'static str,
    request: Value,
}

/// One member's way through the system. The ids are new at each start, so every start's commands work.
fn steps(sample: &Sample, now: DateTime<Utc>, ids: &Ids) -> [Step; 5] {
    let (community, programme) = (sample.community_name(), sample.programme_name());
    let (member_id, record_id) = (ids.next(), ids.next());
    let member = format!("{community}/members/{member_id}");
    let record = format!("{community}/serviceRecords/{record_id}");
    let account = proto::account_id(sample.programme, AccountKind::Member, Some(member_id));
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    [
        Step {
            title: "register a member",
            role: Role::Activity,
            method: "CreateMember",
            request: json!({
                "parent": community,
                "memberId": member_id,
                "member": { "kind": "MEMBER_KIND_RESIDENT", "displayName": "Ada" },
                "requestId": ids.next(),
            }),
        },
        Step {
            title: "record an hour of service",
            role: Role::Activity,
            method: "CreateServiceRecord",
            request: json!({
                "parent": community,
                "serviceRecordId": record_id,
                "serviceRecord": {
                    "programme": programme,
                    "member": member,
                    "role": "SERVICE_ROLE_MEMBER",
                    "category": "cleaning",
                    "activity": "Stairwell cleaning",
                    "startTime": time(now - TimeDelta::hours(1)),
                    "endTime": time(now),
                },
                "requestId": ids.next(),
            }),
        },
        Step {
            title: "verify it: an hour earns 10 points",
            role: Role::Activity,
            method: "VerifyServiceRecord",
            request: json!({ "name": record, "requestId": ids.next() }),
        },
        Step {
            title: "see the balance",
            role: Role::Ledger,
            method: "GetAccount",
            request: json!({ "name": format!("{community}/accounts/{account}") }),
        },
        Step {
            title: "redeem a pot of tea for 5 points",
            role: Role::Redemption,
            method: "Redeem",
            request: json!({
                "parent": community,
                "requestId": ids.next(),
                "member": member,
                "offer": sample.offer_name(),
                "quantity": 1,
            }),
        },
    ]
}

/// How to start this binary again from the same folder.
fn program() -> String {
    let Ok(exe) = env::current_exe() else {
        return "linli".to_owned();
    };
    let on_path = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path)
            .any(|folder| folder.join("linli").canonicalize().ok() == Some(exe.clone()))
    });
    if on_path {
        return "linli".to_owned();
    }
    let beneath = env::current_dir()
        .ok()
        .and_then(|here| exe.strip_prefix(here).ok().map(PathBuf::from));
    quoted(&beneath.unwrap_or(exe))
}

/// As one word for a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_commands_to_paste_can_stand_between_quotes() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let sample = Sample {
            community: Uuid::nil(),
            programme: Uuid::nil(),
            merchant: Uuid::nil(),
            offer: Uuid::nil(),
        };
        for step in steps(&sample, clock.now(), &Ids::seeded(clock.clone(), 1)) {
            assert!(!step.request.to_string().contains('\''), "{}", step.method);
        }
    }

    #[test]
    fn a_path_with_a_space_is_quoted() {
        assert_eq!(
            quoted(Path::new("target/release/linli")),
            "target/release/linli"
        );
        assert_eq!(
            quoted(Path::new("it's here/linli")),
            r"'it'\''s here/linli'"
        );
    }
}
