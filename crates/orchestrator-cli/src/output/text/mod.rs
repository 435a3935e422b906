//! Reports as text for people.

mod config;
mod environment;
mod history;
mod images;
mod lock;
mod permissions;
mod plan;
mod pull_requests;
mod run;
mod simulator;

use std::collections::BTreeMap;

use orchestrator::report::v1::NotJudged;

use crate::output::{Page, Tone};

/// A report as text.
pub(crate) trait Text {
    /// Complete lines and tables.
    fn text(&self) -> Page;

    /// Lines for stderr, where stdout holds something else than text for people.
    fn notes(&self) -> Option<Page> {
        None
    }
}

/// Twelve digits of a digest or id, which is enough for people.
fn short_id(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// An image with a digest of twelve digits.
fn short_image(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, hex)) => format!("{name}@{}", hex.chars().take(12).collect::<String>()),
        None => image.to_owned(),
    }
}

/// One line of questions that were not judged, for each reason; nothing where all were.
fn not_judged(questions: &[NotJudged]) -> Page {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in questions {
        by_reason.entry(&one.reason).or_default().push(&one.question);
    }
    by_reason.into_iter().fold(Page::default(), |page, (reason, questions)| {
        page + Page::toned(Tone::Doubtful, "not judged") + format!(": {reason}: {}\n", questions.join(", "))
    })
}

/// Newer work took the place of this one.
fn superseded(note: &str) -> Page {
    Page::toned(Tone::Doubtful, "superseded") + format!(": {note}\n")
}
