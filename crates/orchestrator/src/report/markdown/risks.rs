//! Changes of submodules that a person should look at before anything else.

use std::fmt;

use lock_model::{CommitId, RepositoryUrl, ServiceName};

use super::blocks::list;
use lock_model::escaping::code_span;

/// A change of one service's submodule that is not the usual step forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRisk {
    /// The service.
    pub service: ServiceName,
    /// What is unusual.
    pub kind: RiskKind,
}

/// What is unusual about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RiskKind {
    /// The submodule comes from another repository.
    Repository {
        /// The repository before.
        before: RepositoryUrl,
        /// The repository now.
        after: RepositoryUrl,
        /// Whether its host or owner is another, too.
        owner_changed: bool,
    },
    /// The commit is an ancestor of the one before.
    Backward(Step),
    /// The commit is not a descendant of the one before, though they share some history.
    Diverged(Step),
    /// The two share no history.
    Unrelated(Step),
    /// Neither history was there to compare.
    UnknownDirection(Step),
}

/// From one commit to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The commit before.
    pub before: CommitId,
    /// The commit now.
    pub after: CommitId,
}

impl RiskKind {
    /// A stable word for machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Repository { owner_changed: true, .. } => "owner-changed",
            Self::Repository { owner_changed: false, .. } => "repository-changed",
            Self::Backward(_) => "backward",
            Self::Diverged(_) => "diverged",
            Self::Unrelated(_) => "unrelated",
            Self::UnknownDirection(_) => "unknown-direction",
        }
    }

    /// What happened, and between which two things.
    fn parts(&self) -> (&'static str, &str, &str) {
        let (what, step) = match self {
            Self::Repository { before, after, owner_changed } => {
                let what = if *owner_changed { "comes from another owner" } else { "comes from another repository" };
                return (what, before.as_str(), after.as_str());
            }
            Self::Backward(step) => ("goes back", step),
            Self::Diverged(step) => ("leaves its line of history", step),
            Self::Unrelated(step) => ("shares no history with what it was", step),
            Self::UnknownDirection(step) => ("goes forward or back, which is not known", step),
        };
        (what, step.before.short(12), step.after.short(12))
    }
}

impl fmt::Display for ServiceRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, before, after) = self.kind.parts();
        write!(f, "`{}` {what}: {before} → {after}", self.service)
    }
}

/// The risks as a list.
pub(super) fn risks(risks: &[ServiceRisk]) -> String {
    let items: Vec<String> = risks
        .iter()
        .map(|risk| {
            let (what, before, after) = risk.kind.parts();
            let service = code_span(risk.service.as_str());
            format!("{service} **{what}**: {} → {}", code_span(before), code_span(after))
        })
        .collect();
    list(&items)
}
