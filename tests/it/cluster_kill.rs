//! A run that is killed around helm, and the same command again.
//!
//! A `helm` in front of the real one ends its caller with signal 9. What the killed run held, its lease above all, stays
//! as it is: the next run waits until the lease has ended.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use test_support::{Cluster, Running};

use crate::children::that_see;
use crate::cluster_reports::{claim, storage_class};
use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE, hook_job};
use crate::shop::wait_until;
use crate::turns::take_turn;

/// When the caller of helm is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// Before helm does anything.
    Before,
    /// With helm, whose release is pending: the machine of the job is gone.
    WithHelm,
    /// Alone, from outside, while the release is pending: helm ends with it.
    Alone,
    /// While helm works, which was started by a program that does not become it, and ends with the run all the same.
    Below,
    /// After helm has ended.
    After,
}

impl Kill {
    /// What the program in front of helm does instead of its first upgrade.
    const fn script(self) -> &'static str {
        match self {
            Self::Before => "kill -9 $run; exit 1",
            Self::Alone => ":",
            // The program itself ends with the run: helm goes first.
            Self::WithHelm => "\"$helm\" \"$@\" & child=$!; sleep 2; kill -9 $child $run; exit 1",
            Self::Below => "\"$helm\" \"$@\" & sleep 2; kill -9 $run; wait; exit 0",
            Self::After => "\"$helm\" \"$@\"; kill -9 $run; exit 1",
        }
    }
}

/// Puts the killing program in front of helm; it kills once. The run is the parent of its guard.
fn arm(staging: &ClusterShop<'_>, kill: Kill) {
    let (program, done) = (staging.shop.join("tools/helm"), staging.shop.join("killed"));
    let helm = fs::read_link(&program).unwrap();
    fs::remove_file(&program).unwrap();
    let text = format!(
        "#!/bin/sh\nhelm='{}'\nrun=$(cut -d' ' -f4 \"/proc/$PPID/stat\")\n\
         case \" $* \" in\n*' --dry-run'*) ;;\n' upgrade '*) if [ ! -e '{done}' ]; then : > '{done}'; {}; \
         fi ;;\nesac\nexec \"$helm\" \"$@\"\n",
        helm.display(),
        kill.script(),
        done = done.display(),
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The command lines of the helm processes that work in a namespace; their guards, which have the same words, are none.
pub(crate) fn helms(namespace: &str) -> Vec<String> {
    let of_process = |entry: std::io::Result<fs::DirEntry>| {
        let words = fs::read_to_string(entry.ok()?.path().join("cmdline")).ok()?.replace('\0', " ");
        let is_helm = words.contains("helm") && words.contains(&format!("--namespace {namespace} "));
        (is_helm && !words.starts_with("/proc/self/exe ")).then_some(words)
    };
    fs::read_dir("/proc").unwrap().filter_map(of_process).collect()
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Install,
    Upgrade,
    Rollback,
}

/// Kills a run, and runs the same command again.
fn killed(cluster: &Cluster, kill: Kill, work: Work) {
    let turn = take_turn();
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    // Keeps helm at work for some seconds, with a release that is pending.
    let class = storage_class(cluster, &staging.namespace, "WaitForFirstConsumer");
    let hook = hook_job("pre-install,pre-upgrade", "sleep 4");
    let chart = DEPLOYMENT.to_owned() + &hook + &claim("data", &class);
    let kubectl = |words: &[&str]| cluster.kubectl(&[words, &["--namespace", &staging.namespace]].concat());
    let case = format!("{kill:?}, {work:?}");
    let deploys = |version: u32| {
        let digest = staging.merge_chart(version, SERVES, &chart);
        staging.ends("run staging", 0);
        digest
    };
    let (digest, line) = match work {
        Work::Install => (staging.merge_chart(2, SERVES, &chart), "run staging"),
        Work::Upgrade => {
            deploys(2);
            (staging.merge_chart(3, SERVES, &chart), "run staging")
        }
        Work::Rollback => {
            let first = deploys(2);
            deploys(3);
            (first, "rollback staging --reason \"carts are empty\"")
        }
    };
    let uids = || {
        let uids = "--output=jsonpath={range .items[*]}{.kind} {.metadata.uid}{\"\\n\"}{end}";
        kubectl(&["get", "deployments,persistentvolumeclaims", uids])
    };
    let (before, revisions_before) = (uids(), staging.revisions());
    arm(&staging, kill);
    let status = ["get", "secret", "--selector=owner=helm", "--output=jsonpath={.items[*].metadata.labels.status}"];
    let signal = if matches!(kill, Kill::Alone) {
        let mut run = staging.command(&[], line).start();
        wait_until("its release is pending", || kubectl(&status).contains("pending"));
        assert_eq!(helms(&staging.namespace).len(), 1);
        run.kill();
        run.wait().signal()
    } else {
        staging.command(&[], line).run().signal()
    };
    let killed = Instant::now();
    assert_eq!(signal, Some(9), "{case}");
    while !helms(&staging.namespace).is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(2), "helm lives on: {:?}", helms(&staging.namespace));
    }
    if matches!(kill, Kill::Alone) {
        assert!(kubectl(&status).contains("pending"), "helm had no time to write anything: {}", kubectl(&status));
    }

    let left = uids();
    // What waits for the Lease of the run that was killed, a minute, needs no turn.
    drop(turn);
    staging.ends(line, 0);
    assert_eq!(staging.running(), [digest], "{case}");
    staging.ends("verify staging", 0);
    // Forward, in the same release: what was there is not installed anew, its data above all, and nothing stays pending.
    let after = uids();
    assert_eq!(after.lines().count(), 2, "{case}: {after}");
    for there in before.lines().chain(left.lines()) {
        assert!(after.lines().any(|line| line == there), "{case}: `{there}` is not in\n{after}");
    }
    let revisions = staging.revisions();
    let made = revisions - revisions_before;
    assert!((1..=2).contains(&made), "{case}: {made} revisions");
    assert!(!kubectl(&status).contains("pending"), "{case}: {}", kubectl(&status));
    // Nothing is done twice.
    if work != Work::Rollback {
        staging.ends(line, 0);
        assert_eq!(staging.revisions(), revisions, "{case}");
    }
}

