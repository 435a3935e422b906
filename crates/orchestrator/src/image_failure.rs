//! Images that cannot be locked: one error for all of them, with a hint for each cause.

use std::error::Error as _;

use lock_model::{ErrorClass, ServiceName};
use registry::layout::{LayoutError, LayoutErrorKind};
use registry::{Attempt, AttemptOutcome, RegistryError, RegistryErrorKind, Unresolved, UnresolvedReason};

use crate::error::{Error, ErrorKind, Problem, causes};
use crate::image_hints::{hint, kind_hint};
use crate::workspace::Workspace;

/// What a command did about images that may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It looked once.
    None,
    /// It waited as long as it was told to.
    Over,
    /// It looked for images of the past, which do not come any more.
    Useless,
}

/// All failures as one error. A permanent cause decides its kind; it is temporary only where every failure is. What a host
/// did to several services alike is said once.
pub(crate) fn unresolved(
    context: &Workspace,
    failures: &[(ServiceName, Unresolved)],
    of: usize,
    patience: Patience,
) -> Error {
    let code = failures
        .iter()
        .map(|(_, failure)| ErrorKind::of(failure.class(), ErrorKind::Image, ErrorKind::Image))
        .min_by_key(|code| match code {
            ErrorKind::Bug => 0,
            ErrorKind::Image => 1,
            ErrorKind::Denied => 2,
            _ => 3,
        })
        .unwrap_or(ErrorKind::Image);
    // What cannot be gathered was an error before; the hint has no files to name then.
    let access = (context.surroundings.registry)().unwrap_or_default();
    let mut hints: Vec<String> = Vec::new();
    for (_, failure) in failures {
        let hint = hint(failure, patience, &access);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    let lines = failures.iter().map(|(service, failure)| Line {
        service,
        shared: host_failure(&failure.reason),
        text: reason_text(&failure.reason),
        details: untold(failure).map(|attempt| format!("tried {attempt}")).collect(),
    });
    let error = Error::new(code, format!("{} of {of} services have no image that can be locked", failures.len()))
        .problems(problems(lines));
    let notes = if code == ErrorKind::Denied { access.login_notes } else { Vec::new() };
    hints.into_iter().chain(notes).fold(error, Error::hint)
}

/// What to do about one service that has no image.
pub(crate) fn hints_of(context: &Workspace, failure: &Unresolved) -> Vec<String> {
    let access = (context.surroundings.registry)().unwrap_or_default();
    let hint = hint(failure, Patience::None, &access);
    let notes = if failure.class() == ErrorClass::Denied { access.login_notes } else { Vec::new() };
    std::iter::once(hint).chain(notes).collect()
}

/// The error of registries that did not say whether locked images are still there.
pub(crate) fn unknown(context: &Workspace, failures: &[(&ServiceName, RegistryError)]) -> Error {
    let class = registry::overall_class(failures.iter().map(|(_, error)| error.class()));
    let class = class.unwrap_or(ErrorClass::Temporary);
    let access = (context.surroundings.registry)().unwrap_or_default();
    let mut hints: Vec<String> = Vec::new();
    for hint in failures.iter().map(|(_, error)| kind_hint(error.kind(), &access)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    let lines = failures.iter().map(|(service, error)| Line {
        service,
        shared: host_failure_of(error),
        text: error_text(error),
        details: Vec::new(),
    });
    let code = ErrorKind::of(class, ErrorKind::Image, ErrorKind::Image);
    let error = Error::new(code, "the registry gave no answer about locked images").problems(problems(lines));
    let notes = if code == ErrorKind::Denied { access.login_notes } else { Vec::new() };
    hints.into_iter().chain(notes).fold(error, Error::hint)
}

/// The attempts that the reason does not tell already.
fn untold(failure: &Unresolved) -> impl Iterator<Item = &Attempt> {
    let last = failure.tried.len().saturating_sub(1);
    let attempts = failure.tried.iter().enumerate();
    attempts.filter(move |(at, one)| !is_told(&failure.reason, &one.outcome, *at == last)).map(|(_, one)| one)
}

/// Whether the reason says what came of this attempt: the last one of a failure is the failure.
fn is_told(reason: &UnresolvedReason, outcome: &AttemptOutcome, is_last: bool) -> bool {
    match reason {
        UnresolvedReason::Failed(_) => is_last,
        UnresolvedReason::OtherRevision { .. } => matches!(outcome, AttemptOutcome::OtherRevision { .. }),
        _ => false,
    }
}

/// What failed for one service.
struct Line<'a> {
    service: &'a ServiceName,
    /// The same for every service that a host treated alike.
    shared: Option<String>,
    text: String,
    details: Vec<String>,
}

/// One problem a service, and one for all services that a host treated alike.
fn problems<'a>(lines: impl Iterator<Item = Line<'a>>) -> Vec<Problem> {
    let mut problems: Vec<(Vec<&ServiceName>, Line<'_>)> = Vec::new();
    for line in lines {
        match problems.iter_mut().find(|(_, known)| line.shared.is_some() && known.shared == line.shared) {
            Some((services, _)) => services.push(line.service),
            None => problems.push((vec![line.service], line)),
        }
    }
    problems
        .into_iter()
        .map(|(services, line)| match (line.shared, services.as_slice()) {
            (Some(message), [_, _, ..]) => {
                let names: Vec<&str> = services.iter().map(|service| service.as_str()).collect();
                Problem::new(format!("{} services", services.len()), message).details([names.join(", ")])
            }
            (_, _) => Problem::new(line.service.to_string(), line.text).details(line.details),
        })
        .collect()
}

/// What a host did, where that is not about one image.
fn host_failure(reason: &UnresolvedReason) -> Option<String> {
    let UnresolvedReason::Failed(error) = reason else { return None };
    host_failure_of(error)
}

fn host_failure_of(error: &RegistryError) -> Option<String> {
    match error.kind() {
        kind @ RegistryErrorKind::NotARegistry { .. } => {
            let host = error.reference().split('/').next().unwrap_or_default();
            Some(format!("`{host}`: {kind}"))
        }
        kind => host_failure_of_kind(kind),
    }
}

pub(crate) fn host_failure_of_kind(kind: &RegistryErrorKind) -> Option<String> {
    match kind {
        RegistryErrorKind::Layout(error) if is_about_folder(error) => Some(kind.in_short()),
        kind @ (RegistryErrorKind::LoginNeeded { .. }
        | RegistryErrorKind::LoginRefused { .. }
        | RegistryErrorKind::Realm { .. }
        | RegistryErrorKind::TokenAnswer { .. }
        | RegistryErrorKind::Untrusted { .. }
        | RegistryErrorKind::ClientCertificate { .. }
        | RegistryErrorKind::NoCommonTls { .. }
        | RegistryErrorKind::Busy { .. }
        | RegistryErrorKind::Paused { .. }
        | RegistryErrorKind::Status { .. }
        | RegistryErrorKind::Unreachable { .. }
        | RegistryErrorKind::Proxy { .. }
        | RegistryErrorKind::UnknownHost { .. }
        | RegistryErrorKind::TimedOut { .. }
        | RegistryErrorKind::Deadline { .. }) => Some(kind.in_short()),
        _ => None,
    }
}

/// Whether a folder that stands for a registry cannot be used at all.
fn is_about_folder(error: &LayoutError) -> bool {
    matches!(
        error.kind(),
        LayoutErrorKind::NoFolder
            | LayoutErrorKind::NotALayout
            | LayoutErrorKind::Version { .. }
            | LayoutErrorKind::Duplicates { .. }
            | LayoutErrorKind::BareTags { .. }
    )
}

/// Why a service has no image, with what the network said.
pub(crate) fn reason_text(reason: &UnresolvedReason) -> String {
    let UnresolvedReason::Failed(error) = reason else { return reason.to_string() };
    error_text(error)
}

fn error_text(error: &RegistryError) -> String {
    // A name that does not resolve, a connection that was refused: the innermost cause says which.
    match causes(error.source()).pop() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lock_model::{CommitId, Digest};

    use super::*;

    #[test]
    fn what_the_reason_says_is_not_listed_again() {
        let wanted = CommitId::try_from("1".repeat(40)).expect("it is one");
        let other = UnresolvedReason::OtherRevision { wanted, found: Vec::new() };
        let found = AttemptOutcome::OtherRevision { digest: Digest::of(b"x"), revision: None };
        for (reason, outcome, expected) in [
            (&other, &found, true),
            (&other, &AttemptOutcome::Missing, false),
            (&UnresolvedReason::AllMissing, &AttemptOutcome::Missing, false),
        ] {
            assert_eq!(is_told(reason, outcome, true), expected, "{reason}: {outcome}");
        }
    }
}
