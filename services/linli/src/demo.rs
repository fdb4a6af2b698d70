//! `demo`: replays programmes on a temporary system and shows what was published, expected and obtained.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use chrono_tz::Tz;
use redemption::{Limits, Offline};
use runtime::{Clock, Ids, Postgres, Problem};
use serde_json::Value;

use crate::{
    cli::DemoArgs,
    key,
    programme::{self, Comparison, Figures, Programme, compare},
    progress::Progress,
    signals::Signals,
    system::{Ports, System, SystemConfig},
    terminal,
};

const PROGRAMMES: &str = "tests/programmes";
/// Of the ids that the services make, so that each replay makes the same.
const SEED: u64 = 1;

/// Replays every programme, and fails unless each comes out as expected.
pub async fn run(args: DemoArgs) -> Result<(), Problem> {
    let mut signals = Signals::catch()?;
    tokio::select! {
        done = replay_all(&args) => done,
        () = signals.wait() => Err(Problem::new("interrupted")),
    }
}

async fn replay_all(args: &DemoArgs) -> Result<(), Problem> {
    let folders = if args.folders.is_empty() {
        own_folders()?
    } else {
        args.folders.clone()
    };
    // All are read before anything is started: a broken one should be told at once.
    let programmes: Vec<Programme> = folders
        .iter()
        .map(|folder| Programme::read(folder))
        .collect::<Result<_, _>>()?;

    let postgres = tokio::task::spawn_blocking(Postgres::temporary)
        .await
        .map_err(|error| Problem::new(format!("PostgreSQL did not start: {error}")))??;
    let mut wrong = Vec::new();
    for (index, programme) in programmes.iter().enumerate() {
        let started = Instant::now();
        let database_url = postgres.url(&format!("programme_{index}"));
        let figures = replay_one(programme, database_url)
            .await
            .map_err(|why| Problem::new(format!("{}: {why}", programme.settings.id)))?;
        let comparisons = compare(&figures, programme.expected.as_ref());
        if args.json {
            terminal::print(line(&figures)?)?;
        } else {
            show(programme, &comparisons)?;
        }
        eprintln!(
            "{}: replayed in {:.1} s",
            programme.settings.id,
            started.elapsed().as_secs_f64()
        );
        wrong.extend(disagreements(programme, &comparisons));
    }
    postgres.stop();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "not as expected: {}",
        wrong.join(", ")
    )))
}

/// Every folder of programmes that comes with the source.
fn own_folders() -> Result<Vec<PathBuf>, Problem> {
    let built_at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let places = [PathBuf::from(PROGRAMMES), built_at.join(PROGRAMMES)];
    let Some(place) = places.iter().find(|place| place.is_dir()) else {
        return Err(Problem::new(format!(
            "there is no {PROGRAMMES} here: name the folders to replay, as in `linli demo FOLDER`"
        )));
    };
    let entries = fs::read_dir(place)
        .map_err(|error| Problem::new(format!("can't read {}: {error}", place.display())))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    if folders.is_empty() {
        return Err(Problem::new(format!(
            "there is no programme in {}",
            place.display()
        )));
    }
    Ok(folders)
}

/// Replays one programme on a system of its own: its clock may start before another one's ended.
async fn replay_one(programme: &Programme, database_url: String) -> Result<Figures, Problem> {
    let mut progress = Progress::new(&programme.settings.id);
    progress.stage("starting");
    runtime::create_database(&database_url).await?;
    runtime::migrate(&database_url).await?;
    let clock = Clock::manual(programme::first_instant(programme));
    let system = System::start(SystemConfig {
        database_url,
        clock: clock.clone(),
        ids: Ids::seeded(clock.clone(), SEED),
        listen: Ports::ANY,
        signer: Some(key::temporary()),
        person_keys: key::temporary_persons(),
        origins: Vec::new(),
        limits: Limits::default(),
        offline: Offline::default(),
        minter: key::temporary_issuer(),
    })
    .await?;
    let clients = system.clients()?;
    let go_to = async |at| {
        clock.advance_to(at);
        Ok(())
    };
    let figures = programme::replay(programme, &clients, go_to, &mut progress).await?;
    // An open connection would keep a server from ending.
    drop(clients);
    system.stop().await?;
    Ok(figures)
}

fn line(figures: &Figures) -> Result<String, Problem> {
    serde_json::to_string(figures)
        .map_err(|error| Problem::new(format!("the figures can't be shown: {error}")))
}

fn show(programme: &Programme, comparisons: &[Comparison]) -> Result<(), Problem> {
    let settings = &programme.settings;
    let day = |at: chrono::DateTime<chrono::Utc>, zone: &Tz| at.with_timezone(zone).date_naive();
    terminal::print(format!(
        "\n{}  {}, {}, {} to {}",
        settings.id,
        settings.name,
        settings.community,
        day(settings.starts, &settings.time_zone),
        day(settings.as_of, &settings.time_zone)
    ))?;
    if !programme.published.is_empty() {
        let source = programme
            .published
            .get("source")
            .map_or(String::new(), text);
        terminal::print(format!("  published  {source}"))?;
        for (name, value) in programme
            .published
            .iter()
            .filter(|(name, _)| *name != "source")
        {
            terminal::print(format!("    {name:<20} {}", text(value)))?;
        }
    }
    terminal::print(format!(
        "    {:<32} {:>12} {:>12}",
        "", "expected", "obtained"
    ))?;
    for comparison in comparisons {
        let mark = match comparison.agrees() {
            Some(true) => "✓",
            Some(false) => "✗",
            None => " ",
        };
        let expected = comparison.expected.as_deref().unwrap_or("-");
        terminal::print(format!(
            "  {mark} {:<32} {:>12} {:>12}",
            comparison.field,
            short(expected),
            short(&comparison.obtained)
        ))?;
    }
    terminal::print(verdict(comparisons))
}

fn verdict(comparisons: &[Comparison]) -> String {
    let count = |wanted| {
        let agrees = comparisons.iter().map(Comparison::agrees);
        agrees.filter(|agrees| *agrees == Some(wanted)).count()
    };
    match (count(true), count(false)) {
        (0, 0) => "  compared with nothing: there is no expected.json".to_owned(),
        (right, 0) => format!("  all {right} figures agree"),
        (right, wrong) => format!("  {wrong} of {} figures differ", right + wrong),
    }
}

fn disagreements(programme: &Programme, comparisons: &[Comparison]) -> Vec<String> {
    comparisons
        .iter()
        .filter(|comparison| comparison.agrees() == Some(false))
        .map(|comparison| {
            format!(
                "{} {} is {} and not {}",
                programme.settings.id,
                comparison.field,
                comparison.obtained,
                comparison.expected.as_deref().unwrap_or_default()
            )
        })
        .collect()
}

/// Enough of a fingerprint to tell it from another.
fn short(value: &str) -> String {
    if value.len() <= 12 {
        return value.to_owned();
    }
    let start: String = value.chars().take(11).collect();
    format!("{start}…")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