#[test]
fn f2_a_run_that_is_killed_around_helm_is_taken_forward_by_the_same_command() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let kills = [
        (Kill::Before, Work::Upgrade),
        (Kill::WithHelm, Work::Install),
        (Kill::WithHelm, Work::Upgrade),
        (Kill::WithHelm, Work::Rollback),
        (Kill::Alone, Work::Install),
        (Kill::Alone, Work::Upgrade),
        (Kill::Alone, Work::Rollback),
        (Kill::Below, Work::Upgrade),
        (Kill::After, Work::Install),
        (Kill::After, Work::Upgrade),
        (Kill::After, Work::Rollback),
    ];
    // Each waits for the Lease of the run that was killed: side by side.
    std::thread::scope(|scope| {
        for (kill, work) in kills {
            scope.spawn(move || killed(cluster, kill, work));
        }
    });
}

/// Kills a run once processes of a program are there, and waits until all of them have ended.
fn kill_at_work(mut run: Running, what: &str, processes: &dyn Fn() -> Vec<String>) {
    wait_until(what, || processes().iter().any(|words| words.starts_with("sleep 300")));
    run.kill();
    assert_eq!(run.wait().signal(), Some(9), "{what}");
    let killed = Instant::now();
    while !processes().is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(5), "{what}: {:?}", processes());
    }
}

#[test]
fn f2_programs_of_settings_and_what_they_started_end_with_a_run_that_is_killed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }
  config: [{ command: [./tests/slow], variables: [SLOW], format: dotenv }]"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    staging.shop.work_on("dev").write_executable("tests/slow", "#!/bin/sh\nsleep 300 & wait\n");
    staging.merge(2, SERVES);
    let value = format!("value-of-{}", staging.namespace);
    let run = staging.command(&[("SLOW", value.as_str())], "run staging").start();
    kill_at_work(run, "a program of settings", &|| that_see(&format!("SLOW={value}")));
}

#[test]
fn f2_a_kustomize_and_what_it_started_end_with_a_run_that_is_killed() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster", kustomization: "overlays/{mode}" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let Some(staging) = staging.with_program_or_skip("kustomize", "kustomize") else { return };
    let app = Deployment::plain("shop-cart");
    let files = [
        ("cluster/base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("cluster/base/app.yaml", app.yaml()),
        ("cluster/overlays/staging/kustomization.yaml", "resources: [../../base]\n"),
    ];
    staging.commit_files(SERVICE, 2, SERVES, &files);
    staging.shop.merge_dev();
    // One that hangs takes its place.
    let program = staging.shop.join("tools/kustomize");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\n[ \"$1\" = version ] && exec echo v5.4.0\nsleep 300 & wait\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let run = staging.command(&[], "run staging").start();
    // Its processes have one group, which the guard leads; it is known also once the program itself has ended.
    let groups = RefCell::new(BTreeSet::new());
    kill_at_work(run, "kustomize", &|| {
        let all = with_groups();
        let of_program = all.iter().filter(|(words, _)| words.contains(program.to_str().unwrap()));
        groups.borrow_mut().extend(of_program.map(|(_, group)| group.clone()));
        all.into_iter().filter(|(_, group)| groups.borrow().contains(group)).map(|(words, _)| words).collect()
    });
}

/// The command line and the process group of every process that runs.
fn with_groups() -> Vec<(String, String)> {
    let of_process = |entry: std::io::Result<fs::DirEntry>| {
        let folder = entry.ok()?.path();
        let words = fs::read_to_string(folder.join("cmdline")).ok()?.replace('\0', " ");
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let group = stat.rsplit_once(") ")?.1.split(' ').nth(2)?.to_owned();
        (!words.is_empty()).then_some((words, group))
    };
    fs::read_dir("/proc").unwrap().filter_map(of_process).collect()
}
