//! Joins the gitlinks of a tree with the `.gitmodules` of the same tree.

use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::BString;
use gix::hash::ObjectId;
use lock_model::{CommitId, RepositoryUrl, TreePath};

use crate::ReadError;
use crate::finding::{Finding, FindingKind};
use crate::gitmodules::Gitmodules;
use crate::objects::{EntryKind, Reader, commit_id};
use crate::url::{lock_url, names_user};

/// The submodules of a tree, and the findings about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// The submodules without problems, sorted by path.
    pub submodules: Vec<Submodule>,
    /// Findings that no lock fails for, sorted.
    pub warnings: Vec<Finding>,
    /// All findings for which no lock can be made of the tree, sorted.
    pub problems: Vec<Finding>,
}

/// One submodule of a tree; each part that a [`Scan`] returns was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submodule {
    /// The name of its section in `.gitmodules`.
    pub name: String,
    /// The path of its gitlink.
    pub path: TreePath,
    /// Its repository, as the lock writes it.
    pub url: RepositoryUrl,
    /// Its repository, as `.gitmodules` writes it: may be relative. See [`fetch_url`](crate::fetch_url).
    pub declared_url: String,
    /// The commit that the gitlink names.
    pub commit: CommitId,
}

impl Submodule {
    /// A submodule whose `.gitmodules` has the URL as the lock writes it.
    pub fn new(name: impl Into<String>, path: TreePath, url: RepositoryUrl, commit: CommitId) -> Self {
        Self { name: name.into(), path, declared_url: url.to_string(), url, commit }
    }
}

#[derive(Debug, Default)]
struct Found {
    gitlinks: BTreeMap<BString, ObjectId>,
    gitmodules: Option<(u32, ObjectId)>,
    problems: Vec<Finding>,
}

pub(crate) fn scan(reader: &Reader, root: ObjectId, repository: &RepositoryUrl) -> Result<Scan, ReadError> {
    let found = walk(reader, root)?;
    let mut modules = match found.gitmodules {
        None => Gitmodules::default(),
        Some((mode, id)) if mode & 0o170_000 == 0o100_000 => Gitmodules::parse(&reader.blob(id)?),
        Some(_) => Gitmodules {
            problems: vec![Finding::new(
                FindingKind::UnreadableGitmodules,
                lock_model::GITMODULES_FILE,
                "is not a plain file",
                "commit it as a plain file; git follows no link there",
            )],
            ..Gitmodules::default()
        },
    };
    // A file that is there and cannot be used says so itself.
    let is_missing = found.gitmodules.is_none();
    let mut scan = Scan {
        submodules: Vec::new(),
        warnings: std::mem::take(&mut modules.warnings),
        problems: [found.problems, std::mem::take(&mut modules.problems)].concat(),
    };
    scan.join(&found.gitlinks, &modules, is_missing, repository);
    scan.submodules.sort_by(|a, b| a.path.cmp(&b.path));
    for findings in [&mut scan.warnings, &mut scan.problems] {
        findings.sort();
        findings.dedup();
    }
    Ok(scan)
}

/// Every gitlink of the tree, and the root's `.gitmodules`.
fn walk(reader: &Reader, root: ObjectId) -> Result<Found, ReadError> {
    let mut found = Found::default();
    let mut folders = vec![(BString::default(), root)];
    while let Some((folder, id)) = folders.pop() {
        let mut names = BTreeSet::new();
        for entry in reader.tree(id)? {
            let mut path = folder.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            if lock_model::is_git_folder(&String::from_utf8_lossy(&entry.name)) {
                found.problems.push(Finding::new(
                    FindingKind::UnsafePath,
                    &path,
                    "would be part of a repository's own git folder",
                    "remove it from the tree; git itself checks out no such entry",
                ));
                continue;
            }
            match entry.kind() {
                EntryKind::Folder => folders.push((path.clone(), entry.id)),
                EntryKind::Gitlink => {
                    found.gitlinks.insert(path.clone(), entry.id);
                }
                EntryKind::File | EntryKind::Link => {}
            }
            if path == lock_model::GITMODULES_FILE.as_bytes() {
                found.gitmodules = Some((entry.mode, entry.id));
            }
            if !names.insert(entry.name) {
                found.problems.push(Finding::new(
                    FindingKind::Duplicate,
                    &path,
                    "is in the tree twice",
                    "write the tree again with git; `git fsck` shows what else is broken",
                ));
            }
        }
    }
    Ok(found)
}

