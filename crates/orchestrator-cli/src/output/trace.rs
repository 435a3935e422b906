//! `--verbose`: which programs are started and what registries are asked, on stderr.

use std::io::Write as _;

use lock_model::escaping::escape_terminal;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{Console, Format, Tone, github};

/// The crates of this workspace that say what they do; others say too much.
const TARGETS: [&str; 2] = ["process", "registry"];

struct Trace(Console);

impl Log for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug && TARGETS.contains(&metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let call = without_settings(&record.args().to_string());
        let line = self.0.log.paint(Tone::Quiet, &format!("+ {}", escape_terminal(&call))) + "\n";
        let line = if self.0.format == Format::Github { github::inert(&line) } else { line };
        // A reader that went away is no failure of the work itself.
        let _gone = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// A call of git without the settings that every call has.
fn without_settings(call: &str) -> String {
    let mut words = call.split(' ').filter(|word| *word != "--no-pager");
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "-c" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Shows from now on what the libraries do.
pub(crate) fn show(console: Console) {
    // Only tests have more than one command in a process, and they want one of these.
    if log::set_boxed_logger(Box::new(Trace(console))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}
