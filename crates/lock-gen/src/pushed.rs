//! Whether others can get the commit of a gitlink: by a branch or tag, not merely by its id.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use git::{GitOptions, ObjectFormat};
use lock_model::{CommitId, TreePath};
use process::Program;
use tempfile::TempDir;

use crate::finding::{Finding, FindingKind};
use crate::mirrors::{Mirror, Mirrors, object_format};
use crate::parallel::{AT_ONCE, in_parallel};
use crate::url::shown_url;
use crate::{AcceptedRefs, HistoryError, Submodule, UrlError, fetch_url};

/// Asks remotes on which of their branches and tags commits are.
///
/// A host gives out commits that are on no branch: of forks, of closed pull requests, of history that was rewritten.
/// So the check fetches the branches and tags themselves, commits only, into a repository of its own, and looks for
/// the commit in their history.
#[derive(Debug)]
pub struct PushedCheck {
    mirrors: Mirrors,
    accepted: AcceptedRefs,
    at_once: NonZeroUsize,
    _temporary: Option<TempDir>,
}

/// One commit to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedQuestion {
    /// The submodule's path: the answer comes under it.
    pub path: TreePath,
    /// Where git fetches the submodule from: see [`fetch_url`](crate::fetch_url).
    pub url: String,
    /// The commit.
    pub sha: CommitId,
}

impl PushedQuestion {
    /// Asks for a submodule. `superproject_remote` is the real remote of the superproject's clone.
    pub fn new(submodule: &Submodule, superproject_remote: &str) -> Result<Self, UrlError> {
        let url = fetch_url(&submodule.declared_url, superproject_remote)?;
        Ok(Self { path: submodule.path.clone(), url, sha: submodule.sha.clone() })
    }
}

/// Where a commit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the history of a branch or tag.
    On {
        /// Names of branches, sorted: those that were found with the least work, not always all.
        branches: Vec<String>,
        /// Names of tags, sorted; likewise.
        tags: Vec<String>,
    },
    /// It is in the history of no branch and no tag that counts.
    Nowhere {
        /// Where it was looked for, without credentials.
        url: String,
        /// The commit.
        sha: CommitId,
        /// Whether the remote gives it out by its id all the same: nothing where that could not be found out.
        served: Option<bool>,
    },
}

/// The answers to all questions.
#[derive(Debug, Default)]
pub struct PushedReport {
    /// By path: where the commit is, or why that could not be found out. That is no yes.
    pub answers: BTreeMap<TreePath, Result<Pushed, HistoryError>>,
}

impl PushedReport {
    /// The commits that others cannot get, as findings.
    pub fn problems(&self) -> Vec<Finding> {
        let nowhere = self.answers.iter().filter_map(|(path, answer)| match answer {
            Ok(Pushed::Nowhere { url, sha, served }) => Some((path, url, sha, *served)),
            Ok(Pushed::On { .. }) | Err(_) => None,
        });
        nowhere
            .map(|(path, url, sha, served)| {
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
                let message = format!("is at {}, which is on no branch of `{url}`{what}", sha.short(12));
                Finding::new(FindingKind::NotPushed, path.as_str(), message, hint)
            })
            .collect()
    }

    /// The questions without an answer.
    pub fn errors(&self) -> impl Iterator<Item = (&TreePath, &HistoryError)> {
        self.answers.iter().filter_map(|(path, answer)| Some((path, answer.as_ref().err()?)))
    }
}

impl PushedCheck {
    /// A check that keeps what it fetched in a folder of ours: the next one only fetches what is new.
    pub fn new(program: &Program, options: GitOptions, folder: &Path) -> Self {
        Self {
            mirrors: Mirrors::new(program, options, folder),
            accepted: AcceptedRefs::default(),
            at_once: AT_ONCE,
            _temporary: None,
        }
    }

