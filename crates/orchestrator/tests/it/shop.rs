//! A small shop for tests that call the library: the forge's bare repository, three submodules, images in a layout
//! folder. No binary and no network. Its suites and probes are one shell script, which a test can make fail.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use git::{CommitIdentity, Git, GitOptions, InitOptions, LocalProtocol, TreeChange};
use ledger::{Ledger, RecordDraft, Step, StepResult};
use lock_model::{
    BranchName, CommitId, Digest, EnvironmentName, ImageRepository, LOCK_FILE, Lock, Platform, Tag, Timestamp, UserName,
};
use orchestrator::forge::local::{self, LocalForge};
use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{CommitOutcome, FileChange, NewPullRequest, ReviewState, Role, User};
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::pull_requests::{ReviewRequest, merge_pull_request, open_pull_request, review_pull_request};
use orchestrator::report::v1::{RunReport, StepResult as StepWord};
use orchestrator::simulator::{ForgeInitRequest, init_forge};
use orchestrator::{
    Actor, Clock, Context, Error, ErrorKind, Event, Events, RunRequest, Settings, Surroundings, TestRequest, approvals,
    run, run_tests,
};
use process::{EnvVars, Program};
use promotion::gates::Gate;
use registry::layout::{ImageContent, LayoutWriter};
use test_support::Sandbox;

/// The time at the ledger's beginning; it advances a second with each record.
const START: &str = "2026-01-05T09:00:00Z";

/// The submodules, sorted by path. Everything below `services/` has an image.
const SUBMODULES: [&str; 3] = ["ops/shop-dashboards", "services/shop-cart", "services/shop-web"];

/// Who orchestrator acts as.
pub(crate) const BOT: &str = "orchestrator";

/// The people, and what they may do. `dana` develops, `eve` administers.
const PEOPLE: [(&str, Role); 5] =
    [("ana", Role::Write), ("ben", Role::Write), ("dana", Role::Write), ("eve", Role::Admin), ("rita", Role::Read)];

/// The configuration of the shop: a promotion needs two approvals.
pub(crate) const CONFIGURATION: &str = r#"version: 1
project: { prefix: shop- }
branches: { integration: dev, staging: staging, production: main }
forge: { kind: local, repository: "https://forge.example/shop/shop" }
registries:
  registry.example: { mirror: "oci-layout:../registry" }
images:
  repository: "registry.example/shop/{short}"
  tags: ["main-{sha7}"]
  platforms: [linux/amd64]
  revision: require
services:
- { match: "ops/*", kind: configuration }
- { match: "**" }
suites:
  lint: { kind: command, command: [./tests/check, lint, "{mode}"], env: [SHOP_STATE], deadline: 1m }
  system: { kind: command, command: [./tests/check, system, "{mode}"], env: [SHOP_STATE], deadline: 1m }
  smoke: { kind: command, command: [./tests/check, smoke, "{mode}"], env: [SHOP_STATE], deadline: 1m }
base:
  target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}" }
  deploy: ["services/*"]
  locked-only: { reason: no container of its own }
  health:
    probes:
      platform: { kind: command, command: [./tests/check, platform, "{mode}"], env: [SHOP_STATE], severity: block, deadline: 1m }
environments:
  pull-request: { base: none, mode: pr, suites: [lint] }
  staging:
    mode: staging
    namespace: shop-staging
    suites: [system]
    promote: { to: production }
  production:
    mode: production
    namespace: shop-production
    requires: { proven-in: staging, proof: stored, approvals: { count: 2 } }
    suites: [smoke]
    release: { tag: "release-{date}-{id8}" }
"#;

/// What every suite and probe runs: `check NAME MODE`. With `broken/MODE-NAME` in the state's folder it fails.
const CHECK: &str = r#"#!/bin/sh
if [ -e "$SHOP_STATE/broken/$2-$1" ]; then echo "$1 is broken in $2"; exit 1; fi
echo "$1 is fine in $2"
"#;

