//! What a shell offers for an argument: names of the work tree around the current folder, of its clone and of its forge.

use std::path::PathBuf;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use lock_model::escaping::escape_short;
use orchestrator::{ClonedNames, KnownNames, cloned_names, known_names};

use crate::environment;
use crate::surroundings::surroundings;

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

/// The same, and what they are called without the project's prefix.
pub(super) fn services_and_short_names() -> ArgValueCandidates {
    candidates(|names| [names.services, names.short_names].concat())
}

/// Branches and tags of the clone.
pub(super) fn revisions() -> ArgValueCandidates {
    of_clone(|names| names.revisions.into_iter().map(CompletionCandidate::new).collect())
}

/// Open pull requests of the local forge, with their titles.
pub(super) fn pull_requests() -> ArgValueCandidates {
    of_clone(|names| {
        let offered = names.pull_requests.into_iter().map(|(number, title)| {
            CompletionCandidate::new(number.to_string()).help(Some(escape_short(&title, 80).into()))
        });
        offered.collect()
    })
}

/// Releases of the local forge.
pub(super) fn releases() -> ArgValueCandidates {
    of_clone(|names| names.releases.into_iter().map(CompletionCandidate::new).collect())
}

/// Users of the local forge.
pub(super) fn users() -> ArgValueCandidates {
    of_clone(|names| names.users.into_iter().map(CompletionCandidate::new).collect())
}

fn of_clone(chosen: fn(ClonedNames) -> Vec<CompletionCandidate>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || -> Vec<CompletionCandidate> {
        let forge = environment::read(environment::FORGE).map(PathBuf::from);
        chosen(cloned_names(&here(), forge.as_deref(), &surroundings()))
    })
}

fn here() -> PathBuf {
    PathBuf::from(".").canonicalize().unwrap_or_default()
}

fn candidates(chosen: fn(KnownNames) -> Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || -> Vec<CompletionCandidate> {
        chosen(known_names(&here())).into_iter().map(CompletionCandidate::new).collect()
    })
}
