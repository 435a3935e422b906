//! Checks by a real program.

use std::fs;
use std::time::{Duration, Instant};

use healthcheck::{CheckState, CommandProbe, Probe};
use process::{EnvVars, Program, Redactor};
use tempfile::TempDir;

use crate::{IMPATIENCE, PATIENCE, ask};

fn script(folder: &TempDir, text: &str) -> CommandProbe {
    let mut redactor = Redactor::new();
    redactor.add("hunter2-hunter2");
    let mut probe = CommandProbe::new(Program::at("/bin/sh"), folder.path());
    probe.args = vec!["-c".to_owned(), text.to_owned()];
    probe.envs = EnvVars::new().set("PATH", "/usr/bin:/bin").set("TOKEN", "hunter2-hunter2");
    probe.redactor = redactor;
    probe
}

#[tokio::test]
async fn the_exit_status_is_the_answer() {
    let folder = TempDir::new().unwrap();
    for (text, state, detail) in [
        ("exit 0", CheckState::Healthy, "exit status 0"),
        ("exit 3", CheckState::Unhealthy, "ended with exit status 3"),
        (
            "echo one >&2; echo 'two \u{1b}[2J' >&2; exit 1",
            CheckState::Unhealthy,
            "ended with exit status 1: two \\u{1b}[2J",
        ),
        ("echo \"token $TOKEN\" >&2; exit 1", CheckState::Unhealthy, "ended with exit status 1: token ***"),
        ("kill -9 $$", CheckState::Unknown, "ended with signal 9"),
    ] {
        let result = ask(Probe::Command(script(&folder, text)), PATIENCE).await;
        assert_eq!((result.state, result.detail.as_str()), (state, detail), "{text}");
    }
    let missing = CommandProbe::new(Program::at("/no/such/program"), folder.path());
    let result = ask(Probe::Command(missing), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unknown);
    assert!(result.detail.contains("could not be started"), "{}", result.detail);
    let interrupted = script(&folder, "exit 0");
    interrupted.interrupt.request();
    let result = ask(Probe::Command(interrupted), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unknown, "{}", result.detail);
}

#[tokio::test]
async fn p17_a_program_that_hangs_ends_at_the_deadline_with_its_children() {
    let folder = TempDir::new().unwrap();
    let pid_file = folder.path().join("pid");
    let text = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' & wait; wait";
    let begun = Instant::now();
    // The child has to be there to be ended.
    let result = ask(Probe::Command(script(&folder, text)), Duration::from_secs(2)).await;
    assert_eq!((result.state, result.detail.as_str()), (CheckState::Unknown, "no answer within 2 s"));
    assert!(begun.elapsed() < PATIENCE);
    // On a machine that was too busy to start it, there is nothing to end.
    let pid = fs::read_to_string(pid_file).unwrap_or_else(|_| "none".to_owned());
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(status.is_empty() || status.contains(") Z "), "the child is gone: {status}");
}

#[tokio::test]
async fn a_deadline_counts_for_programs_that_say_nothing() {
    let folder = TempDir::new().unwrap();
    let result = ask(Probe::Command(script(&folder, "exec sleep 600")), IMPATIENCE).await;
    assert_eq!((result.state, result.detail.as_str()), (CheckState::Unknown, "no answer within 300 ms"));
}