/// A shop in a folder of its own.
#[derive(Debug)]
pub(crate) struct Shop {
    sandbox: Sandbox,
    /// The forge's repository.
    git: Git,
    /// How many runs there were: each has a name of its own.
    runs: AtomicU64,
    /// Whose files this one's objects are linked to.
    _original: Option<Arc<Self>>,
}

/// Whether the CI of a service has built the image of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Built {
    Yes,
    No,
}

impl Shop {
    /// Services at version 1 on `dev`; `staging` and `main` without a configuration; a forge that protects both.
    pub(crate) fn new() -> Self {
        Self::with(CONFIGURATION)
    }

    /// The same with another configuration.
    pub(crate) fn with(configuration: &str) -> Self {
        let sandbox = Sandbox::new();
        let git = init(&sandbox.join("shop.git"));
        let shop = Self { sandbox, git, runs: AtomicU64::new(0), _original: None };
        let mut modules = String::new();
        let mut changes = vec![write("orchestrator.yaml", configuration), executable("tests/check", CHECK)];
        for path in SUBMODULES {
            let name = name_of(path);
            let commit = shop.new_version(name, 1, Built::Yes);
            modules = format!("{modules}[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../{name}.git\n");
            changes.push(TreeChange::Gitlink { path: path.into(), commit });
        }
        changes.push(write(".gitmodules", &modules));
        let empty = commit_in(&shop.git, None, &[write("README.md", "# A shop\n")], "an empty shop");
        for branch in ["main", "staging", "dev"] {
            set_branch(&shop.git, branch, &empty);
        }
        shop.commit("dev", &changes, "three services and their configuration");
        let mut request = ForgeInitRequest::new(user(BOT), Program::find("true", &search_path()).unwrap().path());
        request.users = PEOPLE.iter().map(|(name, role)| User::person(user(name), *role)).collect();
        let statuses = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        request.protect = vec![
            (branch("staging"), statuses(["orchestrator/lock", "orchestrator/suites"])),
            (branch("main"), statuses(["orchestrator/staging-proof", "orchestrator/approvals"])),
        ];
        assert!(init_forge(&shop.join("shop.git"), &request, &shop.surroundings()).unwrap().created);
        shop
    }

    /// The same at another place; objects are linked.
    fn copy_of(original: &Arc<Self>) -> Self {
        let sandbox = Sandbox::new();
        copy_folder(original.sandbox.path(), sandbox.path());
        let git = open(&sandbox.join("shop.git"));
        let runs = AtomicU64::new(original.runs.load(Ordering::Relaxed));
        Self { sandbox, git, runs, _original: Some(Arc::clone(original)) }
    }

