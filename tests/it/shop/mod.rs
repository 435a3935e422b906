//! A small shop for the system tests: real repositories, real submodules, images in a layout folder, and the local
//! forge. Its suites and probes are one shell script, which a test can make fail or wait.
//!
//! Everything is made by the `git` program and by hand-written OCI documents: nothing of the product helps, so that a
//! fault of its own writer cannot hide a fault of its reader.

mod images;
pub(crate) mod ledger;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use test_support::{Finished, Invocation, Repository, Sandbox};

/// What the clock of every command says at the ledger's beginning; it advances a second with each record.
pub(crate) const CLOCK: &str = "2026-01-05T09:00:00Z";

/// The submodules of the shop. Everything below `services/` has an image.
const SERVICES: &[&str] = &["ops/shop-dashboards", "services/shop-cart", "services/shop-web"];

/// Four people may approve, one administers.
pub(crate) const FORGE: &str = "-C shop.git forge init --user ana:write --user ben:write --user chloe:write --user dan:write \
    --user dana:write --user eve:admin --protect staging=orchestrator/lock,orchestrator/suites \
    --protect main=orchestrator/staging-proof,orchestrator/approvals";

/// The configuration of the shop.
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
  target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}", folder: "rendered/{mode}" }
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
    requires: { proven-in: staging, proof: stored, approvals: { count: 4 } }
    suites: [smoke]
    release: { tag: "release-{date}-{id8}" }
"#;

/// What every suite and probe runs: `check NAME MODE`. With `broken/MODE-NAME` in the home folder it fails; with
/// `pause/MODE-NAME` it waits until somebody opens and closes the pipe `pause/MODE-NAME.pipe`.
const CHECK: &str = r#"#!/bin/sh
if [ -e "$SHOP_STATE/pause/$2-$1" ]; then
  rm "$SHOP_STATE/pause/$2-$1"
  mkfifo "$SHOP_STATE/pause/$2-$1.pipe"
  cat "$SHOP_STATE/pause/$2-$1.pipe"
fi
if [ -e "$SHOP_STATE/broken/$2-$1" ]; then echo "$1 is broken in $2"; exit 1; fi
echo "$1 is fine in $2"
"#;

/// A shop below a sandbox of its own.
#[derive(Debug)]
pub(crate) struct Shop {
    sandbox: Sandbox,
}

/// Whether a new version has an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Built {
    Yes,
    No,
}

impl Shop {
    /// A shop on branch `dev`, its services at version 1 with their images, an empty `staging` and `main`, and a forge.
    pub(crate) fn new() -> Self {
        Self::with(CONFIGURATION)
    }

    /// The same with another configuration.
    pub(crate) fn with(configuration: &str) -> Self {
        Self::with_services(SERVICES, configuration)
    }

    /// The same with other submodules.
    pub(crate) fn with_services(services: &[&str], configuration: &str) -> Self {
        let shop = Self { sandbox: Sandbox::new() };
        copy_folder(&start::without_configuration(services), shop.root());
        let clone = shop.clone_folder();
        clone.write("orchestrator.yaml", configuration).commit("services and their train");
        // Before the forge's rules, as if it came first.
        let without_rules = "--receive-pack=git -c core.hooksPath=/nonexistent receive-pack";
        clone.git(&["push", "--quiet", without_rules, "origin", "dev"]);
        shop
    }

    /// Everything of a shop but its configuration; branch `dev` is not committed yet.
    fn start(services: &[&str]) -> Self {
        let shop = Self { sandbox: Sandbox::new() };
        let bare = shop.sandbox.bare_repository("shop.git");
        let clone = shop.sandbox.repository("shop");
        clone.git(&["remote", "add", "origin", "../shop.git"]);
        clone.write("README.md", "# A shop\n").commit("an empty shop");
        clone.git(&["push", "--quiet", "origin", "main:main", "main:staging"]);
        clone.branch("dev");
        clone.write_executable("tests/check", CHECK);
        // Where the environments' folders are swapped.
        clone.write(".gitignore", "/rendered/\n");
        for path in services {
            let name = name_of(path);
            shop.sandbox.repository(&format!("{name}.git"));
            let commit = shop.new_version(name, 1, Built::Yes);
            clone.submodule(path, &format!("../{name}.git"), &commit);
        }
        bare.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        shop.in_root(FORGE).run().expect_code(0);
        shop
    }

