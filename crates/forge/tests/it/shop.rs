//! The forge of a small shop: a bare repository, a clone to push from, six people and a robot.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use forge::ledger::{Ledger, RecordDraft, RunIdentity, Step, StepResult};
use forge::local::{Clock, LocalForge};
use forge::simulator::{self, ForgeSettings, HookProgram};
use forge::{
    BranchRules, CommitOutcome, FileChange, LEDGER_BRANCH, NewPullRequest, OpenOutcome, PullRequest, RefPattern,
    RequiredStatus, Role, StatusState, User, WriteOutcome,
};
use git::{Git, GitOptions};
use lock_model::{BranchName, CommitId, EnvironmentName, Timestamp, UserName};
use process::{EnvVars, Program};
use test_support::{GitAnswer, Repository, START, Sandbox};

pub(crate) struct Shop {
    sandbox: Sandbox,
    pub(crate) bare: Repository,
    pub(crate) work: Repository,
    minutes: Arc<AtomicI64>,
}

/// Where the tests' pushers say who they are.
pub(crate) const ACTOR_VARIABLE: &str = "FORGE_TEST_USER";

impl Shop {
    /// `main`, `staging` and `dev` at one commit; `main` and `staging` protected; the robot may push.
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let bare = sandbox.bare_repository("shop.git");
        let work = sandbox.repository("work");
        work.git(&["remote", "add", "origin", "../shop.git"]);
        work.write("README.md", "The shop\n").submodule("services/cart", "../cart.git", &"1".repeat(40));
        work.commit("The shop");
        for branch in ["main", "staging", "dev"] {
            work.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        }
        work.branch("dev");
        simulator::init(sandbox.path(), &settings()).unwrap();
        Self { sandbox, bare, work, minutes: Arc::default() }
    }

    /// Another shop with the same files.
    pub(crate) fn copy(&self) -> Self {
        let sandbox = Sandbox::new();
        for folder in ["shop.git", "work", "forge"] {
            copy_folder(&self.sandbox.join(folder), &sandbox.join(folder));
        }
        let (bare, work) = (Repository::open(sandbox.join("shop.git")), Repository::open(sandbox.join("work")));
        Self { sandbox, bare, work, minutes: Arc::default() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.sandbox.path()
    }

    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root().join("forge").join(path)
    }

    /// The forge as a user sees it, by the shop's clock.
    pub(crate) fn forge(&self, actor: &str) -> LocalForge {
        let minutes = self.minutes.clone();
        let clock = Clock::new(move || at(minutes.load(Ordering::Relaxed)));
        LocalForge::open(self.root(), self.git(), Some(user(actor)), clock).unwrap()
    }

    /// Sets the shop's clock.
    pub(crate) fn at(&self, minutes: i64) {
        self.minutes.store(minutes, Ordering::Relaxed);
    }

    pub(crate) fn git(&self) -> Git {
        let program = Program::find("git", &search_path()).unwrap();
        let environment = EnvVars::new().set("PATH", search_path());
        Git::open(&program, self.bare.path(), GitOptions { environment, ..GitOptions::default() }).unwrap()
    }

    /// Puts the hook in place; from here on every push is judged.
    pub(crate) fn install_hook(&self) {
        let program = HookProgram::new(program(), ["hook"]);
        assert_eq!(self.forge("root").simulator().install_hook(&program).unwrap(), WriteOutcome::Created);
    }

    /// Commits on `dev` in the clone and pushes it.
    pub(crate) fn push_dev(&self, path: &str, text: &str) -> CommitId {
        self.work.write(path, text);
        let commit = self.work.commit(&format!("Change {path}"));
        self.work.git(&["push", "--quiet", "origin", "HEAD:refs/heads/dev"]);
        commit_id(&commit)
    }

    /// Pushes as somebody, whatever comes of it.
    pub(crate) fn push_as(&self, actor: &str, arguments: &[&str]) -> GitAnswer {
        let mut all = vec!["push", "--quiet", "origin"];
        all.extend(arguments);
        self.work.try_git_with(&all, &[(ACTOR_VARIABLE, actor)])
    }

    /// A pull request from `dev` into `staging` with one new commit.
    pub(crate) fn pull(&self) -> PullRequest {
        self.push_dev("news.txt", "news\n");
        self.open("dev", "staging")
    }

    pub(crate) fn open(&self, head: &str, base: &str) -> PullRequest {
        self.at(1);
        match self.forge("ana").open_pull_request(&new_pull(head, base)).unwrap() {
            OpenOutcome::Created(pull) => pull,
            OpenOutcome::Exists(pull) => panic!("{pull:?} is open already"),
        }
    }

    /// Everything green that `staging` asks for.
    pub(crate) fn green(&self, commit: &CommitId) {
        for context in ["orchestrator/lock", "orchestrator/suites"] {
            self.at(2);
            self.forge("robot").set_status(commit, None, context, StatusState::Success, "fine").unwrap();
        }
    }

    pub(crate) fn rev(&self, revision: &str) -> CommitId {
        commit_id(&self.bare.rev(revision))
    }

    /// The other process, with arguments `COMMAND ROOT ACTOR …`.
    pub(crate) fn program(&self, path: OsString, command: &str, actor: &str, arguments: &[&str]) -> Command {
        let mut program = Command::new(program());
        program.env_clear().env("PATH", path).stdin(Stdio::null());
        program.arg(command).arg(self.root()).arg(actor).args(arguments);
        program
    }

    pub(crate) fn start(&self, command: &str, actor: &str, arguments: &[&str]) -> Child {
        let mut program = self.program(search_path(), command, actor, arguments);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run(&self, path: OsString, command: &str, actor: &str, arguments: &[&str]) -> Output {
        self.program(path, command, actor, arguments).output().unwrap()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The built test program.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_forge-test-program"))
}

pub(crate) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap()
}