    /// A path in the shop's folder.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.sandbox.join(path)
    }

    /// The forge's repository.
    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    /// The forge as one of its users sees it.
    pub(crate) fn forge(&self, actor: &str) -> LocalForge {
        let clock = local::Clock::fixed(START.parse::<Timestamp>().unwrap());
        LocalForge::open(self.sandbox.path(), self.git.clone(), Some(user(actor)), clock).unwrap()
    }

    /// What this crate may see of the process. A variable `CANARY_…` has a value that a test can look for.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let children = EnvVars::new().set("PATH", search_path()).set("HOME", self.sandbox.home());
        let mut surroundings = Surroundings::new(search_path(), children);
        let state = self.sandbox.home().to_str().unwrap().to_owned();
        surroundings.variables = Arc::new(move |name| match name {
            "SHOP_STATE" => Some(state.clone()),
            // A port that nothing listens on.
            "SHOP_URL" => Some("http://127.0.0.1:1".to_owned()),
            "SHORT_PIN" => Some("1234567".to_owned()),
            name => name.strip_prefix("CANARY_").map(|rest| format!("canary/{rest}+0451")),
        });
        surroundings
    }

    /// A run of a user in the forge's own repository.
    pub(crate) fn context(&self, actor: &str) -> Context {
        self.watched(actor, &Watcher::new())
    }

    /// The same, watched.
    pub(crate) fn watched(&self, actor: &str, watcher: &Arc<Watcher>) -> Context {
        self.context_at("shop.git", actor, watcher)
    }

    /// The same in any repository below the shop's folder.
    pub(crate) fn context_at(&self, repository: &str, actor: &str, watcher: &Arc<Watcher>) -> Context {
        let mut settings = Settings::new(self.join(repository), Actor::Named(user(actor)));
        settings.nonce = Some(self.runs.fetch_add(1, Ordering::Relaxed).to_string());
        let (clock, events) = (Arc::clone(watcher) as Arc<dyn Clock>, Arc::clone(watcher) as Arc<dyn Events>);
        Context::open(settings, self.surroundings(), clock, events).unwrap()
    }

    /// A run of the bot.
    pub(crate) fn bot(&self) -> Context {
        self.context(BOT)
    }

    /// A new version of a service, and its image or not.
    pub(crate) fn new_version(&self, service: &str, version: u32, built: Built) -> CommitId {
        let repository = init(&self.join(&format!("{service}.git")));
        let parent = repository.commit("refs/heads/main").unwrap().map(|facts| facts.id);
        let changes = [write("VERSION", &format!("{version}\n")), write("deploy/app.yaml", &manifest(service))];
        let commit = commit_in(&repository, parent.as_ref(), &changes, &format!("version {version}"));
        set_branch(&repository, "main", &commit);
        if built == Built::Yes {
            self.build_image(service, &commit, "");
        }
        commit
    }

    /// Another version of a service on `dev` with more manifests and its image.
    pub(crate) fn bump_with(&self, service: &str, version: u32, manifests: &str) -> CommitId {
        let repository = init(&self.join(&format!("{service}.git")));
        let parent = repository.commit("refs/heads/main").unwrap().map(|facts| facts.id);
        let changes = [write("VERSION", &format!("{version}\n")), write("deploy/more.yaml", manifests)];
        let commit = commit_in(&repository, parent.as_ref(), &changes, &format!("version {version}"));
        set_branch(&repository, "main", &commit);
        self.build_image(service, &commit, "");
        let path = SUBMODULES.iter().find(|path| name_of(path) == service).unwrap();
        self.commit("dev", &[TreeChange::Gitlink { path: (*path).into(), commit }], &format!("{service} {version}"))
    }

    /// An image in the layout folder under any name.
    pub(crate) fn foreign_image(&self, repository: &str, tag: &str) -> Digest {
        let image =
            ImageContent::new(Platform::try_from("linux/amd64").unwrap()).file("tool.txt", "a tool\n".to_owned());
        let (repository, tag) = (repository.try_into().unwrap(), tag.try_into().unwrap());
        LayoutWriter::create(&self.join("registry")).unwrap().add_image(&repository, &tag, &image).unwrap()
    }

    /// An image in the layout folder, under the tag of its commit. Another `build` has another digest.
    pub(crate) fn build_image(&self, service: &str, commit: &CommitId, build: &str) -> Digest {
        let repository: ImageRepository = format!("registry.example/shop/{}", short(service)).try_into().unwrap();
        let tag: Tag = format!("main-{}", commit.short(7)).try_into().unwrap();
        let image = ImageContent::new(Platform::try_from("linux/amd64").unwrap())
            .created("2025-11-20T21:14:07Z".parse::<Timestamp>().unwrap())
            .revision(commit)
            .file("service.txt", format!("{service} at {commit} {build}\n"));
        LayoutWriter::create(&self.join("registry")).unwrap().add_image(&repository, &tag, &image).unwrap()
    }

    /// Commits to a branch of the forge past every rule. Gives the commit.
    pub(crate) fn commit(&self, branch: &str, changes: &[TreeChange], subject: &str) -> CommitId {
        let commit = commit_in(&self.git, self.head(branch).as_ref(), changes, subject);
        set_branch(&self.git, branch, &commit);
        commit
    }

    /// Puts a branch of the forge on a commit, past every rule.
    pub(crate) fn force(&self, branch: &str, commit: &CommitId) {
        set_branch(&self.git, branch, commit);
    }

    /// Another version of a service on `dev`, with its image.
    pub(crate) fn bump(&self, service: &str, version: u32) -> CommitId {
        let commit = self.new_version(service, version, Built::Yes);
        let path = SUBMODULES.iter().find(|path| name_of(path) == service).unwrap();
        self.commit("dev", &[TreeChange::Gitlink { path: (*path).into(), commit }], &format!("{service} {version}"))
    }

    /// The history of a service is another one, of one commit with its image, which `dev` takes.
    pub(crate) fn rewrite(&self, service: &str, changes: &[TreeChange]) {
        let repository = open(&self.join(&format!("{service}.git")));
        set_branch(&repository, "main", &commit_in(&repository, None, changes, "another history"));
        self.take_newest(service);
    }

    /// `dev` takes the newest commit of a service, whose image is built.
    pub(crate) fn take_newest(&self, service: &str) {
        let repository = open(&self.join(&format!("{service}.git")));
        let commit = repository.commit("refs/heads/main").unwrap().unwrap().id;
        self.build_image(service, &commit, "");
        let path = SUBMODULES.iter().find(|path| name_of(path) == service).unwrap();
        self.commit("dev", &[TreeChange::Gitlink { path: (*path).into(), commit }], &format!("another {service}"));
    }

    /// A change of `orchestrator.yaml` on a branch.
    pub(crate) fn configure(&self, branch: &str, from: &str, to: &str) -> CommitId {
        let before = self.file(branch, "orchestrator.yaml").unwrap();
        let after = before.replace(from, to);
        assert_ne!(before, after, "`{from}` is in the configuration");
        self.commit(branch, &[write("orchestrator.yaml", &after)], "other rules")
    }

    /// The newest commit of a branch.
    pub(crate) fn head(&self, branch: &str) -> Option<CommitId> {
        self.git.commit(&format!("refs/heads/{branch}")).unwrap().map(|facts| facts.id)
    }

    /// A file of a revision.
    pub(crate) fn file(&self, revision: &str, path: &str) -> Option<String> {
        let bytes = self.git.read_file(revision, path).unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// The lock of a revision.
    pub(crate) fn lock(&self, revision: &str) -> Lock {
        Lock::parse(self.file(revision, LOCK_FILE).unwrap().as_bytes(), LOCK_FILE).unwrap()
    }

    /// The commit that a revision has of a submodule.
    pub(crate) fn gitlink(&self, revision: &str, path: &str) -> CommitId {
        let entries = self.git.list_files(revision, Some(path)).unwrap();
        entries[0].id.as_str().try_into().unwrap()
    }

    /// How many commits a branch has.
    pub(crate) fn commits(&self, branch: &str) -> usize {
        self.head(branch).map_or(0, |head| self.git.rev_list(&[head.as_str()]).unwrap().len())
    }

    /// A suite or probe fails from now on, or no longer.
    pub(crate) fn broken(&self, mode: &str, check: &str, is_broken: bool) {
        let file = self.sandbox.home().join(format!("broken/{mode}-{check}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if is_broken { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    /// Opens a pull request as `dana`.
    pub(crate) async fn open_pull_request(&self, head: &str, base: &str) -> u64 {
        let dana = self.context("dana");
        let opened =
            open_pull_request(&dana, &NewPullRequest::new(branch(head), branch(base), "Release")).await.unwrap();
        opened.pull_request.number
    }

    /// The lock and the suites of a pull request.
    pub(crate) async fn check(&self, number: u64) {
        publish_lock(&self.bot(), &LockPublishRequest::new(number)).await.unwrap();
        let mut request = TestRequest::new(environment("pull-request"));
        request.pull_request = Some(number);
        assert!(run_tests(&self.bot(), &request).await.unwrap().is_passed());
    }

    /// Merges a pull request by its button.
    pub(crate) async fn merge(&self, actor: &str, number: u64) -> CommitId {
        merge_pull_request(&self.context(actor), number, None, Bypass::No).await.unwrap().commit
    }

    /// Merges a pull request past the rules of its branch.
    pub(crate) async fn merge_past_rules(&self, number: u64) -> CommitId {
        merge_pull_request(&self.context("eve"), number, None, Bypass::Yes).await.unwrap().commit
    }

    /// A pull request from `dev` to `staging`, with its lock and its suites, merged.
    pub(crate) async fn merge_dev(&self) -> u64 {
        let number = self.open_pull_request("dev", "staging").await;
        self.check(number).await;
        self.merge("dana", number).await;
        number
    }

    /// The same where the lock's status fails: the merge cannot be deployed.
    pub(crate) async fn merge_dev_past_rules(&self) -> u64 {
        let number = self.open_pull_request("dev", "staging").await;
        self.check(number).await;
        self.merge_past_rules(number).await;
        number
    }

    pub(crate) async fn review(&self, actor: &str, number: u64, action: ReviewState) {
        let mut request = ReviewRequest::new(number, action);
        "because".clone_into(&mut request.body);
        request.expected_head = Some((&self.forge(actor).pull_request(number).unwrap().head).into());
        review_pull_request(&self.context(actor), &request).await.unwrap();
    }

    /// Two people approve a promotion; the button merges it.
    pub(crate) async fn approve_and_merge(&self, number: u64) {
        for reviewer in ["ana", "ben"] {
            self.review(reviewer, number, ReviewState::Approved).await;
        }
        assert!(approvals(&self.bot(), &production(), Some(number)).await.unwrap().approved);
        self.merge("ana", number).await;
    }

    /// A run that must come through.
    #[track_caller]
    pub(crate) fn run_ok(&self, name: &EnvironmentName) -> impl Future<Output = RunReport> {
        let (context, request) = (self.bot(), RunRequest::new(name.clone()));
        async move {
            let report = run(&context, &request).await.unwrap();
            assert_eq!((report.stopped, report.superseded.as_deref()), (None, None), "{report:#?}");
            report
        }
    }

    /// The next release, from `dev` to production. Gives the tag of the release.
    pub(crate) async fn release_next(&self) -> String {
        self.merge_dev().await;
        self.run_ok(&staging()).await;
        let promotion = self.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
        self.approve_and_merge(promotion.number).await;
        self.run_ok(&production()).await;
        self.newest_release()
    }

    /// The tags of all releases, oldest first.
    pub(crate) fn releases(&self) -> Vec<String> {
        let ledger = self.ledger();
        ledger.releases(&production()).map(|record| record.entry.tag.clone().unwrap()).collect()
    }

    /// The tag of the newest release.
    pub(crate) fn newest_release(&self) -> String {
        self.newest(&production(), Step::Release).tag.unwrap()
    }

    /// The ledger as it is stored.
    pub(crate) fn ledger(&self) -> Ledger {
        let Some(head) = self.head(lock_model::LEDGER_BRANCH) else { return Ledger::empty() };
        let files = self.git.read_files(head.as_str(), Some("records")).unwrap();
        Ledger::parse(files.into_iter().map(|file| (file.path, file.bytes)), None).unwrap()
    }

    /// Environment, step and result of every record from number `after` + 1 on.
    pub(crate) fn story(&self, after: usize) -> Vec<String> {
        let ledger = self.ledger();
        let records = ledger.records().iter().skip(after);
        records
            .map(|record| {
                let name = record.entry.environment.as_ref().map_or("_", EnvironmentName::as_str);
                format!("{name} {} {}", record.entry.key(), record.entry.result)
            })
            .collect()
    }

    /// How many records of one kind there are.
    pub(crate) fn count(&self, name: &EnvironmentName, step: Step, result: StepResult) -> usize {
        self.ledger().of(name).filter(|record| record.is(step, result)).count()
    }

    /// Appends a record as another run would.
    pub(crate) fn append(&self, draft: RecordDraft) {
        self.append_as(BOT, draft);
    }

    /// Appends a record that this user brings.
    pub(crate) fn append_as(&self, actor: &str, draft: RecordDraft) {
        let new = self.ledger().next(draft).unwrap();
        let forge = self.forge(actor);
        let ledger = branch(lock_model::LEDGER_BRANCH);
        let head = forge.branch_head(&ledger).unwrap();
        let change = FileChange::Write { path: new.file_name.as_str().try_into().unwrap(), bytes: new.bytes };
        let outcome = forge.commit_files(&ledger, head.as_ref(), &[change], "[ledger] another run").unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed(_)), "{outcome:?}");
    }

    /// What a run must leave alone when it refuses: what is deployed, what is merged, what is released, who is asked.
    pub(crate) fn untouched(&self) -> BTreeMap<String, String> {
        let refs = ["refs/heads/", "refs/tags/"].map(|prefix| self.git.refs(prefix).unwrap()).concat();
        let mut untouched: BTreeMap<String, String> = refs
            .into_iter()
            .filter(|one| !one.name.ends_with(lock_model::LEDGER_BRANCH))
            .map(|one| (one.name, one.id))
            .collect();
        for pull_request in self.forge(BOT).pull_requests(None).unwrap() {
            untouched.insert(format!("#{}", pull_request.number), format!("{:?}", pull_request.state));
        }
        untouched
    }

    /// The gates that said no to an environment last, as the evidence of the record lists them.
    pub(crate) fn refused_gates(&self, name: &EnvironmentName) -> BTreeSet<Gate> {
        let record = self.newest(name, Step::Gates);
        let evidence = record.evidence.iter().find(|one| one.name == "gates.json").unwrap();
        let text = self.file(lock_model::LEDGER_BRANCH, &evidence.path()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let findings = document["findings"].as_array().unwrap();
        assert_eq!(findings.len(), Gate::ALL.len(), "every gate is asked");
        let refused = findings.iter().filter(|one| one["verdict"] == "refused" || one["verdict"] == "unknown");
        let gate = |word: &str| *Gate::ALL.iter().find(|gate| gate.as_str() == word).unwrap();
        refused.map(|one| gate(one["gate"].as_str().unwrap())).collect()
    }

    /// The newest record of a step of an environment.
    pub(crate) fn newest(&self, name: &EnvironmentName, step: Step) -> RecordDraft {
        let ledger = self.ledger();
        ledger.of(name).rfind(|record| record.entry.step == step).unwrap().entry.clone()
    }

    /// Every push to a branch that starts like this is refused from now on.
    pub(crate) fn refuse_pushes(&self, prefix: &str) {
        let script = format!("#!/bin/sh\ncase \"$1\" in refs/heads/{prefix}*) echo no; exit 1;; esac\n");
        fs::write(self.join("shop.git/hooks/update"), script).unwrap();
    }
}

/// What a report says of its steps, in order.
pub(crate) fn step_words(report: &RunReport) -> Vec<(&str, StepWord)> {
    report.steps.iter().map(|line| (line.step.as_str(), line.result)).collect()
}

/// The clock and the events of a run: it records what it hears, and can do something at a moment.
#[derive(Default)]
pub(crate) struct Watcher {
    /// Seconds after the start, besides those of records.
    later: AtomicU64,
    records: AtomicU64,
    heard: Mutex<Vec<String>>,
    actions: Mutex<BTreeMap<String, Action>>,
    /// Whether the clock is set forward and back between any two looks at it.
    jumps: bool,
    looks: AtomicU64,
}

/// What happens at a moment.
type Action = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("heard", &self.heard()).finish_non_exhaustive()
    }
}

