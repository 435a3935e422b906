//! How many children commands start that change nothing: what a run costs that finds everything done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use test_support::GitShim;

use crate::shop::{Shop, wait_until};
use crate::stops::proven;

/// What git is asked for: the gitlinks of an index, and the remotes of a repository whose own file names none; each after a
/// look at its version.
const ASK_GIT: [(&str, usize); 2] = [("config check", 2), ("-C ../shop.git status", 2)];

#[test]
fn what_changes_nothing_starts_hardly_a_child() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("run staging");
    // What the run wrote to the forge is fetched now.
    shop.ok("status");
    for line in [
        "run staging",
        "status",
        "history",
        "plan staging",
        "config check",
        "config check --rev HEAD",
        "lock generate",
        "lock generate --rev staging",
        "lock check --rev staging",
        "-C ../shop.git status",
    ] {
        let before = shop.records().len();
        let counting = GitShim::counting();
        shop.orchestrator(line).search_path(counting.search_path()).run().expect_code(0);
        assert_eq!(shop.records().len(), before, "`{line}` records nothing");
        let most = ASK_GIT.into_iter().find(|(known, _)| *known == line).map_or(0, |(_, most)| most);
        assert!(counting.count() <= most, "`{line}` starts git {} times:\n{}", counting.count(), counting.log());
    }
    // What the forge has and the clone has not is fetched, by one child.
    shop.bump("services/shop-web", 2);
    let counting = GitShim::counting();
    shop.orchestrator("status").search_path(counting.search_path()).run().expect_code(0);
    assert_eq!(counting.log().lines().filter(|call| call.contains(" fetch ")).count(), 1, "{}", counting.log());
}

/// Starts a script of a shell that leads a process group, with the binary as its first argument.
fn script(script: &str) -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the process crate starts is what this program is asked to become"
    )]
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", script, "sh"]).arg(test_support::built_binary()).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Words of a process that runs; a process that has ended and was not waited for has none left.
fn command_of(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn first_lines<const N: usize>(child: &mut Child) -> [String; N] {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::array::from_fn(|_| lines.next().unwrap().unwrap())
}

/// What ends a program with its run: nothing else of the run is needed for it, and it is no command for people.
#[test]
fn f2_a_child_that_this_program_launches_ends_when_its_parent_is_killed() {
    let mut parent = script("\"$1\" launch-child $$ /bin/sleep 300 & echo $!; wait");
    let [pid] = first_lines(&mut parent);
    wait_until("the child is the program", || command_of(&pid).starts_with("/bin/sleep"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the child has ended", || command_of(&pid).is_empty());

    // A parent that ended before it could be asked about.
    for (line, expected) in [
        ("\"$1\" launch-child 1 /bin/echo late", "has ended"),
        ("\"$1\" launch-child $$ /bin/none-of-this-name", "No such file"),
        ("exec \"$1\" guard-child 0 /bin/none-of-this-name", "No such file"),
        ("\"$1\" launch-child", "the process id of a parent"),
        ("exec \"$1\" guard-child 0", "a time and a program"),
        ("\"$1\" guard-child 0 /bin/echo late", "lead its process group"),
    ] {
        let mut child = script(&format!("{line}; exit $?"));
        let _open = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(127) && output.stdout.is_empty(), "{line}: {output:?}");
        assert!(text.starts_with("the program does not start: ") && text.contains(expected), "{line}: {text}");
    }
    for line in ["--help", "completion bash"] {
        let help = Shop::new().orchestrator(line).run();
        assert!(!help.stdout().contains("launch-child") && !help.stdout().contains("guard-child"), "{line}");
    }
}

/// A program that has started another one, which ignores what would end it in order: guarded, with an input that says who
/// guards it.
fn guarded(limit: u32) -> (Child, [String; 2]) {
    let program = "trap \"\" TERM; sleep 300 & echo $$ $!; wait";
    let mut child = script(&format!("exec \"$1\" guard-child {limit} /bin/sh -c '{program}'"));
    let [line] = first_lines(&mut child);
    let pids = line.split_once(' ').unwrap();
    (child, [pids.0.to_owned(), pids.1.to_owned()])
}

#[test]
fn f2_the_whole_group_of_a_guarded_program_ends_with_the_caller() {
    let (mut child, pids) = guarded(0);
    assert!(pids.iter().all(|pid| !command_of(pid).is_empty()), "{pids:?}");
    // A time of 0 is no limit: a caller that says nothing is none that is gone.
    std::thread::sleep(Duration::from_millis(600));
    assert!(pids.iter().all(|pid| !command_of(pid).is_empty()), "{pids:?}");
    // Its end of the pipe is closed when a process ends, however that ends.
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    wait_until("the group has ended", || pids.iter().all(|pid| command_of(pid).is_empty()));
}

#[test]
fn f6_the_whole_group_of_a_guarded_program_ends_when_the_caller_is_stopped() {
    let (mut child, pids) = guarded(1000);
    let mut pipe = child.stdin.take().unwrap();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(400));
        pipe.write_all(&[0]).unwrap();
    }
    assert!(pids.iter().all(|pid| !command_of(pid).is_empty()), "a caller that runs: {pids:?}");
    assert_eq!(child.wait().unwrap().signal(), Some(9), "nothing more comes");
    wait_until("the group has ended", || pids.iter().all(|pid| command_of(pid).is_empty()));
}

