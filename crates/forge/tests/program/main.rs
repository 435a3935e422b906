//! The other process of the forge's tests: serves the `update` hook, writes until it is killed, holds a lease.
//!
//! `forge-test-program hook REPOSITORY REF OLD NEW`, as the hook starts it, or
//! `forge-test-program COMMAND ROOT ACTOR ARGUMENTS…`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tests read what this program prints")]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use forge::ledger::{Ledger, RecordDraft, RunIdentity, Step, StepResult};
use forge::local::{Clock, LocalForge};
use forge::simulator::{Bypass, MergeOutcome, PushVerdict};
use forge::{CommitOutcome, FileChange, LEDGER_BRANCH, LeaseOutcome, NewRelease, ReleaseOutcome};
use git::{Git, GitOptions};
use lock_model::{BranchName, CommitId, Timestamp, TreePath, UserName};
use process::{EnvVars, Program};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode, Failure> {
    match arguments {
        ["hook", repository, reference, old, new] => {
            let root = Path::new(repository).parent().ok_or("the repository lies in a folder")?;
            let actor = variable("FORGE_TEST_USER").map(UserName::try_from).transpose()?;
            let verdict = open(root, Path::new(repository), actor)?.simulator().judge_update(reference, old, new)?;
            eprintln!("{verdict}");
            Ok(ExitCode::from(u8::from(matches!(verdict, PushVerdict::Refused { .. }))))
        }
        [command, root, actor, rest @ ..] => {
            let root = Path::new(root);
            let forge = open(root, &root.join("shop.git"), Some(UserName::try_from(*actor)?))?;
            serve(&forge, actor, command, rest)
        }
        _ => Err("wrong arguments".into()),
    }
}

fn serve(forge: &LocalForge, actor: &str, command: &str, rest: &[&str]) -> Result<ExitCode, Failure> {
    match (command, rest) {
        ("append", [name, count]) => {
            let count: u64 = count.parse()?;
            for number in 0..count {
                append(forge, actor, &format!("{name}-{number}"))?;
            }
        }
        ("merge", [number, head, bypass]) => {
            let bypass = if *bypass == "bypass" { Bypass::Yes } else { Bypass::No };
            let outcome = forge.simulator().merge(number.parse()?, &CommitId::try_from(*head)?, bypass)?;
            println!("{outcome:?}");
            return Ok(ExitCode::from(u8::from(matches!(outcome, MergeOutcome::Refused { .. }))));
        }
        ("commit", [branch, head, text]) => {
            let change = FileChange::Write { path: TreePath::try_from("lock.yaml")?, bytes: text.as_bytes().to_vec() };
            let (branch, head) = (BranchName::try_from(*branch)?, CommitId::try_from(*head)?);
            let outcome = forge.commit_files(&branch, Some(&head), &[change], "Lock\n")?;
            println!("{outcome:?}");
        }
        ("release", [tag, commit]) => {
            let (tag, commit) = ((*tag).try_into()?, CommitId::try_from(*commit)?);
            let new = NewRelease::new(tag, commit, "The release\n").asset("lock.yaml", b"version: 1\n");
            let outcome = forge.create_release(&new)?;
            println!("{outcome:?}");
            return Ok(ExitCode::from(u8::from(matches!(outcome, ReleaseOutcome::Refused { .. }))));
        }
        ("write-for-ever", [number]) => {
            for round in 0_u64.. {
                // Long, so that there is a moment in which only half of it is on the disk.
                let body = format!("{round} ").repeat(5000);
                forge.upsert_comment(number.parse()?, "endless", &body)?;
                writeln!(std::io::stdout(), "{round}")?;
            }
        }
        ("lease", [environment]) => match forge.lease(&(*environment).try_into()?, "run 1")? {
            LeaseOutcome::Held(lease) => {
                println!("held");
                std::io::stdin().read_to_end(&mut Vec::new())?;
                drop(lease);
            }
            LeaseOutcome::Busy { holder } => {
                println!("busy: {holder:?}");
                return Ok(ExitCode::FAILURE);
            }
        },
        _ => return Err("wrong arguments".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// One record of a ledger as orchestrator writes it: the next number, the tip that was read, again when it moved.
fn append(forge: &LocalForge, actor: &str, reason: &str) -> Result<(), Failure> {
    let branch = BranchName::try_from(LEDGER_BRANCH)?;
    loop {
        let head = forge.branch_head(&branch)?;
        let ledger = match &head {
            Some(head) => {
                let files = forge.list_folder(head, &"records/000".try_into()?)?;
                let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
                let names = files.iter().map(|file| format!("records/000/{}", file.name));
                Ledger::parse(names.zip(forge.blob_contents(&ids)?), None)?
            }
            None => Ledger::empty(),
        };
        let now = Timestamp::from_unix_seconds(1_763_676_000);
        let draft = RecordDraft::new(Step::Hold, StepResult::Ok, RunIdentity::new("run-1", actor), now)
            .environment(&"production".try_into()?)
            .reason(reason);
        let new = ledger.next(draft)?;
        let change = FileChange::Write { path: TreePath::try_from(new.file_name)?, bytes: new.bytes };
        match forge.commit_files(&branch, head.as_ref(), &[change], reason)? {
            CommitOutcome::Committed(_) => return Ok(()),
            CommitOutcome::Moved { .. } => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
}

fn open(root: &Path, repository: &Path, actor: Option<UserName>) -> Result<LocalForge, Failure> {
    let path = variable("PATH").ok_or("there is a PATH")?;
    let program = Program::find("git", path.as_ref())?;
    let options = GitOptions { environment: EnvVars::new().set("PATH", path), ..GitOptions::default() };
    let clock = Clock::fixed(Timestamp::from_unix_seconds(1_763_676_000));
    Ok(LocalForge::open(root, Git::open(&program, repository, options)?, actor, clock)?)
}

#[expect(clippy::disallowed_methods, reason = "this is a program: its environment is its input")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
