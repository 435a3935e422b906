//! `cargo xtask test`: everything that CI checks, with its plan first and its times last.

use std::fs;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::generate::{self, Mode};
use crate::{Outcome, bench, is_ci, program, workspace};

/// How many of the slowest tests the summary names.
const SLOWEST: usize = 10;

/// How many tests run at the same time beyond one for each core: those that wait for a cluster or a server.
const WAITING_TESTS: usize = 4;

/// What the first run in a clone writes, its parts and Go's own caches in the home folder included.
const FIRST_RUN_GIGABYTES: u64 = 22;

/// Below this, a step that failed may well have failed for want of space.
const FULL_BELOW: u64 = 1 << 30;

/// Where the tests' helpers write how long each test took.
const TIMES: &str = "target/bench/test-times.tsv";

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What CI runs.
    Everything,
    /// What a developer runs between two edits.
    Fast,
}

/// One step: its name, what it checks, whether fast mode includes it, and its function.
struct Step {
    name: &'static str,
    what: &'static str,
    fast: bool,
    run: fn(Extent) -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "bench", what: "real programs for the system tests, under target/bench", fast: false, run: bring },
    Step { name: "format", what: "rustfmt has nothing to change", fast: true, run: format },
    Step { name: "lint", what: "clippy has no warnings, in any crate, example or test", fast: true, run: lint },
    Step { name: "doc", what: "the documentation builds without warnings", fast: false, run: doc },
    Step { name: "build", what: "the binary, the tools in examples/, and all tests", fast: true, run: build },
    Step { name: "test", what: "all tests, those of the tools in examples/ included", fast: true, run: test },
    Step { name: "speed", what: "each bench runs once and small; nothing is measured", fast: false, run: speed },
    Step {
        name: "drift",
        what: "generated files are up to date: schemas, references, the table of cases",
        fast: false,
        run: drift,
    },
];

/// Runs the steps, all of them also after a failure, and sums up.
pub(crate) fn run(extent: Extent) -> Outcome {
    let (steps, left_out): (Vec<&Step>, Vec<&Step>) =
        STEPS.iter().partition(|step| step.fast || extent == Extent::Everything);
    println!(
        "The plan (on two cores: up to an hour the first time, of which the parts take about twenty minutes; about half an hour later):"
    );
    for (number, step) in (1..).zip(&steps) {
        println!("  {number}. {}: {}", step.name, step.what);
    }
    if extent == Extent::Fast {
        let names: Vec<&str> = left_out.iter().map(|step| step.name).collect();
        println!(
            "Left out in fast mode: {}, the packages system-tests and test-support, examples of the documentation, and tests on a cluster.",
            names.join(", ")
        );
    }
    if extent == Extent::Everything
        && !workspace().join("target/bench/parts.tsv").exists()
        && let Ok(free) = program::free_space(&workspace())
    {
        let free = free / 1_000_000_000;
        let enough = if free < FIRST_RUN_GIGABYTES { "; it may end for want of space" } else { "" };
        println!(
            "Space: a first run writes up to {FIRST_RUN_GIGABYTES} GB, thirteen of them into Go's caches; {free} GB are free{enough}."
        );
    }
    let skips = workspace().join("target/bench/skipped.tsv");
    // Fast mode in a fresh clone: nothing has made the folder yet.
    if let Some(folder) = skips.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let times = workspace().join(TIMES);
    for file in [&skips, &times] {
        if file.exists() {
            fs::remove_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }

    let mut results: Vec<(&Step, Duration, Outcome)> = Vec::new();
    for (number, step) in (1..).zip(&steps) {
        println!("\n== {number}/{} {}: {}", steps.len(), step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)(extent);
        if let Err(reason) = &outcome {
            println!("{reason}");
            if let Ok(free) = program::free_space(&workspace())
                && free < FULL_BELOW
            {
                println!("The disk is nearly full: {} MB are left for {}.", free / 1_000_000, workspace().display());
            }
        }
        results.push((step, start.elapsed(), outcome));
    }

    println!("\n== summary");
    for (step, time, outcome) in &results {
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("  {:<8} {word:<8} {:>7.1} s", step.name, time.as_secs_f64());
    }
    let mut failures: Vec<String> = Vec::new();
    failures.extend(results.iter().filter(|(.., outcome)| outcome.is_err()).map(|(step, ..)| step.name.to_owned()));
    print!("{}", slowest(&fs::read_to_string(&times).unwrap_or_default()));
    let skipped = fs::read_to_string(&skips).unwrap_or_default();
    for line in skipped.lines() {
        println!("  {}", line.replacen('\t', " ", 1).replacen('\t', ": ", 1));
    }
    if !skipped.is_empty() && is_ci() {
        failures.push("skipped tests, which CI=true forbids".to_owned());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join(", ")) }
}