impl Watcher {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A clock that is some days ahead.
    pub(crate) fn days_later(days: u64) -> Arc<Self> {
        Arc::new(Self { later: AtomicU64::new(days * 24 * 60 * 60), ..Self::default() })
    }

    /// A clock that jumps by up to an hour whenever it is looked at.
    pub(crate) fn jumping() -> Arc<Self> {
        Arc::new(Self { jumps: true, ..Self::default() })
    }

    /// Once, when a step has ended well or not and its record is written; `images`: when all images were looked at.
    pub(crate) fn after(self: Arc<Self>, step: &str, action: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.actions.lock().unwrap().insert(step.to_owned(), Box::new(action));
        self
    }

    /// Once, before the record with this number is written.
    pub(crate) fn before_record(self: Arc<Self>, number: u64, action: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.after(&format!("record {number}"), action)
    }

    /// The run dies once a step has ended and its record is written.
    pub(crate) fn dies_after(self: Arc<Self>, step: &str) -> Arc<Self> {
        self.after(step, die)
    }

    /// What was said so far: `STEP RESULT`, or a note.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn act(&self, moment: &str) {
        // Not while the lock is held: the action may end the run.
        let action = self.actions.lock().unwrap().remove(moment);
        if let Some(action) = action {
            action();
        }
    }
}

