//! What was reviewed of each service, where several pull requests were merged before their lock was committed.
//!
//! Each pull request published the lock of its own merge, which knows nothing of the others. So each service is compared
//! with the lock of the pull request that moved it.

use std::collections::BTreeMap;

use forge::{PullRequest, PullRequestState};
use ledger::{Ledger, Step, StepResult};
use lock_model::{CommitId, LOCK_FILE, Lock, LockDiff, Service, ServiceName, TreePath, is_foreign_lock_file};

use super::lock_commit::LOCK_ARTEFACT;
use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inputs::Inputs;
use crate::labels::{diff_problems, short_id};
use crate::revision::{LockFile, Revision};

/// How many commits are looked at where no lock was committed before.
const MOST: usize = 256;

/// The pull requests that came to a branch since its last lock commit, and the lock of that commit.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Newest first.
    merges: Vec<Merge>,
    /// What moved the gitlink at a path last, where anything did.
    movers: BTreeMap<TreePath, Mover>,
    /// The lock that the branch had before.
    before: Option<Lock>,
}

#[derive(Debug)]
struct Merge {
    pull_request: PullRequest,
    published: Option<LockFile>,
    /// The lock in the commit that the published one was made on.
    base: Option<Lock>,
}

#[derive(Clone, Debug)]
enum Mover {
    /// The place in `merges`.
    PullRequest(usize),
    /// A commit that no pull request merged.
    Push(CommitId),
}

/// How a lock that was made again compares with what was reviewed.
#[derive(Debug)]
pub(super) enum Compared {
    Equal,
    /// These services are not what their pull request published.
    Different(Error),
    /// This commit moved a service, and no pull request merged it.
    Pushed(CommitId),
}

/// The entry of a service that was reviewed, and whose.
enum Expected<'a> {
    Entry(Option<&'a Service>, Whose),
    /// Nothing was published that it could be compared with.
    Nothing,
    Pushed(CommitId),
}

#[derive(Clone, Copy)]
enum Whose {
    PullRequest(u64),
    Before,
}

impl Arrivals {
    /// Gathers what came to the branch of `tip` since its last lock commit.
    pub(super) async fn read(context: &Context, ledger: &Ledger, branch: &str, tip: &Revision) -> Result<Self> {
        let by_commit = merged_into(context, branch).await?;
        let has_lock = |commit: &CommitId| {
            ledger.records().iter().any(|record| {
                record.is(Step::LockCommit, StepResult::Ok) && record.entry.commit.as_ref() == Some(commit)
            })
        };
        let paths: Vec<&TreePath> = tip.scan.submodules.iter().map(|submodule| &submodule.path).collect();
        let mut arrivals = Self { merges: Vec::new(), movers: BTreeMap::new(), before: None };
        let line = context.first_parents(tip.commit.as_str())?;
        let mut looked_at = 0;
        for (place, commit) in line.iter().enumerate() {
            if looked_at == MOST {
                break;
            }
            if place > 0 && has_lock(commit) {
                arrivals.before = lock_at(context, commit)?;
                break;
            }
            let mover = match by_commit.get(commit) {
                Some(pull_request) => {
                    arrivals.merges.push(Merge::read(context, pull_request.clone()).await?);
                    Mover::PullRequest(arrivals.merges.len() - 1)
                }
                None => Mover::Push(commit.clone()),
            };
            let Some(parent) = line.get(place + 1) else { break };
            let changes = context
                .git
                .diff_names(parent.as_str(), commit.as_str())
                .map_err(|error| git_error("what a merge changed cannot be read", error))?;
            // What other tools write into `locks/` is passed over, however often.
            looked_at += usize::from(!changes.iter().all(|change| is_foreign_lock_file(&change.path)));
            for path in paths.iter().filter(|path| changes.iter().any(|change| change.path == path.as_str())) {
                arrivals.movers.entry((*path).clone()).or_insert_with(|| mover.clone());
            }
        }
        Ok(arrivals)
    }

    /// The numbers of the pull requests, ascending.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.merges.iter().map(|merge| merge.pull_request.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The lock that the newest pull request published.
    pub(super) fn newest_published(&self) -> Option<&LockFile> {
        self.merges.first()?.published.as_ref()
    }

    /// Compares a lock that was made again for the newest commit, service by service.
    pub(super) fn compare(&self, made: &Lock) -> Result<Compared> {
        let mut parts = made.parts().clone();
        let mut whose = BTreeMap::new();
        for (name, service) in made.services() {
            match self.expected(name, service) {
                Expected::Nothing => {}
                Expected::Pushed(commit) => return Ok(Compared::Pushed(commit)),
                Expected::Entry(entry, by) => {
                    whose.insert(name.clone(), by);
                    match entry {
                        Some(entry) => parts.services.insert(name.clone(), entry.clone()),
                        None => parts.services.remove(name),
                    };
                }
            }
        }
        let reviewed = Lock::new(parts).map_err(|error| {
            Error::from_source(ErrorKind::Lock, "the locks of the merged pull requests contradict each other", error)
        })?;
        if reviewed.id() == made.id() {
            return Ok(Compared::Equal);
        }
        Ok(Compared::Different(different(&reviewed, made, &whose)))
    }

