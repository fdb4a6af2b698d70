//! What a person at a terminal meets: the real binary, its output and its exit status.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// A loaded machine is slow, but not that slow.
const PATIENCE: Duration = Duration::from_secs(30);

fn linli(args: &[&str]) -> Output {
    linli_with("", args)
}

/// The same with a token.
fn linli_with(token: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linli"))
        .args(args)
        .env_remove("DATABASE_URL")
        .env("LINLI_TOKEN", token)
        .output()
        .unwrap()
}

/// The one line on stderr of a command that failed.
fn failure(output: &Output) -> String {
    assert!(!output.status.success(), "it succeeded");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

fn bishahu() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programmes/bishahu")
}

/// A running `up`; it is killed at the end.
struct Up {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed up to `ready`.
    lines: Vec<String>,
}

impl Up {
    fn start(data: &Path) -> Self {
        let mut command = up(data);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut up = Self {
            child,
            out,
            lines: Vec::new(),
        };
        up.read_to_ready();
        up
    }

    fn read_to_ready(&mut self) {
        loop {
            let mut line = String::new();
            let length = self.out.read_line(&mut line).unwrap();
            assert!(length > 0, "it ended before it was ready: {:?}", self.lines);
            let line = line.trim_end().to_owned();
            let ready = line.starts_with("ready in ") && line.ends_with(" ms");
            self.lines.push(line);
            if ready {
                return;
            }
        }
    }

    fn url(&self, service: &str) -> String {
        let line = self.lines.iter().find(|line| line.starts_with(service));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    }

