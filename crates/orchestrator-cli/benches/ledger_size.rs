//! `status` on a ledger of 100,000 records and 500 MB of documents: `cargo bench --bench ledger_size`.
//!
//! Without `--bench` the ledger is small, and the bench shows only that it works.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use git::{Git, GitOptions, InitOptions};
use ledger::{Evidence, Ledger, ProofLevel, RecordDraft, RunIdentity, Step, StepResult, SuiteRef};
use lock_model::{Digest, EnvironmentName, LEDGER_BRANCH, Timestamp};
use process::{EnvVars, Program};
use test_support::measure::{Mode, Quantity, Table};
use test_support::{Repository, Sandbox};

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const DOCUMENT_BYTES: usize = 50_000;
/// A record in ten names a document of its own.
const RECORDS_A_DOCUMENT: usize = 10;

const CONFIGURATION: &str = r#"version: 1
project: { prefix: shop- }
branches: { integration: main, staging: staging, production: production }
forge: { kind: local, repository: "https://forge.example/shop/shop" }
images: { repository: "registry.example/shop/{short}", tags: ["main-{sha}"], platforms: [linux/amd64], revision: warn }
services:
- { match: "**" }
base:
  target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}" }
  deploy: ["services/*"]
environments:
  staging: { mode: staging, namespace: staging }
  production: { mode: production, namespace: production }
"#;

fn main() {
    let mode = Mode::from_arguments();
    let records = mode.choose(100_000, 2_100);
    let sandbox = Sandbox::new();
    make_shop(&sandbox.join("shop.git"), records);
    let clone = sandbox.join("shop");
    drop(Repository::clone_from(sandbox.join("shop.git"), &clone));
    let init = ["-C", "shop.git", "forge", "init", "--user", "ana:write"];
    sandbox.orchestrator_at(env!("CARGO_BIN_EXE_orchestrator")).args(init).run().expect_code(0);

    let fresh = status(&sandbox, &clone);
    let warm = (0..mode.choose(5, 1)).map(|_| status(&sandbox, &clone)).min().unwrap();
    let mut table = Table::new("ledger");
    let limit = |seconds| Quantity::Time(Duration::from_secs(seconds));
    let memory = Quantity::Bytes(300_000_000);
    table.at_most("`status`, 100,000 records, warm", Quantity::Time(warm.0), None, limit(1));
    table.at_most("the same in a fresh clone", Quantity::Time(fresh.0), None, limit(30));
    table.at_most("memory, warm", Quantity::Bytes(warm.1), None, memory);
    table.at_most("memory, in a fresh clone", Quantity::Bytes(fresh.1), None, memory);
    table.finish(mode);
}

