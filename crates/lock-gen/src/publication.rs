//! Whether a commit is published: on a branch or tag of its remote, not only known by its id.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use git::{GitOptions, ObjectFormat};
use lock_model::{CommitId, TreePath};
use process::Program;
use tempfile::TempDir;

use crate::finding::{Finding, FindingKind};
use crate::mirror_cache::{Mirror, MirrorCache, object_format};
use crate::parallel::{AT_ONCE, in_parallel};
use crate::url::shown;
use crate::{HistoryError, RefPolicy, Submodule, UrlError, fetch_url};

/// Asks remotes which of their branches and tags have commits in their history.
///
/// A host gives out commits that are on no branch: of forks, of closed pull requests, of history that was rewritten.
/// So the check fetches the branches and tags themselves, commits only, into a repository of its own, and looks for
/// the commit in their history.
#[derive(Debug)]
pub struct PublicationCheck {
    mirror_cache: MirrorCache,
    accepted: RefPolicy,
    at_once: NonZeroUsize,
    _temporary: Option<TempDir>,
}

/// One commit that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationQuery {
    /// The submodule's path: the key of the answer.
    pub path: TreePath,
    /// Where git fetches the submodule from: see [`fetch_url`](crate::fetch_url).
    pub url: String,
    /// The commit that is looked for.
    pub commit: CommitId,
}

impl PublicationQuery {
    /// The query for a submodule. `superproject_remote` is the URL or folder that the superproject is fetched from: it
    /// resolves relative URLs.
    pub fn new(submodule: &Submodule, superproject_remote: &str) -> Result<Self, UrlError> {
        let url = fetch_url(&submodule.declared_url, superproject_remote)?;
        Ok(Self { path: submodule.path.clone(), url, commit: submodule.commit.clone() })
    }
}

/// Where a commit is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It is in the history of a branch or tag.
    On {
        /// Names of branches, sorted: those that were found with the least work, not always all.
        branches: Vec<String>,
        /// Names of tags, sorted; likewise.
        tags: Vec<String>,
    },
    /// It is in the history of no branch and no tag that the policy accepts.
    Nowhere {
        /// The remote, without credentials.
        url: String,
        /// The commit that was looked for.
        commit: CommitId,
        /// Whether the remote gives it out by its id; absent where that could not be found out.
        served: Option<bool>,
    },
}

/// The answers to all queries.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PublicationReport {
    /// By path: where the commit is published, or why that could not be found out.
    pub answers: BTreeMap<TreePath, Result<Publication, HistoryError>>,
}

impl PublicationReport {
    /// A finding for each commit that is [nowhere](Publication::Nowhere).
    pub fn findings(&self) -> Vec<Finding> {
        let nowhere = self.answers.iter().filter_map(|(path, answer)| match answer {
            Ok(Publication::Nowhere { url, commit, served }) => Some((path, url, commit, *served)),
            Ok(Publication::On { .. }) | Err(_) => None,
        });
        nowhere
            .map(|(path, url, commit, served)| {
                let (what, hint) = match served {
                    Some(true) => (
                        ", though the remote has it: it may be a fork's or a pull request's, or its branch was rewritten",
                        "merge it in the submodule's repository, or point the submodule to a commit of a branch",
                    ),
                    Some(false) => (
                        ": it was never pushed",
                        "push the submodule's branch, or point the submodule to a commit that is pushed",
                    ),
                    None => ("", "push the submodule's branch, or point the submodule to a commit of a branch"),
                };
                let message = format!("is at {}, which is on no branch of `{url}`{what}", commit.short(12));
                Finding::new(FindingKind::NotPushed, path.as_str(), message, hint)
            })
            .collect()
    }

    /// The queries that could not be answered. None of them counts as published.
    pub fn errors(&self) -> impl Iterator<Item = (&TreePath, &HistoryError)> {
        self.answers.iter().filter_map(|(path, answer)| Some((path, answer.as_ref().err()?)))
    }
}

impl PublicationCheck {
    /// A check that keeps what it fetches in a folder, so that the next one fetches only what is new.
    pub fn new(program: &Program, options: GitOptions, folder: &Path) -> Self {
        Self {
            mirror_cache: MirrorCache::new(program, options, folder),
            accepted: RefPolicy::default(),
            at_once: AT_ONCE,
            _temporary: None,
        }
    }