impl Clock for Watcher {
    fn now(&self) -> Timestamp {
        let start = START.parse::<Timestamp>().unwrap().as_unix_seconds();
        let later = self.later.load(Ordering::Relaxed) + self.records.load(Ordering::Relaxed);
        let look = self.looks.fetch_add(1, Ordering::Relaxed);
        let jump = if self.jumps { look.wrapping_mul(2_654_435_761) % 7200 } else { 3600 };
        Timestamp::from_unix_seconds(start + i64::try_from(later + jump).unwrap() - 3600)
    }

    fn ledger_holds(&self, records: u64) {
        self.records.store(records, Ordering::Relaxed);
        self.act(&format!("record {records}"));
    }
}

impl Events for Watcher {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::StepEnded { step, result, .. } => {
                self.heard.lock().unwrap().push(format!("{step} {result}"));
                self.act(step);
            }
            Event::ResolvingEnded => self.act("images"),
            Event::Note(text) => self.heard.lock().unwrap().push(text.to_owned()),
            _ => {}
        }
    }
}

/// Ends the run as a panic does, without a word about it.
pub(crate) fn die() {
    std::panic::resume_unwind(Box::new("the run dies"));
}

/// Runs until its watcher ends it; says whether that happened.
pub(crate) async fn dies(context: Context, request: RunRequest) -> bool {
    let ended = tokio::spawn(async move { run(&context, &request).await.map(|report| report.stopped) }).await;
    match ended {
        Ok(answer) => {
            assert_eq!(answer.unwrap(), None);
            false
        }
        Err(error) => {
            assert!(error.is_panic(), "{error}");
            true
        }
    }
}

