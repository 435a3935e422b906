//! How many children commands start that change nothing: what a run costs that finds everything done.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use test_support::GitShim;

use crate::shop::{Shop, wait_until};

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

/// What ends helm with its run: nothing else of the run is needed for it, and it is no command for people.
#[test]
fn f2_a_child_that_this_program_launches_ends_when_its_parent_is_killed() {
    let binary = test_support::built_binary();
    let launch = |script: &str| {
        #[expect(
            clippy::disallowed_methods,
            reason = "what the process crate starts is what this program is asked to become"
        )]
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(&binary).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.spawn().unwrap()
    };
    let mut parent = launch("\"$1\" launch-child $$ /bin/sleep 300 & echo $!; wait");
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let command = || std::fs::read_to_string(format!("/proc/{}/cmdline", line.trim())).unwrap_or_default();
    wait_until("the child is the program", || command().starts_with("/bin/sleep"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // A process that has ended and was not waited for has no words left.
    wait_until("the child has ended", || command().is_empty());

    // A parent that ended before it could be asked about.
    for (script, expected) in [
        ("\"$1\" launch-child 1 /bin/echo late", "has ended"),
        ("\"$1\" launch-child $$ /bin/none-of-this-name", "No such file"),
        ("\"$1\" launch-child", "the process id of a parent"),
    ] {
        let output = launch(&format!("{script}; exit $?")).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(127) && output.stdout.is_empty(), "{script}: {output:?}");
        assert!(text.starts_with("the program does not start: ") && text.contains(expected), "{script}: {text}");
    }
    for line in ["--help", "completion bash"] {
        assert!(!Shop::new().orchestrator(line).run().stdout().contains("launch-child"), "{line}");
    }
}