    /// A check with a temporary folder below `parent`, which is removed when the check is dropped.
    pub fn temporary(program: &Program, options: GitOptions, parent: &Path) -> Result<Self, HistoryError> {
        let folder = tempfile::Builder::new()
            .prefix("pushed-")
            .tempdir_in(parent)
            .map_err(|error| HistoryError::cache(parent, error))?;
        let check = Self::new(program, options, folder.path());
        Ok(Self { _temporary: Some(folder), ..check })
    }

    /// Accepts only these branches and tags: all of them without this.
    #[must_use]
    pub fn accepting(mut self, accepted: RefPolicy) -> Self {
        self.accepted = accepted;
        self
    }

    /// Asks at most this many remotes at once: eight without this.
    #[must_use]
    pub fn at_once(mut self, remotes: NonZeroUsize) -> Self {
        self.at_once = remotes;
        self
    }

    /// Answers all queries. Each remote is asked once, however many of the submodules come from it.
    pub fn check(&self, queries: &[PublicationQuery]) -> PublicationReport {
        let mut remotes: BTreeMap<(&str, bool), Vec<&PublicationQuery>> = BTreeMap::new();
        for query in queries {
            let sha256 = object_format(&query.commit) == ObjectFormat::Sha256;
            remotes.entry((&query.url, sha256)).or_default().push(query);
        }
        let remotes: Vec<Vec<&PublicationQuery>> = remotes.into_values().collect();
        let answers = in_parallel(&remotes, self.at_once, |queries| self.ask(queries));
        PublicationReport { answers: answers.into_iter().flatten().collect() }
    }

    /// All queries about one remote.
    fn ask(&self, queries: &[&PublicationQuery]) -> Vec<(TreePath, Result<Publication, HistoryError>)> {
        let mut remote = queries.first().map(|first| self.remote(first));
        let answers = queries.iter().map(|query| {
            let answer = match &mut remote {
                Some(Ok(remote)) => remote.find(query),
                Some(Err(error)) => Err(error.clone()),
                None => unreachable!("a remote without queries is not asked"),
            };
            (query.path.clone(), answer)
        });
        answers.collect()
    }

    fn remote(&self, query: &PublicationQuery) -> Result<Remote, HistoryError> {
        let mirror = self.mirror_cache.open(&query.url, object_format(&query.commit))?;
        let mut listed = mirror.list()?;
        listed.retain(|(name, _)| self.accepted.accepts(name));
        let wanted = self.accepted.refspecs(listed.iter().map(|(name, _)| name.as_str()));
        Ok(Remote { mirror, listed, wanted, brought: None })
    }
}

/// One remote during a check.
#[derive(Debug)]
struct Remote {
    mirror: Mirror,
    /// The accepted refs, and the commits that they point to.
    listed: Vec<(String, String)>,
    wanted: Vec<String>,
    brought: Option<Result<(), HistoryError>>,
}

impl Remote {
    fn find(&mut self, query: &PublicationQuery) -> Result<Publication, HistoryError> {
        let commit = &query.commit;
        // Most submodules point to the newest commit of a branch, which needs no fetch.
        let tips = self.listed.iter().filter(|(_, id)| id == commit.as_str()).map(|(name, _)| name.clone());
        let tips: Vec<String> = tips.collect();
        if !tips.is_empty() {
            return Ok(on(tips));
        }
        if !self.wanted.is_empty() {
            let brought = self.brought.get_or_insert_with(|| self.mirror.bring(&self.wanted, &self.listed));
            brought.clone()?;
            if self.mirror.objects()?.has_commit(commit) {
                let mut names = self.mirror.containing(commit)?;
                // An earlier run may have brought refs that do not count in this one.
                names.retain(|name| self.listed.iter().any(|(listed, _)| listed == name));
                if !names.is_empty() {
                    return Ok(on(names));
                }
            }
        }
        // Only for the text of the finding: the commit is not published either way.
        let served = self.mirror.bring_commit(commit).ok();
        Ok(Publication::Nowhere { url: shown(&query.url), commit: commit.clone(), served })
    }
}

fn on(names: Vec<String>) -> Publication {
    let (mut branches, mut tags) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            branches.push(branch.to_owned());
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            tags.push(tag.to_owned());
        }
    }
    branches.sort();
    tags.sort();
    Publication::On { branches, tags }
}
