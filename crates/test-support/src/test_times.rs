//! How long each test takes, for the summary of `cargo xtask test`: the test harness of a stable compiler does not say.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;
use std::time::Instant;

use crate::environment;

/// The test that a thread runs, from the first part that it asks this crate for.
#[derive(Debug)]
struct RunningTest {
    name: String,
    begin: Instant,
}

thread_local! {
    static TEST: Option<RunningTest> = RunningTest::of_this_thread();
}

/// Lets the time of the running test count, until its thread ends.
pub(crate) fn measure() {
    TEST.with(|_| ());
}

impl RunningTest {
    /// The harness names the thread of a test after it; the test's own threads, and the one thread of a harness that is
    /// told to use one, belong to no test.
    fn of_this_thread() -> Option<Self> {
        let name = thread::current().name().filter(|name| *name != "main")?.to_owned();
        Some(Self { name, begin: Instant::now() })
    }
}

impl Drop for RunningTest {
    fn drop(&mut self) {
        let Some(path) = environment::variable("ORCHESTRATOR_TEST_TIMES") else { return };
        let package = environment::variable("CARGO_PKG_NAME").unwrap_or_default();
        let seconds = self.begin.elapsed().as_secs_f64();
        let line = format!("{seconds:.1}\t{}\t{}\n", package.to_string_lossy(), self.name);
        // A time that cannot be written fails no test.
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).ok();
    }
}