    fn expected(&self, name: &ServiceName, service: &Service) -> Expected<'_> {
        let mover = self.movers.get(&service.path);
        if let Some(Mover::PullRequest(place)) = mover {
            return self.merges[*place].entry(name);
        }
        // Its gitlink was not moved by a pull request; one that changed the configuration may have moved its image.
        if let Some(merge) = self.merges.iter().find(|merge| merge.moves(name)) {
            return merge.entry(name);
        }
        match (&self.before, mover, self.merges.first()) {
            (Some(_), Some(Mover::Push(commit)), _) => Expected::Pushed(commit.clone()),
            (_, _, Some(Merge { published: None, .. })) => Expected::Nothing,
            (Some(before), _, _) => Expected::Entry(before.services().get(name), Whose::Before),
            (None, _, Some(newest)) => newest.entry(name),
            (None, _, None) => Expected::Nothing,
        }
    }
}

impl Merge {
    async fn read(context: &Context, pull_request: PullRequest) -> Result<Self> {
        let number = pull_request.number;
        let published = context.forge.artefact(number, LOCK_ARTEFACT).await?;
        let name = format!("the lock published on pull request {number}");
        let published = published.map(|bytes| LockFile::parse(bytes, &name)).transpose()?;
        let base = match &published {
            Some(file) => lock_at(context, &file.lock.source().base)?,
            None => None,
        };
        Ok(Self { pull_request, published, base })
    }

    /// Whether the published lock has something else for the service than the branch had then.
    fn moves(&self, name: &ServiceName) -> bool {
        let (Some(published), Some(base)) = (&self.published, &self.base) else { return false };
        published.lock.services().get(name) != base.services().get(name)
    }

    fn entry(&self, name: &ServiceName) -> Expected<'_> {
        match &self.published {
            Some(file) => Expected::Entry(file.lock.services().get(name), Whose::PullRequest(self.pull_request.number)),
            None => Expected::Nothing,
        }
    }
}

/// The merged pull requests of a branch, by their merge commits.
pub(super) async fn merged_into(context: &Context, branch: &str) -> Result<BTreeMap<CommitId, PullRequest>> {
    let merged = context.forge.pull_requests(Some(PullRequestState::Merged)).await?;
    let of_branch = merged.into_iter().filter(|one| one.base_branch.as_str() == branch);
    Ok(of_branch.filter_map(|one| Some((one.merge.as_ref()?.commit.clone(), one))).collect())
}

/// The lock in a commit; `None` where the commit, the lock or a lock that can be read is not there.
fn lock_at(context: &Context, commit: &CommitId) -> Result<Option<Lock>> {
    if context.commit(commit.as_str())?.is_none() {
        return Ok(None);
    }
    let bytes = Inputs::lock(&context.git, commit.as_str())
        .map_err(|error| git_error("an earlier lock cannot be read", error))?;
    Ok(bytes.and_then(|bytes| LockFile::parse(bytes, LOCK_FILE).ok()).map(|file| file.lock))
}

/// Names each service that is not what was reviewed, and the pull request. Only the same tag with two digests is a tag that
/// moved.
fn different(reviewed: &Lock, made: &Lock, whose: &BTreeMap<ServiceName, Whose>) -> Error {
    let changes: LockDiff = lock_model::diff(reviewed, made);
    let moved = |name: &ServiceName| changes.services.get(name).is_some_and(tag_moved);
    let problems = diff_problems(&changes).into_iter().map(|problem| {
        let Ok(name) = ServiceName::try_from(problem.subject.as_str()) else { return problem };
        let by = match whose.get(&name) {
            Some(Whose::PullRequest(number)) => format!("the lock of pull request {number}"),
            Some(Whose::Before) | None => "the lock before".to_owned(),
        };
        let message = if moved(&name) {
            format!("its tag moved: it had another digest in {by}")
        } else {
            format!("is not what {by} has")
        };
        let details = std::iter::once(problem.message).chain(problem.details);
        Problem { subject: problem.subject, message, details: details.collect() }
    });
    let ids = format!(
        "lock {} was reviewed, {} would be made now",
        short_id(reviewed.id().as_str()),
        short_id(made.id().as_str())
    );
    if changes.services.values().any(tag_moved) {
        Error::new(ErrorKind::Image, format!("the registry no longer gives what was reviewed: {ids}"))
            .problems(problems)
            .hint("find out who moved the tag; nothing was committed")
    } else {
        Error::new(ErrorKind::Image, format!("the merge is not what its pull requests published: {ids}"))
            .problems(problems)
            .hint("the pull request was merged with another head or base than its lock was made for; nothing was committed")
    }
}

/// Whether the same tag of the same repository, at the same commit, has another digest.
fn tag_moved(change: &lock_model::ServiceChange) -> bool {
    let same = ["git.sha", "image.repository", "image.tag"].iter().all(|field| change.field(field).is_none());
    same && change.field("image.digest").is_some()
}
