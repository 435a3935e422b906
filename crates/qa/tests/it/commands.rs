//! Suites that are a real program.

use std::time::{Duration, Instant};

use process::{EnvVars, Program, Redactor};
use qa::{CommandSuite, Suite, SuiteReport, Verdict};
use tempfile::TempDir;

/// Long enough for a busy machine, where an answer is expected.
const PATIENCE: Duration = Duration::from_secs(60);

async fn run(text: &str, change: impl FnOnce(&mut CommandSuite)) -> SuiteReport {
    let folder = TempDir::new().unwrap();
    let mut redactor = Redactor::new();
    redactor.add("hunter2-hunter2");
    let mut suite = CommandSuite::new(Program::at("/bin/sh"), folder.path(), PATIENCE);
    suite.args = vec!["-c".to_owned(), text.to_owned()];
    suite.envs = EnvVars::new().set("PATH", "/usr/bin:/bin").set("TOKEN", "hunter2-hunter2");
    suite.redactor = redactor;
    change(&mut suite);
    qa::run("system", &Suite::Command(suite)).await
}

fn lines(report: &SuiteReport) -> Vec<&str> {
    report.log_tail.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn the_exit_status_is_the_verdict() {
    let report = run("echo good; exit 0", |_| ()).await;
    assert_eq!((report.verdict, lines(&report)), (Verdict::Passed, vec!["good"]));
    let report = run("echo out; echo err >&2; exit 4", |_| ()).await;
    assert_eq!((report.verdict, lines(&report)), (Verdict::Failed, vec!["out", "err"]));
    assert_eq!(report.cases[0].message, "ended with exit status 4");
    let report = run("kill -9 $$", |_| ()).await;
    assert_eq!((report.verdict, report.cases[0].message.as_str()), (Verdict::Unknown, "ended with signal 9"));
}

#[tokio::test]
async fn p17_a_failing_suite_ends_at_once_and_a_hanging_one_at_its_deadline() {
    let begun = Instant::now();
    assert_eq!(run("exit 1", |_| ()).await.verdict, Verdict::Failed);
    assert!(begun.elapsed() < PATIENCE);
    let report = run("echo stuck >&2; exec sleep 600", |suite| suite.deadline = Duration::from_secs(1)).await;
    assert_eq!((report.verdict, report.is_passed()), (Verdict::Unknown, false));
    assert_eq!(report.reason.as_deref(), Some("did not end within 1 s"));
    assert_eq!(lines(&report), ["stuck"]);
}

#[tokio::test]
async fn p21_a_suite_that_cannot_start_is_unknown() {
    let report = run("", |suite| suite.program = Program::at("/no/such/suite")).await;
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(report.reason.as_deref().unwrap().contains("could not be started"), "{report:?}");
    let report = run("", |suite| suite.interrupt.request()).await;
    assert_eq!(report.verdict, Verdict::Unknown, "{report:?}");
}

#[tokio::test]
async fn t26_the_program_sees_the_named_variables_only() {
    let report = run("/usr/bin/env | /usr/bin/sort", |suite| {
        suite.envs = EnvVars::new().set("STAGING_URL", "http://x").set("PATH", "/bin");
    })
    .await;
    let names: Vec<&str> = report.log_tail.iter().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, ["PATH", "PWD", "STAGING_URL"], "PWD is the shell's own");
}

#[tokio::test]
async fn t36_the_log_is_short_and_harmless_and_holds_no_secret() {
    let report = run("echo \"token $TOKEN\"; printf 'a\\033[2Jb\\r\\n'; seq 100; exit 1", |_| ()).await;
    assert_eq!(report.log_tail.len(), 40);
    let report = run("echo \"token $TOKEN\"; printf 'a\\033[2Jb\\n'; exit 1", |_| ()).await;
    assert_eq!(lines(&report), ["token ***", "a\\u{1b}[2Jb"]);
}

#[tokio::test]
async fn t40_endless_output_does_not_fill_the_memory() {
    let report = run("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end", |_| ()).await;
    assert_eq!((report.verdict, report.log_tail.last().unwrap().as_str()), (Verdict::Passed, "end"));
    assert!(report.log_tail.iter().all(|line| line.chars().count() <= 1001));
}
