//! What happened to submodules between two locks: their commits, and what is unusual about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lock_gen::{
    Commits, Direction, History, HistoryError, Moved, Pin, Pins, Risk, Scan, Submodule, SubmoduleStore, fetch_url,
    lock_pins, risks,
};
use lock_model::escaping::escape_terminal;
use lock_model::{Lock, ServiceName, TreePath};
use promotion::report::{
    CommitEntry, CommitList, CommitRange, MAX_COMMITS_SHOWN, RiskKind, ServiceCommits, ServiceRisk, Step,
};
use serde_json::{Value, json};

use super::aside::aside;
use super::pushed::reason;
use crate::context::Context;
use crate::error::CliResult;

/// The longest time that histories are waited for: a lock is made without them as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened between two locks.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What a person should look at.
    pub risks: Vec<ServiceRisk>,
    /// The commits of the services that moved.
    pub commits: Vec<ServiceCommits>,
    directions: BTreeMap<ServiceName, Direction>,
}

/// The submodules of a tree, by path: where git fetches them from, and what their clones are called.
pub(crate) struct Declared<'a>(BTreeMap<&'a TreePath, &'a Submodule>);

impl<'a> Declared<'a> {
    /// Those of a tree.
    pub(crate) fn new(scan: &'a Scan) -> Self {
        Self(scan.submodules.iter().map(|submodule| (&submodule.path, submodule)).collect())
    }
}

/// Looks at the services that are in both locks. What cannot be found out is said in the answer and is no error.
pub(crate) async fn changes(
    context: &Context,
    before: Option<&Lock>,
    after: &Lock,
    declared: &Declared<'_>,
) -> CliResult<Changes> {
    let Some(before) = before else { return Ok(Changes::default()) };
    let pins = pins_at_their_new_paths(before, after);
    let remote = context.remote_location();
    let mut moved = Vec::new();
    let mut unknown: BTreeMap<TreePath, String> = BTreeMap::new();
    for service in after.services().values() {
        let Some(pin) = pins.get(&service.path).filter(|pin| pin.sha != service.git.commit) else { continue };
        let submodule = declared.0.get(&service.path).filter(|submodule| submodule.url == service.git.url);
        let (name, url) = match submodule {
            Some(submodule) => (submodule.name.clone(), fetch_url(&submodule.declared_url, &remote)),
            None => (service.path.to_string(), Ok(service.git.url.to_string())),
        };
        let path = service.path.clone();
        match url {
            Ok(url) => {
                moved.push(Moved { path, name, url, before: pin.sha.clone(), after: service.git.commit.clone() });
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
    for risk in risks(&pins, &lock_pins(after), &directions) {
        let Some(name) = names.get(risk.path()) else { continue };
        changes.risks.push(ServiceRisk { service: (*name).clone(), kind: kind(risk) });
    }
    for (name, service) in after.services() {
        let commits = match (histories.get(&service.path), unknown.get(&service.path)) {
            (Some(Ok(history)), _) => {
                changes.directions.insert(name.clone(), history.direction);
                Ok(range(history))
            }
            (Some(Err(error)), _) => Err(reason(error)),
            (None, Some(reason)) => Err(reason.clone()),
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
            Some(old) => Pin { url: old.git.url.clone(), sha: old.git.commit.clone() },
            None => old_pins.get(&service.path)?.clone(),
        };
        Some((service.path.clone(), pin))
    });
    pins.collect()
}

async fn histories(
    context: &Context,
    moved: Vec<Moved>,
) -> CliResult<BTreeMap<TreePath, Result<History, HistoryError>>> {
    if moved.is_empty() {
        return Ok(BTreeMap::new());
    }
    let left = context.deadline.saturating_duration_since(Instant::now());
    let (program, cache) = (context.git_program.clone(), context.cache.clone());
    let clone = context.git.common_dir().to_path_buf();
    aside(context, Some(PATIENCE.min(left / 2)), move |options| {
        SubmoduleStore::new(&program, options, &cache, &clone).histories(&moved, MAX_COMMITS_SHOWN, None)
    })
    .await
}

fn kind(risk: Risk) -> RiskKind {
    match risk {
        Risk::RepositoryChanged { before, after, owner_changed, .. } => {
            RiskKind::Repository { before, after, owner_changed }
        }
        Risk::Backward { before, after, .. } => RiskKind::Backward(Step { before, after }),
        Risk::Sideways { before, after, unrelated: false, .. } => RiskKind::Diverged(Step { before, after }),
        Risk::Sideways { before, after, unrelated: true, .. } => RiskKind::Unrelated(Step { before, after }),
        Risk::UnknownDirection { before, after, .. } => RiskKind::UnknownDirection(Step { before, after }),
    }
}

fn range(history: &History) -> CommitRange {
    let list = |commits: &Commits| CommitList {
        count: commits.count,
        newest: commits
            .newest
            .iter()
            .map(|commit| CommitEntry {
                id: commit.id.clone(),
                subject: commit.subject.clone(),
                author: commit.author.clone(),
                time: commit.time,
            })
            .collect(),
    };
    CommitRange { added: list(&history.added), removed: list(&history.removed) }
}

impl Changes {
    /// What happened for machines: `commits` by service, and `risks`.
    pub(crate) fn documents(&self) -> (Value, Value) {
        let list = |commits: &CommitList| -> Value {
            let newest: Vec<Value> = commits
                .newest
                .iter()
                .map(|commit| {
                    json!({ "commit": commit.id, "subject": commit.subject, "author": commit.author, "time": commit.time })
                })
                .collect();
            json!({ "count": commits.count, "newest": newest })
        };
        let commits = self.commits.iter().map(|service| {
            let document = match &service.commits {
                Ok(range) => json!({
                    "direction": self.directions.get(&service.service).map(|direction| direction.as_str()),
                    "added": list(&range.added),
                    "removed": list(&range.removed),
                }),
                Err(reason) => json!({ "unknown": reason }),
            };
            (service.service.to_string(), document)
        });
        let commits: serde_json::Map<String, Value> = commits.collect();
        let risks: Vec<Value> = self
            .risks
            .iter()
            .map(|risk| json!({ "service": risk.service, "risk": risk.kind.as_str(), "message": risk.to_string() }))
            .collect();
        (commits.into(), risks.into())
    }

    /// The commits for people, a block a service.
    pub(crate) fn text(&self) -> String {
        let mut lines = Vec::new();
        for ServiceCommits { service, commits } in &self.commits {
            lines.push(String::new());
            match commits {
                Ok(range) => {
                    lines.push(format!("{service}: {}", range.summary()));
                    lines.extend(listed('+', &range.added));
                    lines.extend(listed('-', &range.removed));
                }
                Err(reason) => lines.push(format!("{service}: commits are not known: {reason}")),
            }
        }
        lines.iter().fold(String::new(), |text, line| text + &escape_terminal(line) + "\n")
    }
}

fn listed(sign: char, commits: &CommitList) -> impl Iterator<Item = String> {
    let shown = commits
        .newest
        .iter()
        .map(move |commit| format!("  {sign} {} {} ({})", commit.id.short(12), commit.subject, commit.author));
    let more = commits.count.saturating_sub(commits.newest.len());
    shown.chain((more > 0).then(|| format!("  {sign} and {more} more")))
}