/// Waits for something on a thread of its own, as another process would do it meanwhile.
pub(crate) fn meanwhile<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(work)).join().unwrap()
}

/// The error of a call that must fail, with its kind checked.
#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(answer: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}: {:?}", error.causes());
    error
}

static LOCKED: Stage = Stage::new();
static PROVEN: Stage = Stage::new();
static RELEASED: Stage = Stage::new();
static RELEASED_TWICE: Stage = Stage::new();

/// A shop as it is after some of the way, made once for all tests that run at the same time.
struct Stage(Mutex<Weak<Shop>>);

impl Stage {
    const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    fn get(&self, make: impl FnOnce() -> Shop) -> Arc<Shop> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.upgrade().unwrap_or_else(|| {
            let made = Arc::new(make());
            *kept = Arc::downgrade(&made);
            made
        })
    }
}

/// Pull request 1, from `dev` to `staging`, has its lock and its suites, and is open.
pub(crate) fn locked() -> Shop {
    Shop::copy_of(&locked_original())
}

/// Pull request 1 is merged; nothing ran yet.
pub(crate) async fn merged() -> Shop {
    let shop = locked();
    shop.merge("dana", 1).await;
    shop
}

/// Release 1 is proven in staging; pull request 2, its promotion, is open.
pub(crate) fn proven() -> Shop {
    Shop::copy_of(&proven_original())
}

