//! Finds the programs of Postgres and runs them.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    Durability, USER,
    folder::Folder,
    last_words,
    spawn::{Account, is_program, spawn_with_us},
};
use crate::Problem;

/// What orders and folds text; the books hold few words, so plain byte order is enough everywhere.
pub(super) const LOCALE: &str = if cfg!(target_os = "linux") {
    "C.UTF-8"
} else {
    "C"
};
const OLDEST: u32 = 15;

/// The folder that holds `initdb` and `postgres` of one version.
#[derive(Debug)]
pub(super) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// Finds programs of the version that made the data, or any version we support when there is no data yet.
    pub(super) fn find(version: Option<u32>) -> Result<Self, Problem> {
        if let Some(bin) = env::var_os("LINLI_PG_BIN").map(PathBuf::from) {
            // Postgres starts in another folder, where a relative path would lead elsewhere.
            return match bin.canonicalize() {
                Ok(bin) if is_bin(&bin) => Ok(Self { bin }),
                _ => Err(Problem::new(format!(
                    "LINLI_PG_BIN={} holds no initdb and postgres",
                    bin.display()
                ))),
            };
        }
        let mut newest = None;
        for bin in candidates() {
            let Some(found) = version_of(&bin) else {
                continue;
            };
            if found >= OLDEST && version.is_none_or(|version| version == found) {
                return Ok(Self { bin });
            }
            newest = newest.max(Some(found));
        }
        Err(Problem::new(match (version, newest) {
            (_, None) => "no PostgreSQL found: install it (Debian: apt-get install postgresql) \
                          or set LINLI_PG_BIN"
                .to_owned(),
            (Some(version), Some(found)) => format!(
                "the data folder was made by PostgreSQL {version} and here is only {found}: \
                 install {version} or set LINLI_PG_BIN"
            ),
            (None, Some(found)) => format!(
                "PostgreSQL {found} is too old: install {OLDEST} or newer, or set LINLI_PG_BIN"
            ),
        }))
    }

    /// Makes a cluster. It comes into being under another name, so one that was cut short is never taken for whole.
    pub(super) fn initdb(
        &self,
        folder: &Folder,
        account: &Account,
        durability: Durability,
    ) -> Result<(), Problem> {
        let failed = |why: &str| Problem::new(format!("can't make a PostgreSQL cluster: {why}"));
        let io_failed = |error: io::Error| failed(&error.to_string());
        let fresh = folder.dir().join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(io_failed)?;
        }
        fs::create_dir(&fresh).map_err(io_failed)?;
        account.own(&fresh)?;
        let mut command = account.command(&self.bin.join("initdb"), folder.dir());
        command
            .args(["--encoding=UTF8", "--auth=trust", "--no-instructions"])
            .arg(format!("--username={USER}"))
            .arg(format!("--locale={LOCALE}"))
            .arg("--pgdata")
            .arg(&fresh)
            .stderr(Stdio::piped())
            .stdout(Stdio::null());
        if durability == Durability::Throwaway {
            command.arg("--no-sync");
        }
        let output = spawn_with_us(command, libc::SIGKILL)
            .and_then(Child::wait_with_output)
            .map_err(io_failed)?;
        if !output.status.success() {
            let log = folder.log();
            fs::write(&log, &output.stderr).map_err(io_failed)?;
            let words = last_words(&log).unwrap_or_else(|| output.status.to_string());
            return Err(failed(&format!("{words} (log: {})", log.display())));
        }
        // Empty: a folder with a cluster has a version, and then nobody comes here.
        fs::remove_dir(folder.data()).map_err(io_failed)?;
        fs::rename(&fresh, folder.data()).map_err(io_failed)
    }

    /// Starts the server; it takes connections a little later.
    pub(super) fn postgres(
        &self,
        folder: &Folder,
        account: &Account,
        socket_folder: &Path,
        durability: Durability,
    ) -> Result<Child, Problem> {
        let failed = |error: io::Error| Problem::new(format!("can't start PostgreSQL: {error}"));
        let log = File::create(folder.log()).map_err(failed)?;
        let mut command = account.command(&self.bin.join("postgres"), folder.dir());
        command
            .arg("-D")
            .arg(folder.data())
            .arg("-k")
            .arg(socket_folder)
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        set(
            &mut command,
            &["listen_addresses=", "port=5432", "log_checkpoints=off"],
        );
        let signal = match durability {
            Durability::Durable => {
                set(
                    &mut command,
                    &["max_connections=200", "shared_buffers=128MB"],
                );
                libc::SIGINT
            }
            Durability::Throwaway => {
                set(
                    &mut command,
                    &[
                        "max_connections=300",
                        "shared_buffers=64MB",
                        "fsync=off",
                        "synchronous_commit=off",
                        "full_page_writes=off",
                    ],
                );
                libc::SIGQUIT
            }
        };
        spawn_with_us(command, signal).map_err(failed)
    }
}

fn set(command: &mut Command, settings: &[&str]) {
    for setting in settings {
        command.arg("-c").arg(setting);
    }
}

/// In the order of preference: what the person has put on the path, then the newest that a package has installed.
fn candidates() -> Vec<PathBuf> {
    let mut bins: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    // On the path may be links or wrapper scripts; only where the links lead are the server's other files.
    bins = bins
        .iter()
        .filter_map(|dir| Some(dir.join("initdb").canonicalize().ok()?.parent()?.to_owned()))
        .collect();
    bins.extend(newest_first("/usr/lib/postgresql", ""));
    bins.extend(newest_first("/usr", "pgsql-"));
    bins.push("/usr/local/pgsql/bin".into());
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"] {
        bins.extend(newest_first(homebrew, "postgresql@"));
    }
    bins.retain(|bin| is_bin(bin));
    bins
}

/// `<parent>/<prefix><version>/bin`, newest version first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return vec![];
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry
                .file_name()
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, bin)| bin).collect()
}

fn is_bin(dir: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| is_program(dir, name))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` is 15.
fn version_of(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres"))
        .arg(OsStr::new("--version"))
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    major.parse().ok()
}
