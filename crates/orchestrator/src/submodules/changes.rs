//! What happened to submodules between two locks: their commits, and what is unusual about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::report::markdown::{MAX_COMMITS_SHOWN, RiskKind, ServiceCommits, ServiceRisk, Step};
use crate::report::v1::{CommitLine, CommitLines, RiskLine, SubmoduleCommits};
use lock_gen::{
    Commits, Direction, History, HistoryError, HistoryQuery, Pins, Scan, Submodule, SubmoduleChange, SubmoduleStore,
    changes_to_review, fetch_url, lock_pins,
};
use lock_model::{Lock, ServiceName, TreePath};

use super::pushed::reason;
use super::run_blocking::run_blocking;
use crate::error::Result;
use crate::workspace::Workspace;

/// The longest time that histories are waited for: a lock is made without them as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened between two locks.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What a person should look at.
    pub risks: Vec<ServiceRisk>,
    /// The commits of the services that moved.
    pub commits: Vec<ServiceCommits>,
}

/// The submodules of a tree, by path: where git fetches them from, and what their clones are called.
pub(crate) struct Declared<'a>(BTreeMap<&'a TreePath, &'a Submodule>);

impl<'a> Declared<'a> {
    pub(crate) fn new(scan: &'a Scan) -> Self {
        Self(scan.submodules.iter().map(|submodule| (&submodule.path, submodule)).collect())
    }
}

/// Looks at the services that are in both locks. What cannot be found out is said in the answer and is no error.
pub(crate) async fn changes(
    context: &Workspace,
    before: Option<&Lock>,
    after: &Lock,
    declared: &Declared<'_>,
) -> Result<Changes> {
    let Some(before) = before else { return Ok(Changes::default()) };
    let pins = pins_at_their_new_paths(before, after);
    let remote = context.remote_location();
    let mut moved = Vec::new();
    let mut unknown: BTreeMap<TreePath, String> = BTreeMap::new();
    for service in after.services().values() {
        let Some(pin) = pins.get(&service.path).filter(|pin| pin.commit != service.git.commit) else { continue };
        let submodule = declared.0.get(&service.path).filter(|submodule| submodule.url == service.git.url);
        let (name, url) = match submodule {
            Some(submodule) => (submodule.name.clone(), fetch_url(&submodule.declared_url, remote)),
            None => (service.path.to_string(), Ok(service.git.url.to_string())),
        };
        let path = service.path.clone();
        match url {
            Ok(url) => {
                moved.push(HistoryQuery {
                    path,
                    name,
                    url,
                    before: pin.commit.clone(),
                    after: service.git.commit.clone(),
                });
            }
            Err(error) => {
                unknown.insert(path, error.to_string());
            }
        }
    }
    let histories = histories(context, moved).await?;
    let directions: BTreeMap<TreePath, Direction> =
        histories.iter().filter_map(|(path, history)| Some((path.clone(), history.as_ref().ok()?.direction))).collect();
    let names: BTreeMap<&TreePath, &ServiceName> =
        after.services().iter().map(|(name, service)| (&service.path, name)).collect();
    let mut changes = Changes::default();
    for risk in changes_to_review(&pins, &lock_pins(after), &directions) {
        let Some(name) = names.get(risk.path()) else { continue };
        changes.risks.push(ServiceRisk { service: (*name).clone(), kind: kind(risk) });
    }
    for (name, service) in after.services() {
        let commits = match (histories.get(&service.path), unknown.get(&service.path)) {
            (Some(Ok(history)), _) => known(history),
            (Some(Err(error)), _) => SubmoduleCommits::Unknown { unknown: reason(error) },
            (None, Some(reason)) => SubmoduleCommits::Unknown { unknown: reason.clone() },
            (None, None) => continue,
        };
        changes.commits.push(ServiceCommits { service: name.clone(), commits });
    }
    Ok(changes)
}

/// The pins of the lock before, each at the path that its service has now.
fn pins_at_their_new_paths(before: &Lock, after: &Lock) -> Pins {
    let old_pins = lock_pins(before);
    let pins = after.services().iter().filter_map(|(name, service)| {
        let pin = match before.services().get(name) {
            Some(old) => old.git.clone(),
            None => old_pins.get(&service.path)?.clone(),
        };
        Some((service.path.clone(), pin))
    });
    pins.collect()
}

async fn histories(
    context: &Workspace,
    moved: Vec<HistoryQuery>,
) -> Result<BTreeMap<TreePath, Result<History, HistoryError>>> {
    if moved.is_empty() {
        return Ok(BTreeMap::new());
    }
    let left = context.deadline.saturating_duration_since(Instant::now());
    let (program, cache) = (context.git_program.clone(), context.cache.clone());
    let clone = context.git.common_dir().to_path_buf();
    run_blocking(context, Some(PATIENCE.min(left / 2)), move |options| {
        SubmoduleStore::new(&program, options, &cache, &clone).histories(&moved, MAX_COMMITS_SHOWN, None)
    })
    .await
}

fn kind(change: SubmoduleChange) -> RiskKind {
    match change {
        SubmoduleChange::RepositoryChanged { before, after, owner_changed, .. } => {
            RiskKind::Repository { before, after, owner_changed }
        }
        SubmoduleChange::Backward { before, after, .. } => RiskKind::Backward(Step { before, after }),
        SubmoduleChange::Diverged { before, after, unrelated: false, .. } => RiskKind::Diverged(Step { before, after }),
        SubmoduleChange::Diverged { before, after, unrelated: true, .. } => RiskKind::Unrelated(Step { before, after }),
        SubmoduleChange::UnknownDirection { before, after, .. } => RiskKind::UnknownDirection(Step { before, after }),
    }
}

fn known(history: &History) -> SubmoduleCommits {
    let lines = |commits: &Commits| CommitLines {
        count: commits.count,
        newest: commits
            .newest
            .iter()
            .map(|commit| CommitLine {
                commit: commit.id.clone(),
                subject: commit.subject.clone(),
                author: commit.author.clone(),
                time: commit.time,
            })
            .collect(),
    };
    SubmoduleCommits::Known {
        direction: history.direction.as_str().to_owned(),
        added: lines(&history.added),
        removed: lines(&history.removed),
    }
}

impl Changes {
    /// The commits of each service that moved.
    pub(crate) fn commit_documents(&self) -> BTreeMap<ServiceName, SubmoduleCommits> {
        self.commits.iter().map(|moved| (moved.service.clone(), moved.commits.clone())).collect()
    }

    /// What a person should look at.
    pub(crate) fn risk_lines(&self) -> Vec<RiskLine> {
        let line = |risk: &ServiceRisk| RiskLine {
            service: risk.service.clone(),
            risk: risk.kind.as_str().to_owned(),
            message: risk.to_string(),
        };
        self.risks.iter().map(line).collect()
    }
}