    /// A check that leaves nothing behind in `parent` when it is dropped.
    pub fn temporary(program: &Program, options: GitOptions, parent: &Path) -> Result<Self, HistoryError> {
        let folder = tempfile::Builder::new()
            .prefix("pushed-")
            .tempdir_in(parent)
            .map_err(|error| HistoryError::cache(parent, error))?;
        let check = Self::new(program, options, folder.path());
        Ok(Self { _temporary: Some(folder), ..check })
    }

    /// Counts only these branches and tags; without this, all of them.
    #[must_use]
    pub fn accepting(mut self, accepted: AcceptedRefs) -> Self {
        self.accepted = accepted;
        self
    }

    /// Asks at most this many remotes at once; without this, eight.
    #[must_use]
    pub fn at_once(mut self, remotes: NonZeroUsize) -> Self {
        self.at_once = remotes;
        self
    }

    /// Asks all questions. Each remote is asked once, however many of the submodules come from it.
    pub fn check(&self, questions: &[PushedQuestion]) -> PushedReport {
        let mut remotes: BTreeMap<(&str, bool), Vec<&PushedQuestion>> = BTreeMap::new();
        for question in questions {
            let sha256 = object_format(&question.sha) == ObjectFormat::Sha256;
            remotes.entry((&question.url, sha256)).or_default().push(question);
        }
        let remotes: Vec<Vec<&PushedQuestion>> = remotes.into_values().collect();
        let answers = in_parallel(&remotes, self.at_once, |questions| self.ask(questions));
        PushedReport { answers: answers.into_iter().flatten().collect() }
    }

    /// All questions about one remote.
    fn ask(&self, questions: &[&PushedQuestion]) -> Vec<(TreePath, Result<Pushed, HistoryError>)> {
        let mut remote = questions.first().map(|first| self.remote(first));
        let answers = questions.iter().map(|question| {
            let answer = match &mut remote {
                Some(Ok(remote)) => remote.find(question),
                Some(Err(error)) => Err(error.clone()),
                None => unreachable!("a question is there, so is the first one"),
            };
            (question.path.clone(), answer)
        });
        answers.collect()
    }

    fn remote(&self, question: &PushedQuestion) -> Result<Remote, HistoryError> {
        let mirror = self.mirrors.open(&question.url, object_format(&question.sha))?;
        let mut listed = mirror.list()?;
        listed.retain(|(name, _)| self.accepted.accepts(name));
        let wanted = self.accepted.refspecs(listed.iter().map(|(name, _)| name.as_str()));
        Ok(Remote { mirror, listed, wanted, brought: None })
    }
}

/// One remote that is being asked.
#[derive(Debug)]
struct Remote {
    mirror: Mirror,
    /// The refs that count, and the commits that they point to.
    listed: Vec<(String, String)>,
    wanted: Vec<String>,
    brought: Option<Result<(), HistoryError>>,
}

impl Remote {
    fn find(&mut self, question: &PushedQuestion) -> Result<Pushed, HistoryError> {
        let sha = &question.sha;
        // The usual case needs no fetch: somebody points the submodule to the newest commit of a branch.
        let tips = self.listed.iter().filter(|(_, id)| id == sha.as_str()).map(|(name, _)| name.clone());
        let tips: Vec<String> = tips.collect();
        if !tips.is_empty() {
            return Ok(on(tips));
        }
        if !self.wanted.is_empty() {
            let brought = self.brought.get_or_insert_with(|| self.mirror.bring(&self.wanted, &self.listed));
            brought.clone()?;
            if self.mirror.objects()?.has_commit(sha) {
                let mut names = self.mirror.containing(sha)?;
                // An earlier run may have brought refs that do not count in this one.
                names.retain(|name| self.listed.iter().any(|(listed, _)| listed == name));
                if !names.is_empty() {
                    return Ok(on(names));
                }
            }
        }
        // Only to say what is wrong: the answer is no either way.
        let served = self.mirror.bring_commit(sha).ok();
        Ok(Pushed::Nowhere { url: shown_url(&question.url), sha: sha.clone(), served })
    }
}

fn on(names: Vec<String>) -> Pushed {
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
    Pushed::On { branches, tags }
}