/// Pull request 2 is approved and merged; production did not run yet.
pub(crate) async fn promoted() -> Shop {
    let shop = proven();
    shop.approve_and_merge(2).await;
    shop
}

/// Release 1 is out.
pub(crate) fn released() -> Shop {
    Shop::copy_of(&released_original())
}

/// Release 2 is out, with another version of `shop-web`.
pub(crate) fn released_twice() -> Shop {
    Shop::copy_of(&RELEASED_TWICE.get(|| {
        let shop = released();
        meanwhile(async move {
            shop.bump("shop-web", 2);
            shop.release_next().await;
            shop
        })
    }))
}

fn locked_original() -> Arc<Shop> {
    LOCKED.get(|| {
        meanwhile(async {
            let shop = Shop::new();
            assert_eq!(shop.open_pull_request("dev", "staging").await, 1);
            shop.check(1).await;
            shop
        })
    })
}

fn proven_original() -> Arc<Shop> {
    PROVEN.get(|| {
        let shop = locked();
        meanwhile(async move {
            shop.merge("dana", 1).await;
            shop.run_ok(&staging()).await;
            shop
        })
    })
}

fn released_original() -> Arc<Shop> {
    RELEASED.get(|| {
        let shop = proven();
        meanwhile(async move {
            shop.approve_and_merge(2).await;
            shop.run_ok(&production()).await;
            shop
        })
    })
}

