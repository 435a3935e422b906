//! Storing: a real branch in a real repository, and a real folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use deployer::render::{BranchChange, FolderChange, RenderApplied, RenderedTree};
use deployer::{
    AppliedDetail, ApplyOptions, DeployError, DeployEvent, DeployRequest, OccupiedPlace, Plan, ProblemKind, Proof,
    RenderFolder, RenderTarget, SameFiles, Target,
};
use git::{CommitIdentity, Git, GitOptions, InitOptions, LocalProtocol, MODE_FILE, TreeChange};
use lock_model::{ErrorClass, Timestamp};
use process::{EnvVars, Invocation, Program};
use tempfile::TempDir;
use test_support::{GitShim, When};

use crate::shop::{pin, rendered, shop, text, tree};

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const BRANCH: &str = "deploy/staging";

pub(crate) struct Store {
    folder: TempDir,
    git: Git,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let program = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
        let remote = folder.path().join("shop.git");
        Git::init(&program, &remote, &InitOptions::default(), options(folder.path())).unwrap();
        let git =
            Git::init(&program, &folder.path().join("clone"), &InitOptions::default(), options(folder.path())).unwrap();
        Self { folder, git }
    }

    fn remote(&self) -> String {
        self.folder.path().join("shop.git").to_str().unwrap().to_owned()
    }

    fn rendered(&self) -> PathBuf {
        self.folder.path().join("rendered/staging")
    }

    fn render_target(&self, git: &Git) -> RenderTarget {
        RenderTarget::new(git.clone(), self.remote(), BRANCH.try_into().unwrap())
            .with_folder(RenderFolder::new(self.folder.path(), "rendered/staging"))
    }

    fn target(&self) -> Target {
        Target::Render(self.render_target(&self.git))
    }

    fn stored(&self) -> Option<RenderedTree> {
        wait(self.render_target(&self.git).read_stored()).unwrap()
    }

    fn folder_tree(&self) -> RenderedTree {
        RenderFolder::new(self.folder.path(), "rendered/staging").read().unwrap().unwrap()
    }

    fn plan(&self, request: &DeployRequest) -> Plan {
        wait(self.target().plan(request)).unwrap()
    }

    fn apply(&self, plan: &Plan) -> Result<RenderApplied, DeployError> {
        apply(&self.target(), plan)
    }

    pub(crate) fn prove(&self, request: &DeployRequest) -> Proof {
        wait(self.target().prove(request)).unwrap()
    }

    fn deploy(&self, request: &DeployRequest) -> RenderApplied {
        self.apply(&self.plan(request)).unwrap()
    }

    fn commits(&self) -> usize {
        let bare = self.git.open_other(Path::new(&self.remote())).unwrap();
        bare.text(["rev-list", "--count", BRANCH]).unwrap().trim().parse().unwrap()
    }

    /// Nothing is half there: the branch and the folder hold the plan, and nothing lies beside the folder.
    fn assert_holds(&self, plan: &Plan) {
        assert_eq!(self.stored().unwrap().files, rendered(plan).tree.files);
        assert_eq!(self.folder_tree().files, rendered(plan).tree.files);
        assert_eq!(names(&self.folder.path().join("rendered")), ["staging"]);
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn apply(target: &Target, plan: &Plan) -> Result<RenderApplied, DeployError> {
    let options = ApplyOptions::new("orchestrator", Timestamp::from_unix_seconds(1_700_000_000));
    let applied = wait(target.apply(plan, &options, &|_| ()))?;
    let AppliedDetail::Render(detail) = applied.detail else { panic!("rendered") };
    assert_eq!(applied.changes.is_empty(), detail.branch == BranchChange::Unchanged);
    Ok(detail)
}

fn options(home: &Path) -> GitOptions {
    let environment = EnvVars::new().set("PATH", SEARCH_PATH).set("HOME", home);
    GitOptions { environment, local_protocol: LocalProtocol::Allowed, ..GitOptions::default() }
}

fn identity() -> CommitIdentity {
    CommitIdentity {
        name: "orchestrator".to_owned(),
        email: "orchestrator@shop.example".to_owned(),
        time: Timestamp::from_unix_seconds(1_700_000_000),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn next_release() -> DeployRequest {
    let mut request = shop();
    request.release = format!("sha256:{}", "e".repeat(64)).try_into().unwrap();
    request.services[0].image = Some(pin("cart", "9"));
    request.services.remove(1);
    request
}

#[test]
fn the_same_release_again_makes_no_commit_and_the_next_one_makes_one() {
    let store = Store::new();
    let first = store.deploy(&shop());
    assert_eq!((first.branch, first.folder), (BranchChange::Pushed, Some(FolderChange::Swapped)));
    let again = store.deploy(&shop());
    assert_eq!((again.branch, again.folder), (BranchChange::Unchanged, Some(FolderChange::Unchanged)));
    assert_eq!((again.commit, store.commits()), (first.commit.clone(), 1));

    let plan = store.plan(&next_release());
    assert_eq!(rendered(&plan).base.as_ref(), Some(&first.commit));
    let next = store.apply(&plan).unwrap();
    assert_eq!((next.branch, store.commits()), (BranchChange::Pushed, 2));
    store.assert_holds(&plan);

    // A rollback is an older release, rendered again: the same tree, a new commit.
    store.deploy(&shop());
    assert_eq!(store.commits(), 3);
    let bare = store.git.open_other(Path::new(&store.remote())).unwrap();
    assert_eq!(
        bare.text(["rev-parse", "deploy/staging^{tree}"]).unwrap(),
        bare.text(["rev-parse", "deploy/staging~2^{tree}"]).unwrap()
    );
}

#[test]
fn events_say_in_order_what_is_written_and_whether_it_changed() {
    let store = Store::new();
    let plan = store.plan(&shop());
    let events = || {
        let seen = Mutex::new(Vec::new());
        let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_700_000_000));
        let note = |event: DeployEvent| seen.lock().unwrap().push(event.to_string());
        let applied = wait(store.target().apply(&plan, &options, &note)).unwrap();
        (seen.into_inner().unwrap(), applied.changes)
    };
    let (branch, folder) = ("branch `deploy/staging`", format!("folder `{}`", store.rendered().display()));
    let expected = |outcome: &str| {
        [branch, folder.as_str()]
            .map(|subject| [format!("writing {subject}"), format!("{subject} is {outcome}")])
            .concat()
    };
    assert_eq!(events(), (expected("written"), plan.changes.clone()));
    assert_eq!(events(), (expected("unchanged"), Vec::new()));
    let bare = store.git.open_other(Path::new(&store.remote())).unwrap();
    let commit = bare.text(["log", "--format=%an <%ae> %at%n%B", "-1", BRANCH]).unwrap();
    let expected = "lena <lena@orchestrator.invalid> 1700000000\nstaging: sha256:aa";
    assert!(commit.starts_with(expected) && commit.contains("\n\nLock-Id: sha256:bb"), "{commit}");
}

#[test]
fn f10_a_branch_that_moved_after_the_plan_is_not_overwritten() {
    let store = Store::new();
    let (mine, theirs) = (store.plan(&shop()), store.plan(&next_release()));
    let head = store.apply(&theirs).unwrap().commit;
    match store.apply(&mine).unwrap_err() {
        error @ DeployError::Moved { .. } => {
            assert_eq!(error.class(), ErrorClass::Temporary);
            assert_eq!(error.to_string(), format!("branch `deploy/staging` moved from nothing to {}", head.short(12)));
        }
        error => panic!("{error}"),
    }
    store.assert_holds(&theirs);
    // The same content, pushed by the other: nothing is left to do.
    assert_eq!(store.apply(&theirs).unwrap().branch, BranchChange::Unchanged);
}

#[test]
fn f23_a_push_whose_answer_was_lost_is_looked_up() {
    let store = Store::new();
    let script = store.folder.path().join("git");
    let text = "#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\ngit \"$@\"\nstatus=$?\ncase \" $* \" in *' push '*) \
                echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128;; esac\nexit $status\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let lossy =
        Git::open(&Program::at(&script), &store.folder.path().join("clone"), options(store.folder.path())).unwrap();
    let plan = store.plan(&shop());
    let applied = apply(&Target::Render(store.render_target(&lossy)), &plan).unwrap();
    assert_eq!((applied.branch, store.commits()), (BranchChange::Pushed, 1));
    store.assert_holds(&plan);
}

/// Applies a plan as deployment `number`.
fn numbered_apply(store: &Store, plan: &Plan, number: u64, same_files: SameFiles) -> RenderApplied {
    let mut options = ApplyOptions::new("orchestrator", Timestamp::from_unix_seconds(1_700_000_000));
    options.number = Some(number);
    options.same_files = same_files;
    let AppliedDetail::Render(detail) = wait(store.target().apply(plan, &options, &|_| ())).unwrap().detail else {
        panic!("rendered")
    };
    detail
}

#[test]
fn f28_what_a_dead_deployment_pushes_late_is_refused_once_the_branch_moved() {
    let store = Store::new();
    let plan = store.plan(&shop());
    let first = numbered_apply(&store, &plan, 3, SameFiles::Keep);
    // Deployment 7 dies with its push under way: made for the branch as it is.
    let orphan = store.git.write_tree(None, &[]).unwrap();
    let orphan = store.git.commit_tree(&orphan, std::slice::from_ref(&first.commit), "late\n", &identity()).unwrap();
    let late = |expected: &lock_model::CommitId| {
        store.git.push(&store.remote(), orphan.as_str(), "refs/heads/deploy/staging", Some(expected.as_str())).unwrap()
    };
    // The deployment after it asks for what is there.
    let fenced = numbered_apply(&store, &store.plan(&shop()), 9, SameFiles::Write { unless: Some(7) });
    assert_eq!((fenced.branch, store.commits()), (BranchChange::Pushed, 2));
    assert_eq!(late(&first.commit), git::PushOutcome::Moved);
    store.assert_holds(&plan);

    // What deployment 9 wrote is there: the one that goes on from it has nothing left to do.
    let done = numbered_apply(&store, &store.plan(&shop()), 12, SameFiles::Write { unless: Some(9) });
    assert_eq!((done.branch, done.commit), (BranchChange::Unchanged, fenced.commit.clone()));
    for unless in [None, Some(1), Some(12), Some(90)] {
        let before = store.commits();
        let again = numbered_apply(&store, &store.plan(&shop()), 20, SameFiles::Write { unless });
        assert_eq!((again.branch, store.commits()), (BranchChange::Pushed, before + 1), "{unless:?}");
    }
    let bare = store.git.open_other(Path::new(&store.remote())).unwrap();
    let message = bare.text(["log", "--format=%B", "-1", BRANCH]).unwrap();
    assert!(message.starts_with("staging: sha256:aa") && message.contains("\nDeployment: 20\n"), "{message}");
}

#[test]
fn a_refused_push_says_what_the_remote_said_and_leaves_the_folder() {
    let store = Store::new();
    let hooks = store.folder.path().join("shop.git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    fs::write(hooks.join("update"), "#!/bin/sh\necho 'only the train deploys' >&2\nexit 1\n").unwrap();
    fs::set_permissions(hooks.join("update"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = store.apply(&store.plan(&shop())).unwrap_err();
    assert_eq!((error.class(), store.rendered().exists()), (ErrorClass::Denied, false));
    assert!(error.to_string().contains("only the train deploys"), "{error}");
}

#[test]
fn t27_a_link_on_the_branch_is_seen_and_goes_with_the_next_deployment() {
    let store = Store::new();
    let first = store.deploy(&shop());
    let link =
        TreeChange::Write { path: "services/cart/link".to_owned(), mode: 0o120_000, bytes: b"/etc/passwd".to_vec() };
    let tree = store.git.write_tree(Some(first.commit.as_str()), &[link]).unwrap();
    let commit = store.git.commit_tree(&tree, &[first.commit], "by hand\n", &identity()).unwrap();
    store.git.push(&store.remote(), commit.as_str(), "refs/heads/deploy/staging", None).unwrap();
    let plan = store.plan(&shop());
    assert_eq!(plan.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["services/cart/link"]);
    store.apply(&plan).unwrap();
    store.assert_holds(&plan);
}

#[test]
fn a_branch_that_only_another_clone_knows_is_fetched() {
    let store = Store::new();
    store.deploy(&shop());
    let program = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
    let other =
        Git::init(&program, &store.folder.path().join("other"), &InitOptions::default(), options(store.folder.path()))
            .unwrap();
    let stored = wait(store.render_target(&other).read_stored()).unwrap().unwrap();
    assert_eq!(stored.files, rendered(&store.plan(&shop())).tree.files);
    assert_eq!(stored.record().unwrap().release, shop().release.as_str());
}

#[test]
fn a_branch_whose_name_ends_alike_is_another_branch() {
    let store = Store::new();
    let tree = store
        .git
        .write_tree(None, &[TreeChange::Write { path: "a".to_owned(), mode: MODE_FILE, bytes: Vec::new() }])
        .unwrap();
    let commit = store.git.commit_tree(&tree, &[], "x\n", &identity()).unwrap();
    store.git.push(&store.remote(), commit.as_str(), "refs/heads/x/refs/heads/deploy/staging", None).unwrap();
    assert!(store.stored().is_none());
}

#[test]
fn t27_the_folder_is_reached_through_no_link_and_foreign_files_are_kept() {
    let store = Store::new();
    let plan = store.plan(&shop());
    let outside = store.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, store.folder.path().join("rendered")).unwrap();
    let error = store.apply(&plan).unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    assert!(names(&outside).is_empty());

    fs::remove_file(store.folder.path().join("rendered")).unwrap();
    fs::create_dir_all(store.rendered()).unwrap();
    fs::write(store.rendered().join("thesis.txt"), "years of work").unwrap();
    match store.apply(&plan).unwrap_err() {
        DeployError::Unusable { reason, .. } => assert!(reason.contains("files that were not rendered"), "{reason}"),
        error => panic!("{error}"),
    }
    assert_eq!(names(&store.rendered()), ["thesis.txt"]);

    for path in ["../x", "a/../../x", "/etc", ".git/x", ""] {
        let folder = RenderFolder::new(store.folder.path(), path);
        assert!(folder.read().unwrap_err().to_string().contains("no way below the top"), "{path}");
    }
}

/// The plan of another environment that is rendered to the same branch and folder.
fn plan_of_production(store: &Store, occupied: OccupiedPlace) -> Result<Plan, DeployError> {
    let mut request = shop();
    request.environment = "production".try_into().unwrap();
    request.occupied = occupied;
    wait(store.target().plan(&request))
}

#[test]
fn t60_the_places_of_another_environment_are_not_planned_over_unless_they_were_given() {
    let store = Store::new();
    store.deploy(&shop());
    let DeployError::Problems(problems) = plan_of_production(&store, OccupiedPlace::Refuse).unwrap_err() else {
        panic!("both places are problems of the request")
    };
    let told: Vec<String> = problems.as_slice().iter().map(ToString::to_string).collect();
    let folder = format!("folder `{}` holds the tree of environment `staging`", store.rendered().display());
    assert_eq!(told, ["branch `deploy/staging` holds the tree of environment `staging`".to_owned(), folder]);
    assert!(problems.as_slice().iter().all(|problem| problem.kind == ProblemKind::Place));
    assert_eq!(store.commits(), 1);

    let plan = plan_of_production(&store, OccupiedPlace::TakeOver).unwrap();
    store.apply(&plan).unwrap();
    store.assert_holds(&plan);
    let error = wait(store.target().plan(&shop())).unwrap_err();
    assert!(error.to_string().contains("holds the tree of environment `production`"), "{error}");
}

#[test]
fn t60_a_folder_that_another_environment_filled_after_the_plan_is_kept() {
    let store = Store::new();
    let plan = store.plan(&shop());
    let theirs = {
        let other = Store::new();
        other.apply(&plan_of_production(&other, OccupiedPlace::Refuse).unwrap()).unwrap();
        other
    };
    fs::create_dir_all(store.folder.path().join("rendered")).unwrap();
    fs::rename(theirs.rendered(), store.rendered()).unwrap();
    let before = store.folder_tree();
    let error = store.apply(&plan).unwrap_err();
    assert!(error.to_string().contains("holds the tree of environment `production`"), "{error}");
    assert_eq!(store.folder_tree(), before);
}

#[test]
fn t60_what_was_not_rendered_is_not_planned_over_and_an_empty_place_is_free() {
    let commit = |store: &Store, changes: &[TreeChange]| {
        let tree = store.git.write_tree(None, changes).unwrap();
        let commit = store.git.commit_tree(&tree, &[], "by hand\n", &identity()).unwrap();
        store.git.push(&store.remote(), commit.as_str(), "refs/heads/deploy/staging", None).unwrap();
    };
    let file = |path: &str, text: &str| TreeChange::Write {
        path: path.to_owned(),
        mode: MODE_FILE,
        bytes: text.as_bytes().to_vec(),
    };
    for hostile in [
        vec![file("README.md", "# The documentation")],
        vec![file("release.yaml", "not: a record")],
        vec![file("Release.yaml", "kind: ConfigMap")],
        vec![file("deploy/release.yaml", text(&tree(&shop()), "release.yaml"))],
        vec![TreeChange::Write { path: "link".to_owned(), mode: 0o120_000, bytes: b"release.yaml".to_vec() }],
    ] {
        let store = Store::new();
        commit(&store, &hostile);
        let error = wait(store.target().plan(&shop())).unwrap_err();
        assert!(error.to_string().contains("files that were not rendered"), "{error}: {hostile:?}");
    }
    let store = Store::new();
    commit(&store, &[]);
    fs::create_dir_all(store.rendered()).unwrap();
    store.deploy(&shop());
    store.assert_holds(&store.plan(&shop()));
}

#[test]
fn f3_what_a_killed_swap_left_behind_is_cleared_away() {
    let store = Store::new();
    store.deploy(&shop());
    let rendered = store.folder.path().join("rendered");
    fs::create_dir_all(rendered.join(".staging.orchestrator-new/services")).unwrap();
    fs::write(rendered.join(".staging.orchestrator-new/services/half"), "ha").unwrap();
    fs::create_dir(rendered.join(".staging.orchestrator-old")).unwrap();
    fs::remove_file(store.rendered().join("services/web/deploy/web.yaml")).unwrap();
    let applied = store.deploy(&shop());
    assert_eq!((applied.branch, applied.folder), (BranchChange::Unchanged, Some(FolderChange::Swapped)));
    store.assert_holds(&store.plan(&shop()));
}

/// The release that is deployed in step `number` of the next tests: each with other images and files.
fn numbered(number: usize) -> DeployRequest {
    let mut request = shop();
    request.release = format!("sha256:{number:064x}").try_into().unwrap();
    request.services[0].image = Some(pin("cart", &(number % 10).to_string()));
    if number % 2 == 1 {
        request.services.remove(1);
    }
    request
}

/// Started by the next test as a process of its own, in the store's folder, which then dies; elsewhere it does
/// nothing.
#[test]
fn child_that_deploys() {
    let place = std::env::current_dir().unwrap();
    if !place.join("search-path").exists() {
        return;
    }
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    let program = Program::find("git", read("search-path").as_ref()).unwrap();
    let git = Git::open(&program, &place.join("clone"), options(&place)).unwrap();
    let remote = place.join("shop.git").to_str().unwrap().to_owned();
    let target = RenderTarget::new(git, remote, BRANCH.try_into().unwrap())
        .with_folder(RenderFolder::new(&place, "rendered/staging"));
    let target = Target::Render(target);
    let request = numbered(read("number").parse().unwrap());
    apply(&target, &wait(target.plan(&request)).unwrap()).unwrap();
}

#[test]
fn f3_killed_at_every_call_of_git_and_run_again_it_is_as_if_nothing_had_happened() {
    let this = Program::at(std::env::current_exe().unwrap());
    let store = Store::new();
    store.deploy(&numbered(0));
    let place = store.folder.path();
    let mut number = 0;
    for when in [When::Before, When::After] {
        for call in 1.. {
            number += 1;
            let shim = GitShim::killing(call, when);
            fs::write(place.join("search-path"), shim.search_path().into_encoded_bytes()).unwrap();
            fs::write(place.join("number"), number.to_string()).unwrap();
            let ended = Invocation::new(&this)
                .args(["--exact", "stores::child_that_deploys"])
                .envs(&EnvVars::new().set("PATH", SEARCH_PATH))
                .current_dir(place)
                .deadline(Duration::from_secs(60))
                .run()
                .unwrap();
            let seen = store.folder_tree();
            let old_or_new = [number - 1, number].map(|number| tree(&numbered(number)));
            assert!(old_or_new.contains(&seen), "killed {when:?} call {call}: {:?}", seen.files.keys());
            assert_eq!(ended.success(), !shim.has_killed(), "{}", ended.stdout_text());

            let plan = store.plan(&numbered(number));
            store.apply(&plan).unwrap();
            store.assert_holds(&plan);
            assert_eq!(store.commits(), number + 1, "killed {when:?} call {call}: {}", shim.log());
            if !shim.has_killed() {
                assert!(call > 5, "the shim sees the calls: {}", shim.log());
                break;
            }
        }
    }
}