    /// A copy of everything, in a sandbox of its own.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { sandbox: Sandbox::new() };
        copy_folder(self.root(), copy.root());
        copy
    }

    /// The folder that holds everything.
    pub(crate) fn root(&self) -> &Path {
        self.sandbox.path()
    }

    /// A path below that folder.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.sandbox.join(path)
    }

    /// The forge's superproject.
    pub(crate) fn superproject(&self) -> Repository {
        Repository::open(self.join("shop.git"))
    }

    /// The clone that commands run in.
    pub(crate) fn clone_folder(&self) -> Repository {
        Repository::open(self.join("shop"))
    }

    /// A service's own repository.
    pub(crate) fn service(&self, name: &str) -> Repository {
        Repository::open(self.join(&format!("{name}.git")))
    }

    /// The product, in the clone, with words as typed; quotes keep words together.
    pub(crate) fn orchestrator(&self, line: &str) -> Invocation {
        self.in_root(line).current_dir(self.join("shop"))
    }

    /// The same in the shop's folder.
    pub(crate) fn in_root(&self, line: &str) -> Invocation {
        let state = self.join("home");
        // Where no user is named, the bot acts, as in a CI job.
        let job = self.sandbox.orchestrator().env("ORCHESTRATOR_AS", "orchestrator");
        job.env("ORCHESTRATOR_CLOCK", CLOCK).env("SHOP_STATE", state).args(words(line))
    }

    /// Another program in the clone, which runs the product: its own arguments, and then those of the product.
    pub(crate) fn program(&self, program: &str, arguments: &[&str], line: &str) -> Invocation {
        let program = self.sandbox.orchestrator_at(program).current_dir(self.join("shop"));
        let state = self.join("home");
        let program = program.env("ORCHESTRATOR_AS", "orchestrator").env("ORCHESTRATOR_CLOCK", CLOCK);
        program.env("SHOP_STATE", state).args(arguments).args(words(line))
    }

    /// Runs a command that must end with 0.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> Finished {
        self.ends(line, 0)
    }

    /// Runs a command that must end with a code.
    #[track_caller]
    pub(crate) fn ends(&self, line: &str, code: i32) -> Finished {
        self.orchestrator(line).run().expect_code(code)
    }

    /// Commits a new version of a service and builds its image, or not. Gives the commit.
    pub(crate) fn new_version(&self, name: &str, version: u32, built: Built) -> String {
        let repository = self.service(name);
        repository.write("VERSION", format!("{version}\n")).write("deploy/app.yaml", manifest(name));
        let commit = repository.commit(&format!("version {version}"));
        if built == Built::Yes {
            self.build_image(name, &commit, &commit);
        }
        commit
    }

    /// The clone, on top of a branch of the forge.
    pub(crate) fn work_on(&self, branch: &str) -> Repository {
        let clone = self.clone_folder();
        clone.git(&["fetch", "--quiet", "origin", branch]);
        clone.git(&["switch", "--quiet", "-C", branch, "FETCH_HEAD"]);
        clone
    }

    /// Commits the clone's work tree and pushes it to a branch of the forge. Gives the commit.
    pub(crate) fn commit_and_push(&self, branch: &str, subject: &str) -> String {
        let clone = self.clone_folder();
        let commit = clone.commit(subject);
        let push = ["push", "--quiet", "origin", &format!("HEAD:{branch}")];
        let answer = clone.try_git_with(&push, &[("ORCHESTRATOR_AS", "dana")]);
        assert!(answer.success(), "{answer:?}");
        commit
    }

    /// A new version of a service on `dev`.
    pub(crate) fn bump(&self, path: &str, version: u32) -> String {
        let commit = self.new_version(name_of(path), version, Built::Yes);
        self.work_on("dev").gitlink(path, &commit);
        self.commit_and_push("dev", &format!("{} {version}", name_of(path)));
        commit
    }

    /// Opens the pull request from `dev` to `staging`.
    pub(crate) fn open(&self) -> u64 {
        self.open_from("dev")
    }

    /// Opens a pull request from any branch to `staging`.
    pub(crate) fn open_from(&self, branch: &str) -> u64 {
        let line = format!("--as dana --format json forge pr create --head {branch} --base staging --title Train");
        let opened = self.ok(&line);
        let document: Value = serde_json::from_str(opened.stdout()).expect("the report is JSON");
        document["result"]["pull_request"]["number"].as_u64().expect("a pull request has a number")
    }

    /// The lock and the suites of a pull request.
    pub(crate) fn check(&self, number: u64) {
        self.ok(&format!("lock publish --pr {number}"));
        self.ok(&format!("test run pull-request --pr {number}"));
    }

    /// A pull request from `dev` to `staging`, locked, tested and merged.
    pub(crate) fn merge_dev(&self) -> u64 {
        let number = self.open();
        self.check(number);
        self.ok(&format!("--as dana forge pr merge {number}"));
        number
    }

    /// The same where the merge cannot be deployed: the status of its lock fails, and an administrator merges past it.
    pub(crate) fn merge_dev_past_rules(&self) -> u64 {
        let number = self.open();
        self.ends(&format!("lock publish --pr {number}"), 20);
        self.ok(&format!("test run pull-request --pr {number}"));
        self.ok(&format!("--as eve forge pr merge {number} --admin"));
        number
    }

    /// People approve the present head of a pull request.
    pub(crate) fn approve(&self, number: u64, people: &[&str]) {
        let shown = self.json(&format!("forge pr view {number}"), 0);
        let head = shown["pull_request"]["head"].as_str().expect("a pull request has a head");
        for person in people {
            self.ok(&format!("--as {person} forge pr review {number} --approve --expected-head {head}"));
        }
    }

    /// Four people approve the promotion, and one merges it.
    pub(crate) fn approve_and_merge(&self, number: u64) {
        self.approve(number, &["ana", "ben", "chloe", "dan"]);
        self.ok(&format!("approvals --pr {number}"));
        self.ok(&format!("--as ana forge pr merge {number}"));
    }

    /// A suite or probe fails from now on, or no longer.
    pub(crate) fn broken(&self, mode: &str, name: &str, is_broken: bool) {
        let file = self.join(&format!("home/broken/{mode}-{name}"));
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("the folder can be made");
        if is_broken {
            fs::write(file, "").expect("the file can be written");
        } else {
            fs::remove_file(file).expect("it was broken");
        }
    }

    /// A suite or probe waits from now on; [`Paused::reached`] says when it does.
    pub(crate) fn pause(&self, mode: &str, name: &str) -> Paused {
        let file = self.join(&format!("home/pause/{mode}-{name}"));
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("the folder can be made");
        fs::write(&file, "").expect("the file can be written");
        Paused { pipe: file.with_extension("pipe") }
    }
}

