//! A private PostgreSQL from the programs on this machine: a data folder of its own, reached only through a Unix socket
//! that nobody else can open. It ends with this process, even on `kill -9`, and a start after such an end recovers.

mod folder;
mod programs;
mod spawn;

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use self::{folder::Folder, programs::Programs, spawn::Account};
use crate::Problem;

/// The superuser of a private cluster; there is no password, the socket's folder is the door.
const USER: &str = "linli";
/// `sun_path` has 108 bytes, the last of them zero.
const MAX_SOCKET_PATH: usize = 107;
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// Recovery after a crash replays the log, which can take a while.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether what is committed must survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As any production database.
    Durable,
    /// Faster; for tests and demonstrations, whose data nobody needs afterwards.
    Throwaway,
}

/// A running private cluster; dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    /// Percent-encoded for addresses.
    socket_folder: String,
    durability: Durability,
    // Fields drop in this order, after `drop` has stopped Postgres: the folder's lock goes last but one, then what is
    // temporary.
    folder: Folder,
    _short_socket_folder: Option<TempDir>,
    temporary: Option<PathBuf>,
}

impl Postgres {
    /// Starts a cluster in `dir`, and makes it first if there is none. It blocks until Postgres takes connections.
    pub fn start(dir: &Path, durability: Durability) -> Result<Self, Problem> {
        let account = Account::of_postgres();
        let folder = Folder::open(dir, &account)?;
        let programs = Programs::find(folder.version()?)?;
        folder.wait_for_old_postmaster()?;
        if folder.version()?.is_none() {
            programs.initdb(&folder, &account, durability)?;
        }
        let (socket_folder, short) = socket_folder(&folder, &account)?;
        let child = programs.postgres(&folder, &account, &socket_folder, durability)?;
        let mut postgres = Self {
            child,
            socket_folder: percent_encoded(&socket_folder)?,
            durability,
            folder,
            _short_socket_folder: short,
            temporary: None,
        };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    /// Starts a throwaway cluster in a folder for temporary files, which is removed when it stops. What killed
    /// processes have left there is removed first.
    pub fn temporary() -> Result<Self, Problem> {
        Self::temporary_with(Durability::Throwaway)
    }

    /// The same as durable as asked for: what commits then costs is what it costs anywhere.
    pub fn temporary_with(durability: Durability) -> Result<Self, Problem> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let parent = std::env::temp_dir();
        folder::remove_stale(&parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!(
            "{}{}-{number}",
            folder::TEMPORARY,
            std::process::id()
        ));
        match Self::start(&dir, durability) {
            Ok(mut postgres) => {
                postgres.temporary = Some(dir);
                Ok(postgres)
            }
            Err(problem) => {
                let _ = fs::remove_dir_all(&dir);
                Err(problem)
            }
        }
    }

    /// The address of a database in it; `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@localhost/{database}?host={}",
            self.socket_folder
        )
    }

    /// Stops it in good order and waits for its end.
    pub fn stop(self) {
        drop(self);
    }

    fn wait_until_ready(&mut self) -> Result<(), Problem> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if self.folder.is_ready(self.child.id()) {
                return Ok(());
            }
            let exited = self
                .child
                .try_wait()
                .map_err(|error| Problem::new(format!("can't watch PostgreSQL: {error}")))?;
            if exited.is_some() {
                return Err(self.folder.why_not_started());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Problem::new(format!(
            "PostgreSQL did not start within {} s: see {}",
            START_TIMEOUT.as_secs(),
            self.folder.log().display()
        )))
    }

    fn end(&mut self) {
        // Fast shutdown; nothing in a throwaway cluster is worth the wait.
        let first = match self.durability {
            Durability::Durable => libc::SIGINT,
            Durability::Throwaway => libc::SIGQUIT,
        };
        for signal in [first, libc::SIGQUIT, libc::SIGKILL] {
            spawn::signal(self.child.id(), signal);
            let asked = Instant::now();
            while asked.elapsed() < STOP_TIMEOUT {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
        if let Some(dir) = &self.temporary {
            // What can't be removed now is removed by the next one.
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// The socket lives beside the data, unless that path is too long for a socket.
fn socket_folder(
    folder: &Folder,
    account: &Account,
) -> Result<(PathBuf, Option<TempDir>), Problem> {
    let beside = folder.run();
    if beside.as_os_str().len() + SOCKET_NAME.len() <= MAX_SOCKET_PATH {
        return Ok((beside, None));
    }
    let short = tempfile::Builder::new()
        .prefix("linli-")
        .tempdir_in("/tmp")
        .map_err(|error| Problem::new(format!("no folder for a socket in /tmp: {error}")))?;
    account.own(short.path())?;
    Ok((short.path().to_owned(), Some(short)))
}

fn percent_encoded(path: &Path) -> Result<String, Problem> {
    let path = path.to_str().ok_or_else(|| {
        Problem::new(format!(
            "{} is not UTF-8: choose another folder",
            path.display()
        ))
    })?;
    Ok(path
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect())
}

/// The line in which Postgres says why it gives up, from the end of its log.
fn last_words(log: &Path) -> Option<String> {
    let mut file = fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(16 * 1024)))
        .ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    // On a full disk Postgres stumbles on, and its last line is then about something else.
    if tail.contains("No space left on device") || tail.contains("Check free disk space") {
        return Some("the disk is full".to_owned());
    }
    let grave = ["FATAL:", "PANIC:", "error:", "could not"];
    let telling = |line: &&str| grave.iter().any(|word| line.contains(word));
    Some(tail.lines().rev().find(telling)?.trim().to_owned())
}