/// What is wrong with a gitlink that has no section, and what to do; first where there is no file at all.
const NO_GITMODULES: (&str, &str) = (
    "is a submodule, and the tree has no `.gitmodules`",
    "`git log -1 -- .gitmodules` names the commit that took it away, `git checkout COMMIT^ -- .gitmodules` brings it back; \
     `git submodule add --force URL PATH` begins a new one",
);
const UNDECLARED: (&str, &str) = (
    "is a submodule without a section in `.gitmodules`",
    "`git submodule add --force URL PATH` adds the section, `git rm --cached PATH` takes the gitlink away",
);

impl Scan {
    /// Whether a problem is about this path, so that a submodule there may be missing in the scan.
    pub(crate) fn has_problem_at(&self, path: &TreePath) -> bool {
        self.problems.iter().any(|problem| problem.subject == path.as_str())
    }

    fn join(
        &mut self,
        gitlinks: &BTreeMap<BString, ObjectId>,
        modules: &Gitmodules,
        is_missing: bool,
        repository: &RepositoryUrl,
    ) {
        let mut undeclared: BTreeMap<&BString, &ObjectId> = gitlinks.iter().collect();
        for claimed in &modules.claimed {
            undeclared.remove(&BString::from(claimed.as_str()));
        }
        for declared in &modules.declared {
            let path = BString::from(declared.path.as_str());
            undeclared.remove(&path);
            let Some(id) = gitlinks.get(&path) else {
                let name = &declared.name;
                let message = format!("is in `.gitmodules` (submodule `{name}`) but not a submodule of the tree");
                let hint =
                    "delete the section where the submodule is gone; `git add PATH` commits one that was cloned there";
                self.warnings.push(Finding::new(FindingKind::Stale, &path, message, hint).at(declared.line));
                continue;
            };
            if id.is_null() {
                self.problems.push(Finding::new(
                    FindingKind::Incomplete,
                    &path,
                    "has no commit: its gitlink is all zeros",
                    "add the submodule's commit again with `git add`",
                ));
                continue;
            }
            let Some(url) = &declared.url else {
                let message = format!("has no `url` in `.gitmodules` (submodule `{}`)", declared.name);
                let hint = "add `url = ADDRESS` to its section: where the repository is fetched from";
                self.problems.push(Finding::new(FindingKind::Incomplete, &path, message, hint).at(declared.line));
                continue;
            };
            match lock_url(url, repository) {
                Err(error) => {
                    let finding = Finding::new(FindingKind::UnsafeUrl, &path, error.to_string(), error.hint());
                    self.problems.push(finding.at(declared.url_line));
                }
                Ok(resolved) => {
                    if resolved.as_str().starts_with("http://") {
                        let message =
                            format!("has the URL `{resolved}`, from which nothing is fetched: it is without TLS");
                        let finding = Finding::new(FindingKind::PlainHttp, &path, message, "use `https://`");
                        self.warnings.push(finding.at(declared.url_line));
                    }
                    if names_user(url) {
                        let message = "has a URL with a user in it, which the lock leaves out: it may be a token";
                        let hint = "take the user out of the URL in `.gitmodules`; git's credential helpers supply it";
                        let finding = Finding::new(FindingKind::User, &path, message, hint);
                        self.warnings.push(finding.at(declared.url_line));
                    }
                    self.submodules.push(Submodule {
                        name: declared.name.clone(),
                        path: declared.path.clone(),
                        url: resolved,
                        declared_url: url.clone(),
                        commit: commit_id(*id),
                    });
                }
            }
        }
        // When the file itself cannot be read, every gitlink lacks its section for one and the same reason.
        let unreadable = self.problems.iter().any(|finding| finding.kind == FindingKind::UnreadableGitmodules);
        for (path, _) in undeclared {
            let safe = std::str::from_utf8(path).is_ok_and(|path| TreePath::try_from(path).is_ok());
            if !safe {
                self.problems.push(Finding::new(
                    FindingKind::UnsafePath,
                    path,
                    "is not usable as the path of a submodule",
                    "use a relative UTF-8 path without `..`, control characters, backslashes or a leading `-`",
                ));
            } else if !unreadable {
                let (message, hint) = if is_missing { NO_GITMODULES } else { UNDECLARED };
                self.problems.push(Finding::new(FindingKind::Undeclared, path, message, hint));
            }
        }
        // Two sections on one path, or a section that is there twice: none of them is handed on.
        let mut seen: BTreeMap<TreePath, usize> = BTreeMap::new();
        for submodule in &self.submodules {
            *seen.entry(submodule.path.clone()).or_default() += 1;
        }
        self.submodules.retain(|submodule| seen.get(&submodule.path) == Some(&1));
    }
}
