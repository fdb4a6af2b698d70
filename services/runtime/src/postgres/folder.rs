//! The folder of a private cluster: `data` and `run`, both Postgres' own, its log, and a lock that says who uses it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    last_words,
    spawn::{self, Account},
};
use crate::Problem;

pub(super) const TEMPORARY: &str = "linli-pg-";
const OLD_POSTMASTER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Held, not read: the lock on it ends with this value or with the process, whichever way that ends.
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, and locks it.
    pub(super) fn open(dir: &Path, account: &Account) -> Result<Self, Problem> {
        let wrong = |error: io::Error| {
            Problem::new(format!(
                "can't use the data folder {}: {error}: choose another one",
                dir.display()
            ))
        };
        fs::create_dir_all(dir).map_err(wrong)?;
        let dir = dir.canonicalize().map_err(wrong)?;
        let lock = lock(&dir)?;
        open_new(&dir).map_err(wrong)?;
        reachable(&dir, account)?;
        for name in ["data", "run"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(wrong)?;
            account.own(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(wrong)?;
        }
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The major version of the cluster in it, if there is one.
    pub(super) fn version(&self) -> Result<Option<u32>, Problem> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Problem::new(format!(
                "can't read {}: {error}",
                path.display()
            ))),
        }
    }

    /// After a `kill -9` of its owner, a Postgres is on its way out: lets it finish.
    pub(super) fn wait_for_old_postmaster(&self) -> Result<(), Problem> {
        let started = Instant::now();
        while let Some(pid) = self.postmaster_pid() {
            if !spawn::is_alive(pid) {
                break;
            }
            if !spawn::is_postgres(pid) {
                // In a container ids are small and soon used again; Postgres would take the stranger for itself.
                let _ = fs::remove_file(self.data().join("postmaster.pid"));
                break;
            }
            if started.elapsed() > OLD_POSTMASTER_TIMEOUT {
                return Err(in_use(&self.dir, &pid.to_string()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether the postmaster `pid` takes connections: it says so on the eighth line of its pid file.
    pub(super) fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(&pid.to_string()) && lines.nth(6) == Some("ready")
    }

    pub(super) fn why_not_started(&self) -> Problem {
        let log = self.log();
        let words = last_words(&log).unwrap_or_else(|| "it gave no reason".to_owned());
        Problem::new(format!(
            "PostgreSQL did not start: {words} (log: {})",
            log.display()
        ))
    }

    fn postmaster_pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }
}

/// Removes the temporary folders of processes that are gone.
pub(super) fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            name.strip_prefix(TEMPORARY)?
                .split('-')
                .next()?
                .parse()
                .ok()
        });
        // The lock as well, because ids of another container mean nothing here.
        if let Some(pid) = pid
            && !spawn::is_alive(pid)
            && lock(&entry.path()).is_ok()
        {
            // What belongs to another user stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn lock(dir: &Path) -> Result<File, Problem> {
    let path = dir.join("lock");
    let wrong = |error: io::Error| {
        Problem::new(format!(
            "can't write {}: {error}: choose another folder",
            path.display()
        ))
    };
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            return Err(in_use(dir, owner.trim()));
        }
        Err(TryLockError::Error(error)) => return Err(wrong(error)),
    }
    file.set_len(0).map_err(wrong)?;
    writeln!(file, "{}", std::process::id()).map_err(wrong)?;
    Ok(file)
}

fn in_use(dir: &Path, pid: &str) -> Problem {
    Problem::new(format!(
        "the data folder {} is in use by process {pid}: stop it or choose another folder",
        dir.display()
    ))
}

/// A new folder may be closed to all but us (a umask, a temporary folder); one that holds anything else is not ours to open.
fn open_new(dir: &Path) -> io::Result<()> {
    // The lock is in it already.
    if fs::read_dir(dir)?.count() > 1 {
        return Ok(());
    }
    let mode = fs::metadata(dir)?.mode() & 0o777;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o711))
}

/// Every folder on the way must be open to the user that Postgres runs as.
fn reachable(dir: &Path, account: &Account) -> Result<(), Problem> {
    for ancestor in dir.ancestors() {
        let Ok(metadata) = fs::metadata(ancestor) else {
            continue;
        };
        let execute = if metadata.uid() == account.uid {
            0o100
        } else if metadata.gid() == account.gid {
            0o010
        } else {
            0o001
        };
        if metadata.mode() & execute == 0 {
            return Err(Problem::new(format!(
                "PostgreSQL runs as {}, to whom {} is closed: choose a data folder outside it, \
                 or open it with `chmod o+x {}`",
                account.name,
                ancestor.display(),
                ancestor.display()
            )));
        }
    }
    Ok(())
}
