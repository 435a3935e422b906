//! What a shell offers for an argument: names of the work tree around the current folder.

use std::path::Path;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use orchestrator::{KnownNames, known_names};

/// Environments of the configuration.
pub(super) fn environments() -> ArgValueCandidates {
    candidates(|names| names.environments)
}

/// Suites of the configuration.
pub(super) fn suites() -> ArgValueCandidates {
    candidates(|names| names.suites)
}

/// Services of the work tree.
pub(super) fn services() -> ArgValueCandidates {
    candidates(|names| names.services)
}

fn candidates(chosen: fn(KnownNames) -> Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || -> Vec<CompletionCandidate> {
        let here = Path::new(".").canonicalize().unwrap_or_default();
        chosen(known_names(&here)).into_iter().map(CompletionCandidate::new).collect()
    })
}