pub(crate) fn settings() -> ForgeSettings {
    let person = |name: &str, role| User::person(user(name), role);
    let status = |context: &str| RequiredStatus::new(context, Some(user("robot")));
    let staging =
        BranchRules::new(vec![status("orchestrator/lock"), status("orchestrator/suites")], vec![user("robot")]);
    let main = BranchRules::new(vec![status("orchestrator/staging-proof")], Vec::new());
    let mut settings = ForgeSettings::default();
    settings.users = vec![
        person("ana", Role::Write),
        person("ben", Role::Write),
        person("cara", Role::Write),
        person("rita", Role::Read),
        person("root", Role::Admin),
        User::bot(user("robot"), Role::Write),
    ];
    settings.reserved = RefPattern::defaults();
    settings.branches = [(branch("main"), main), (branch("staging"), staging)].into();
    settings
}

/// The ledger at a commit of its branch, of fewer than a thousand records.
pub(crate) fn ledger_of(forge: &LocalForge, head: Option<&CommitId>) -> Ledger {
    let Some(head) = head else { return Ledger::empty() };
    let files = forge.list_folder(head, &"records/000".try_into().unwrap()).unwrap();
    let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
    let names = files.iter().map(|file| format!("records/000/{}", file.name));
    Ledger::parse(names.zip(forge.blob_contents(&ids).unwrap()), None).unwrap()
}

/// Appends a hold to the ledger as orchestrator does: the next number, the tip that was read, again when it moved.
pub(crate) fn append(forge: &LocalForge, actor: &str, reason: &str) {
    let ledger = branch(LEDGER_BRANCH);
    loop {
        let head = forge.branch_head(&ledger).unwrap();
        let draft = RecordDraft::new(Step::Hold, StepResult::Ok, RunIdentity::new("run-1", actor), at(9))
            .environment(&environment("production"))
            .reason(reason);
        let new = ledger_of(forge, head.as_ref()).next(draft).unwrap();
        let change = FileChange::Write { path: new.file_name.as_str().try_into().unwrap(), bytes: new.bytes };
        match forge.commit_files(&ledger, head.as_ref(), &[change], reason).unwrap() {
            CommitOutcome::Committed(_) => return,
            CommitOutcome::Moved { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn new_pull(head: &str, base: &str) -> NewPullRequest {
    NewPullRequest::new(branch(head), branch(base), format!("{head} into {base}")).body("What it brings.")
}

pub(crate) fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

pub(crate) fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

pub(crate) fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

pub(crate) fn commit_id(text: &str) -> CommitId {
    text.parse().unwrap()
}

/// So many minutes after the first commit.
pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_unix_seconds(START.cast_signed() + minutes * 60)
}