fn bring(_: Extent) -> Outcome {
    bench::set_up(&workspace())
}

fn format(_: Extent) -> Outcome {
    program::show(program::cargo().args(["fmt", "--all", "--check"]))
}

fn lint(_: Extent) -> Outcome {
    let mut command = program::cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--all-features", "--keep-going"]).args(locked());
    program::show(command.args(["--", "-D", "warnings"]))
}

fn doc(_: Extent) -> Outcome {
    let mut command = program::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--all-features", "--keep-going"]).args(locked());
    program::show(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Builds what the next two steps run: the tests of `system-tests` start the binary, and a plain `cargo test` builds
/// that for its own package's tests only. The same flags as there, so that nothing is built twice.
fn build(extent: Extent) -> Outcome {
    let mut command = program::cargo();
    program::show(
        command.arg("build").args(selection(extent)).args(["--bins", "--tests", "--keep-going"]).args(locked()),
    )
}

fn test(extent: Extent) -> Outcome {
    let mut command = program::cargo();
    command.arg("test").args(selection(extent)).arg("--no-fail-fast").args(locked());
    if extent == Extent::Fast {
        // Without the examples of the documentation, which `doc` belongs to.
        command.args(["--lib", "--bins", "--tests"]);
        command.env("ORCHESTRATOR_WITHOUT_CLUSTER", "fast mode leaves it out");
    }
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = available_parallelism().map_or(1, usize::from);
        command.env("RUST_TEST_THREADS", (cores + WAITING_TESTS).to_string());
    }
    command.env("ORCHESTRATOR_TEST_TIMES", workspace().join(TIMES));
    program::show(command.env("ORCHESTRATOR_SKIPPED_TESTS", workspace().join("target/bench/skipped.tsv")))
}

/// The slowest tests of lines `SECONDS package test`, in columns separated by tabs.
fn slowest(times: &str) -> String {
    let lines = times.lines().filter_map(|line| {
        let (seconds, test) = line.split_once('\t')?;
        Some((seconds.parse::<f64>().ok()?, test.replacen('\t', " ", 1)))
    });
    let mut lines: Vec<(f64, String)> = lines.collect();
    lines.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let lines = lines.iter().take(SLOWEST).map(|(seconds, test)| format!("    {seconds:>7.1} s  {test}\n"));
    let lines = lines.collect::<Vec<String>>().concat();
    if lines.is_empty() { lines } else { format!("  the slowest tests, each beside others:\n{lines}") }
}

/// The benches without `--bench`: each does its work once, and no table is written.
fn speed(extent: Extent) -> Outcome {
    let mut command = program::cargo();
    program::show(command.arg("test").args(selection(extent)).args(["--bench", "*"]).args(locked()))
}

fn drift(_: Extent) -> Outcome {
    generate::from_built_binary(Mode::Check)
}

fn selection(extent: Extent) -> &'static [&'static str] {
    match extent {
        Extent::Everything => &["--workspace", "--all-features"],
        Extent::Fast => &["--workspace", "--all-features", "--exclude", "system-tests", "--exclude", "test-support"],
    }
}

/// In CI the lock file of cargo must be what was committed; elsewhere a new dependency may change it.
fn locked() -> Option<&'static str> {
    is_ci().then_some("--locked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_tests_are_named_with_their_package() {
        let lines = (1..=12).map(|seconds| format!("{seconds}.5\tsystem-tests\tflow::t{seconds}\n"));
        let shown = slowest(&(lines.collect::<Vec<String>>().concat() + "cut o"));
        assert!(shown.contains("\n       12.5 s  system-tests flow::t12\n       11.5 s  "), "{shown}");
        assert_eq!(shown.lines().count(), 1 + SLOWEST);
        assert_eq!(slowest(""), "");
    }
}