/// A suite or probe that waits for the test.
#[derive(Debug)]
pub(crate) struct Paused {
    pipe: PathBuf,
}

impl Paused {
    /// Waits until the script is there.
    pub(crate) fn reached(&self) {
        wait_until("the suite to be reached", || self.pipe.exists());
    }

    /// Lets it go on.
    pub(crate) fn release(self) {
        fs::OpenOptions::new().write(true).open(&self.pipe).expect("the script reads the pipe");
    }
}

/// Looks again and again, for a minute at most.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(5);
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::sleep(pause);
        // Some look by a program.
        pause = (pause * 2).min(Duration::from_millis(160));
    }
}

/// A service's manifests.
pub(crate) fn manifest(name: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      containers:
      - name: app
        image: registry.example/shop/{}:dev
",
        short(name)
    )
}

/// Splits a command line as typed: words, and words in double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().expect("splitting gives one part at least")
}

fn short(name: &str) -> &str {
    name.strip_prefix("shop-").unwrap_or(name)
}

/// Copies a folder. What is never written in place, the objects of git and the blobs of the registry, is linked.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().expect("the entry is there").is_dir() {
            copy_folder(&source, &target);
        } else if source.components().any(|part| matches!(part.as_os_str().to_str(), Some("objects" | "blobs"))) {
            // Another file system takes no link.
            fs::hard_link(&source, &target)
                .or_else(|_| fs::copy(&source, &target).map(drop))
                .expect("the file can be linked or copied");
        } else {
            fs::copy(&source, &target).expect("the file can be copied");
        }
    }
}