/// The time of one `status`, and the most memory that it had at once.
fn status(sandbox: &Sandbox, clone: &Path) -> (Duration, u64) {
    let start = Instant::now();
    let running = sandbox.orchestrator_at(env!("CARGO_BIN_EXE_orchestrator")).current_dir(clone).arg("status").start();
    let process = format!("/proc/{}/status", running.id());
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        // A process that has ended has no memory any more.
        while let Ok(status) = fs::read_to_string(&process) {
            let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { break };
            peak = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let finished = running.wait().expect_code(0);
    let time = start.elapsed();
    assert!(finished.stdout().contains("production"), "{}", finished.stdout());
    (time, watcher.join().unwrap())
}

/// A bare repository with a configuration, and a ledger with one commit a record.
fn make_shop(folder: &Path, records: usize) {
    let program = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
    let environment = EnvVars::new().set("PATH", SEARCH_PATH).set("HOME", folder.parent().unwrap());
    let options = GitOptions { environment, deadline: Duration::from_secs(3_600), ..GitOptions::default() };
    let git = Git::init(&program, folder, &InitOptions { bare: true, ..InitOptions::default() }, options).unwrap();
    let mut stream = Vec::new();
    let begin = |branch: &str| {
        format!("commit refs/heads/{branch}\ncommitter T <t@shop.example> 1700000000 +0000\ndata 1\nx\n").into_bytes()
    };
    for branch in ["main", "staging", "production"] {
        stream.extend(begin(branch));
        file(&mut stream, "orchestrator.yaml", CONFIGURATION.as_bytes());
    }
    import(&git, stream);
    let mut ledger = Ledger::empty();
    let mut stream = Vec::new();
    for number in 0..records {
        let mut draft = draft(number);
        stream.extend(begin(LEDGER_BRANCH));
        if number > 0 && number % 5_000 == 0 {
            // Each import begins where the last one ended.
            writeln!(stream, "from refs/heads/{LEDGER_BRANCH}^0").unwrap();
        }
        if number % RECORDS_A_DOCUMENT == 0 {
            let document = noise(number);
            let evidence = Evidence { name: "plan.json".to_owned(), sha256: Digest::of(&document) };
            file(&mut stream, &evidence.path(), &document);
            draft.evidence.push(evidence);
        }
        let new = ledger.next(draft).unwrap();
        file(&mut stream, &new.file_name, &new.bytes);
        ledger.push(&new).unwrap();
        if (number + 1) % 5_000 == 0 {
            import(&git, std::mem::take(&mut stream));
        }
    }
    import(&git, stream);
}

fn file(stream: &mut Vec<u8>, path: &str, bytes: &[u8]) {
    writeln!(stream, "M 100644 inline {path}\ndata {}", bytes.len()).unwrap();
    stream.extend(bytes);
    stream.push(b'\n');
}

fn import(git: &Git, stream: Vec<u8>) {
    if !stream.is_empty() {
        let import = git.invocation(["fast-import", "--quiet", "--force"]).stdin(stream).run().unwrap().checked();
        drop(import.unwrap());
    }
}

/// Hexadecimal digits without a pattern, others for each number.
fn noise(number: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DOCUMENT_BYTES);
    let mut block = Digest::of(number.to_string().as_bytes());
    while bytes.len() < DOCUMENT_BYTES {
        bytes.extend(block.hex().as_bytes());
        block = Digest::of(block.hex().as_bytes());
    }
    bytes
}

/// The steps of one release after another, as a run records them.
fn draft(number: usize) -> RecordDraft {
    use StepResult::{Ok as Done, Started};
    const STEPS: [(Step, StepResult); 10] = [
        (Step::Gates, Done),
        (Step::Health, Done),
        (Step::Deploy, Started),
        (Step::Deploy, Done),
        (Step::Verify, Done),
        (Step::Suite, Started),
        (Step::Suite, Done),
        (Step::Proof, Done),
        (Step::Promote, Started),
        (Step::Promote, Done),
    ];
    let (step, result) = STEPS[number % STEPS.len()];
    let stay = number / STEPS.len();
    let environment: EnvironmentName = if stay.is_multiple_of(2) { "staging" } else { "production" }.parse().unwrap();
    let word = |what: &str| Digest::of(format!("{what} {}", stay / 2).as_bytes());
    let seconds = 1_700_000_000 + i64::try_from(number).unwrap();
    let run = RunIdentity { nonce: Some("14689".to_owned()), ..RunIdentity::new("local", "orchestrator") };
    let mut draft =
        RecordDraft::new(step, result, run, Timestamp::from_unix_seconds(seconds)).environment(&environment);
    draft.release = Some(word("release").as_str().try_into().unwrap());
    draft.lock = Some(word("lock").as_str().try_into().unwrap());
    draft.lock_file = Some(word("file"));
    draft.config = Some(word("config").as_str().try_into().unwrap());
    draft.commit = Some(word("commit").hex().get(..40).unwrap().try_into().unwrap());
    draft.tree = Some(word("tree").hex().get(..40).unwrap().try_into().unwrap());
    if step == Step::Suite {
        draft.suite =
            Some(SuiteRef { name: "system".try_into().unwrap(), digest: word("suite").as_str().try_into().unwrap() });
    }
    if step == Step::Proof {
        draft.proof = Some(ProofLevel::Stored);
    }
    draft
}