    fn call(&self, service: &str, method: &str, request: &Value) -> Value {
        let url = self.url(service);
        let call = ["call", method, &request.to_string(), "--address", &url];
        let output = linli_with(&self.token("staff"), &call);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A token of its issuer.
    fn token(&self, role: &str) -> String {
        let data = self.lines.iter().find(|line| line.starts_with("data "));
        let data = data.unwrap().split_whitespace().last().unwrap();
        let output = linli(&["token", "--role", role, "--data", data]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The commands that it offers to paste, each after the one that says who one is.
    fn offered(&self) -> Vec<String> {
        let who = self.lines.iter().find(|line| line.starts_with("export "));
        let who = who.unwrap();
        let commands = self.lines.iter().filter(|line| line.contains(" call "));
        commands
            .map(|command| format!("{who}\n{command}"))
            .collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: no memory is involved, and the child has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `up` on free ports.
fn up(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
    command.arg("up").arg("--data").arg(data);
    for port in [
        "--ledger-port",
        "--activity-port",
        "--redemption-port",
        "--wish-port",
    ] {
        command.args([port, "0"]);
    }
    command
}

/// A folder that the user of Postgres can reach.
fn data_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The answer to a command as a person would get it, who looks at a balance again until the grant is there.
fn pasted(command: &str) -> Value {
    let started = Instant::now();
    loop {
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        let answer: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let arrived = |answer: &Value| answer.get("balance").is_none_or(|balance| balance != "0");
        if let Some(answer) = answer.filter(arrived) {
            return answer;
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(started.elapsed() < PATIENCE, "{command}: {error}");
    }
}

#[test]
fn what_up_offers_to_paste_works() {
    let folder = data_folder();
    let up = Up::start(folder.path());
    let commands = up.offered();
    assert_eq!(commands.len(), 5, "{commands:?}");
    let answers: Vec<Value> = commands.iter().map(|command| pasted(command)).collect();
    assert_eq!(answers[2]["minutes"], "60");
    assert_eq!(answers[3]["balance"], "10");
    assert_eq!(answers[4]["state"], "REDEMPTION_STATE_CAPTURED");
    assert_eq!(answers[4]["capturedPoints"], "5");
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_in_one_line() {
    let folder = data_folder();
    let first = Up::start(folder.path());
    let line = failure(&up(folder.path()).output().unwrap());
    let owner = format!("in use by process {}", first.child.id());
    assert!(line.contains(&owner), "{line}");
}

#[test]
fn a_port_that_is_taken_is_told_in_one_line() {
    let (first, second) = (data_folder(), data_folder());
    let running = Up::start(first.path());
    let url = running.url("ledger");
    let port = url.rsplit(':').next().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
    command.arg("up").arg("--data").arg(second.path());
    command
        .args(["--ledger-port", port])
        .env("RUST_LOG", "error");
    let line = failure(&command.output().unwrap());
    assert!(line.contains(&format!("port {port} is taken")), "{line}");
}

#[test]
fn what_was_done_survives_a_kill() {
    let folder = data_folder();
    let up = Up::start(folder.path());
    let member: Value = {
        let command = &up.offered()[0];
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    up.kill();

    let mut up = Up::start(folder.path());
    let found = up.call("activity", "GetMember", &json!({ "name": member["name"] }));
    assert_eq!(found, member);
    up.signal(libc::SIGTERM);
    assert!(up.child.wait().unwrap().success());
}

#[test]
fn a_key_that_persons_are_sealed_under_is_missed_at_the_start() {
    let folder = data_folder();
    let mut first = Up::start(folder.path());
    pasted(&first.offered()[0]);
    first.signal(libc::SIGTERM);
    assert!(first.child.wait().unwrap().success());
    let file = folder.path().join("person.keys");
    let old = std::fs::read_to_string(&file).unwrap();
    let new = String::from_utf8(linli(&["key", "person"]).stdout).unwrap();
    let (id, secret) = old.trim().split_once(':').unwrap();

    std::fs::write(&file, &new).unwrap();
    let line = failure(&up(folder.path()).env("RUST_LOG", "error").output().unwrap());
    let told = format!("there is no person key {id:?}, under which 1 are sealed");
    assert!(line.contains(&told) && !line.contains(secret), "{line}");

    std::fs::write(&file, new + &old).unwrap();
    Up::start(folder.path());
}

#[test]
fn a_refused_call_is_one_line_with_its_code_and_reason() {
    let folder = data_folder();
    let up = Up::start(folder.path());
    let url = up.url("activity");
    let request = r#"{"name":"communities/x/members/y"}"#;
    let call = ["call", "GetMember", request, "--address", &url];
    let line = failure(&linli_with(&up.token("staff"), &call));
    assert!(
        line.starts_with("linli: GetMember: INVALID_ARGUMENT INVALID_FIELD: name: "),
        "{line}"
    );
    let line = failure(&linli(&call));
    assert_eq!(
        line,
        "linli: GetMember: UNAUTHENTICATED TOKEN_MISSING: the call needs a token: authorization: Bearer …"
    );
    let line = failure(&linli_with(&up.token("merchant"), &call));
    assert!(
        line.starts_with("linli: GetMember: PERMISSION_DENIED ROLE_NOT_ALLOWED: "),
        "{line}"
    );
}

#[test]
fn the_demo_obtains_what_is_expected() {
    let folder = bishahu();
    let output = linli(&["demo", "--json", folder.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let obtained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(obtained, expected);
}

/// Rewards in fen: 20 yuan an hour, at most 50 a day, of 100 altogether.
const CASH: &str = r#"
[programme]
id = "cash"
name = "随手拍"
community = "碧沙湖社区"
time_zone = "Asia/Shanghai"
starts = "2024-01-01T00:00:00+08:00"
as_of = "2024-03-01T00:00:00+08:00"
[asset]
code = "CNY"
exponent = 2
[budget]
issuable = 10000
[[earn]]
source = "service"
category = "*"
per_hour = 2000
[[cap]]
source = "service"
period = "day"
limit = 5000
"#;

#[test]
fn rewards_in_money_are_replayed_to_the_fen() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("programme.toml", CASH);
    write(
        "members.csv",
        "member_no,name,kind,team_no,birth_year,joined\n\
         M1,居民一,resident,,1990,2024-01-01\nM2,居民二,courier,,1980,2024-01-01\n",
    );
    let service = |number: &str, member: &str, day: &str, end: &str| {
        format!(
            "{number},{member},member,patrol,round,2024-01-{day}T09:00:00+08:00,2024-01-{day}T{end}:00+08:00,2024-01-{day}T20:00:00+08:00,STAFF01,verified\n"
        )
    };
    let services = [
        // 50 minutes are 16.66 yuan; three hours are cut to 50; an hour is 20; another has only 13.34 left and waits.
        service("R1", "M1", "02", "09:50"),
        service("R2", "M2", "03", "12:00"),
        service("R3", "M1", "04", "10:00"),
        service("R4", "M2", "05", "10:00"),
    ];
    let heading =
        "record_no,member_no,role,category,activity,start,end,verified_at,verified_by,outcome\n";
    write("services.csv", &(heading.to_owned() + &services.concat()));

    let output = linli(&["demo", "--json", folder.path().to_str().unwrap()]);

    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let obtained: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figure = |name: &str| obtained[name].as_i64().unwrap();
    assert_eq!((figure("granted"), figure("outstanding")), (8_666, 8_666));
    assert_eq!(figure("awaiting_budget"), 2_000);
    assert_eq!((figure("grants"), figure("spent")), (3, 0));
}

#[test]
fn a_broken_folder_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(bishahu()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let services = folder.path().join("services.csv");
    let text = std::fs::read_to_string(&services).unwrap();
    std::fs::write(&services, text.replacen(",M0034,", ",M9999,", 1)).unwrap();
    let line = failure(&linli(&["demo", folder.path().to_str().unwrap()]));
    assert!(
        line.ends_with("services.csv line 4: member_no is not known: \"M9999\""),
        "{line}"
    );
}

#[test]
fn a_database_that_is_not_named_is_told_in_one_line() {
    for args in [&["migrate"][..], &["serve", "ledger"]] {
        let line = failure(&linli(args));
        assert!(line.contains("DATABASE_URL is not set"), "{line}");
    }
}

#[test]
fn a_service_that_is_not_there_is_told_in_one_line() {
    let line = failure(&linli(&[
        "call",
        "GetMember",
        "{}",
        "--address",
        "http://127.0.0.1:1",
    ]));
    assert!(
        line.starts_with("linli: no service answers at http://127.0.0.1:1 "),
        "{line}"
    );
}

#[test]
fn a_receipt_holds_without_the_ledger_and_what_was_edited_is_named() {
    let folder = data_folder();
    let mut up = Up::start(folder.path());
    let commands = up.offered();
    for command in &commands[..3] {
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        assert!(output.status.success(), "{command}");
    }
    let member: Vec<&str> = commands[3]
        .split('"')
        .filter(|text| text.starts_with("communities/"))
        .collect();
    let community = member[0].split("/accounts/").next().unwrap();
    let entry = format!("{community}/entries/1");
    let file = folder.path().join("receipt.json");
    let (url, path) = (up.url("ledger"), file.to_str().unwrap());
    let fetch = ["receipt", &entry, "--address", &url, "-o", path];
    // The grant reaches the ledger moments after the verification.
    let token = up.token("staff");
    let fetched = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        linli_with(&token, &fetch).status.success()
    });
    assert!(fetched, "{:?}", linli_with(&token, &fetch));
    // Proofs outlive who they are about.
    let name = commands[1]
        .split('"')
        .find(|text| text.contains("/members/"));
    let erase =
        json!({"name": name, "reason": "asked for it", "requestId": uuid::Uuid::from_u128(7)});
    let erased = up.call("activity", "EraseMember", &erase);
    assert!(
        erased["eraseTime"].is_string() && erased.get("maskedName").is_none_or(|name| name == "")
    );
    let key = up.url("key");
    up.signal(libc::SIGTERM);
    assert!(up.child.wait().unwrap().success());

    let output = linli(&["receipt", "check", path, "--key", &key]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success() && text.starts_with("valid: entry 1 of community "),
        "{output:?}"
    );
    let verify = [
        "verify",
        "--data",
        folder.path().to_str().unwrap(),
        "--key",
        &key,
    ];
    let output = linli(&verify);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success() && text.starts_with("verified 1 entries"),
        "{output:?}"
    );

    let receipt = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, receipt.replace("\"amount\": 10,", "\"amount\": 11,")).unwrap();
    let line = failure(&linli(&["receipt", "check", path, "--key", &key]));
    assert!(
        line.ends_with("proves nothing: the leaf does not say what the entry says"),
        "{line}"
    );
}

#[test]
fn ready_is_the_last_line_and_ctrl_c_ends_it_well() {
    let folder = data_folder();
    let mut up = Up::start(folder.path());
    up.signal(libc::SIGINT);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut up.out, &mut rest).unwrap();
    assert_eq!(rest, "");
    assert!(up.child.wait().unwrap().success());
}
