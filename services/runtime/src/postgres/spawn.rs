//! Starts the programs of Postgres: as the right user, and so that they end when we end.

use std::{
    ffi::{CStr, OsStr},
    io,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
};

use crate::Problem;

/// Who Postgres runs as: it refuses to run as root.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether we are root and have to change to it.
    change: bool,
}

impl Account {
    pub(super) fn of_postgres() -> Self {
        // SAFETY: these calls have no conditions.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        if uid != 0 {
            return Self {
                name: "this user".to_owned(),
                uid,
                gid,
                change: false,
            };
        }
        [c"postgres", c"nobody"]
            .into_iter()
            .find_map(Self::named)
            .unwrap_or(Self {
                name: "nobody".to_owned(),
                uid: 65534,
                gid: 65534,
                change: true,
            })
    }

    fn named(name: &CStr) -> Option<Self> {
        // The answer is a static buffer, which another thread may overwrite between the call and the reads.
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _lock = ONE_AT_A_TIME.lock().ok()?;
        // SAFETY: `name` ends with a zero byte; the answer is null or valid until the next call, which the lock holds off.
        let (uid, gid) = unsafe {
            let entry = libc::getpwnam(name.as_ptr());
            if entry.is_null() {
                return None;
            }
            ((*entry).pw_uid, (*entry).pw_gid)
        };
        Some(Self {
            name: format!("user {}", name.to_string_lossy()),
            uid,
            gid,
            change: true,
        })
    }

    /// Gives a folder of ours to Postgres.
    pub(super) fn own(&self, path: &Path) -> Result<(), Problem> {
        if !self.change {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(|error| {
            Problem::new(format!(
                "can't give {} to {}: {error}",
                path.display(),
                self.name
            ))
        })
    }

    /// A command with a clean environment: settings of another Postgres must not reach ours.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", super::programs::LOCALE)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            // Ctrl-C is for us; we stop Postgres when the services have ended.
            .process_group(0);
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", path);
        }
        if self.change {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// Starts `command` so that it gets `signal` when this process ends, even by `kill -9`.
///
/// Linux sends it when the thread that started the command ends, so one thread that never ends starts them all.
pub(super) fn spawn_with_us(command: Command, signal: i32) -> io::Result<Child> {
    struct Job {
        command: Command,
        started: mpsc::Sender<io::Result<Child>>,
    }
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                for mut job in queue {
                    // Nobody waits any more: then the child is killed with its handle lost, at our end.
                    let _ = job.started.send(job.command.spawn());
                }
            })
            .expect("a thread can be started");
        jobs
    });
    let mut command = command;
    end_with_us(&mut command, signal);
    let (started, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts PostgreSQL is gone");
    spawner
        .send(Job { command, started })
        .map_err(|_| io::Error::other("the thread that starts PostgreSQL is gone"))?;
    answer.recv().map_err(gone)?
}

#[cfg(target_os = "linux")]
fn end_with_us(command: &mut Command, signal: i32) {
    let parent = i32::try_from(std::process::id()).unwrap_or(0);
    let arm = move || {
        // SAFETY: both calls are async-signal-safe and touch no memory of ours.
        let alone = unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::getppid() != parent
        };
        if alone {
            // We ended before the line above.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes only async-signal-safe calls and allocates nothing.
    unsafe { command.pre_exec(arm) };
}

/// Other systems have no such signal: there a cluster outlives a `kill -9`, and the next start says so.
#[cfg(not(target_os = "linux"))]
fn end_with_us(_command: &mut Command, _signal: i32) {}

pub(super) fn signal(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: no memory is involved; the child has not been waited for, so the id is still its own.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Whether there is a process with this id, ours or not.
pub(super) fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 only asks.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether the process is a Postgres. Where that can't be seen, every process is taken for one.
pub(super) fn is_postgres(pid: u32) -> bool {
    match std::fs::read(format!("/proc/{pid}/comm")) {
        Ok(name) => name.trim_ascii() == b"postgres",
        Err(_) => !Path::new("/proc/self/comm").exists(),
    }
}

pub(super) fn is_program(dir: &Path, name: impl AsRef<OsStr>) -> bool {
    dir.join(name.as_ref()).is_file()
}