#[test]
fn f2_a_guarded_program_ends_when_its_guard_is_killed() {
    let (mut child, pids) = guarded(0);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the program has ended", || command_of(&pids[0]).is_empty());
    // The guard is no more, and nothing else ends what the program has started.
    let left: i32 = pids[1].parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(left).unwrap(), rustix::process::Signal::KILL).ok();
}

#[test]
fn a_guard_ends_as_its_program_does() {
    for (program, expected) in
        [("exit 0", (Some(0), None)), ("exit 3", (Some(3), None)), ("kill -9 $$", (None, Some(9)))]
    {
        let mut child = script(&format!("exec \"$1\" guard-child 0 /bin/sh -c '{program}'"));
        let status = wait_with_open_input(&mut child);
        assert_eq!((status.code(), status.signal()), expected, "{program}");
    }
    // SIGTERM is for the program: the guard lives until that has ended in order, or by the signal.
    for (program, expected) in [
        ("trap \"sleep 0.5; exit 7\" TERM; echo ready; while :; do sleep 0.05; done", (Some(7), None)),
        ("echo ready; exec sleep 300", (None, Some(15))),
    ] {
        let mut child = script(&format!("exec \"$1\" guard-child 0 /bin/sh -c '{program}'"));
        let [_ready] = first_lines::<1>(&mut child);
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
        let status = wait_with_open_input(&mut child);
        assert_eq!((status.code(), status.signal()), expected, "{program}");
    }
}

/// `wait` closes the input, which would end the guard.
fn wait_with_open_input(child: &mut Child) -> ExitStatus {
    let _open = child.stdin.take();
    child.wait().unwrap()
}

/// Processes that see a variable with this value, as all do that a suite starts.
pub(crate) fn that_see(value: &str) -> Vec<String> {
    let of_process = |entry: std::io::Result<std::fs::DirEntry>| {
        let folder = entry.ok()?.path();
        let variables = std::fs::read(folder.join("environ")).ok()?;
        let is_one = variables.split(|byte| *byte == 0).any(|variable| variable == value.as_bytes());
        is_one.then(|| std::fs::read_to_string(folder.join("cmdline")).unwrap_or_default().replace('\0', " "))
    };
    std::fs::read_dir("/proc").unwrap().filter_map(of_process).collect()
}

#[test]
fn f2_a_suite_or_probe_and_what_it_started_end_with_a_run_that_is_killed() {
    for name in ["platform", "system"] {
        let shop = Shop::new();
        shop.merge_dev();
        let paused = shop.pause("staging", name);
        let mut run = shop.orchestrator("run staging").start();
        paused.reached();
        let state = format!("SHOP_STATE={}", shop.join("home").display());
        wait_until("the script to read the pipe", || that_see(&state).iter().any(|words| words.starts_with("cat ")));
        let processes = that_see(&state);
        assert!(processes.iter().any(|words| words.contains("guard-child 0 ")), "{processes:?}");
        run.kill();
        let killed = Instant::now();
        while !that_see(&state).is_empty() {
            assert!(killed.elapsed() < Duration::from_secs(5), "{name}: {:?}", that_see(&state));
        }
        shop.ok("run staging");
    }
}

#[test]
fn f24_a_program_that_hangs_ends_with_the_deadline_of_its_command() {
    let shop = proven();
    let _paused = shop.pause("staging", "platform");
    let began = Instant::now();
    let late = shop.ends("health staging --deadline 2s", 22);
    assert!(began.elapsed() < Duration::from_secs(30), "its own deadline is a minute: {late}");
}