/// A service's manifests.
pub(crate) fn manifest(service: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {service}
spec:
  selector: {{ matchLabels: {{ app: {service} }} }}
  template:
    metadata: {{ labels: {{ app: {service} }} }}
    spec:
      containers:
      - name: app
        image: registry.example/shop/{}:dev
",
        short(service)
    )
}

/// A text file.
pub(crate) fn write(path: &str, text: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: git::MODE_FILE, bytes: text.into() }
}

/// A program.
pub(crate) fn executable(path: &str, text: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: git::MODE_EXECUTABLE, bytes: text.into() }
}

fn init(folder: &Path) -> Git {
    if folder.exists() {
        return open(folder);
    }
    fs::create_dir(folder).unwrap();
    let program = Program::find("git", &search_path()).unwrap();
    Git::init(&program, folder, &InitOptions::default(), git_options()).unwrap()
}

pub(crate) fn open(folder: &Path) -> Git {
    Git::open(&Program::find("git", &search_path()).unwrap(), folder, git_options()).unwrap()
}

fn commit_in(git: &Git, parent: Option<&CommitId>, changes: &[TreeChange], subject: &str) -> CommitId {
    let tree = git.write_tree(parent.map(CommitId::as_str), changes).unwrap();
    let identity = CommitIdentity::new("Dana", "dana@shop.example", Timestamp::from_unix_seconds(1_763_672_400));
    let parents: Vec<CommitId> = parent.cloned().into_iter().collect();
    git.commit_tree(&tree, &parents, subject, &identity).unwrap()
}

fn set_branch(git: &Git, branch: &str, commit: &CommitId) {
    let outcome = git.update_ref(&format!("refs/heads/{branch}"), commit.as_str(), None).unwrap();
    assert_eq!(outcome, git::RefUpdate::Done);
}

fn git_options() -> GitOptions {
    let environment = EnvVars::new().set("PATH", search_path());
    GitOptions { environment, local_protocol: LocalProtocol::Allowed, ..GitOptions::default() }
}

#[expect(clippy::disallowed_methods, reason = "tests have no CLI above them that could hand this in")]
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap()
}

pub(crate) fn environment(name: &str) -> EnvironmentName {
    name.try_into().unwrap()
}

pub(crate) fn staging() -> EnvironmentName {
    environment("staging")
}

pub(crate) fn production() -> EnvironmentName {
    environment("production")
}

pub(crate) fn branch(name: &str) -> BranchName {
    name.try_into().unwrap()
}

pub(crate) fn user(name: &str) -> UserName {
    name.try_into().unwrap()
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn short(service: &str) -> &str {
    service.strip_prefix("shop-").unwrap_or(service)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&source, &target);
        } else if source.components().any(|part| matches!(part.as_os_str().to_str(), Some("objects" | "blobs"))) {
            fs::hard_link(&source, &target).unwrap();
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
