//! A repository of the superproject, and what a call works with that needs no forge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use cluster::{Login, LoginProgram};
use config::Config;
use deployer::ProgramVersions;
use git::{CommitFacts, Git, GitOptions, Transport};
use lock_gen::{Ownership, SubmoduleContent, Superproject};
use lock_model::{CommitId, Digest, EnvironmentName, RepositoryUrl, Timestamp, UserName};
use process::{Program, Redactor};

use crate::clock::Clock;
use crate::context::{Local, Settings, Surroundings, git_error, git_options};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events};
use crate::output_file::{check_output, write_output};

/// The host of a superproject that has no address: RFC 2606 promises that it never exists.
const NO_HOST: &str = "https://no-forge.invalid";

/// A repository with what a call works with, forge or none: any clone, at any commit.
#[derive(Debug)]
pub struct Workspace {
    /// A clone, or the forge's own bare repository.
    pub(crate) git: Git,
    /// The same repository, read without the `git` program.
    pub(crate) superproject: Superproject,
    /// Where the forge's branches are mirrored in this repository; absent where there is no forge.
    pub(crate) forge_refs: Option<&'static str>,
    /// What relative addresses of submodules start from: the remote, or this repository where it has none.
    location: String,
    pub(crate) clock: Arc<dyn Clock>,
    events: Arc<dyn Events>,
    /// What [`note_once`](Self::note_once) has said.
    said: Mutex<BTreeSet<String>>,
    pub(crate) surroundings: Surroundings,
    pub(crate) git_program: Program,
    /// Folder for fetched submodule commits and manifests of images.
    pub(crate) cache: PathBuf,
    /// Folder that relative paths in the configuration start from.
    pub(crate) top: PathBuf,
    /// When the whole call must be done.
    pub(crate) deadline: Instant,
    /// How submodules' remotes are reached; read when the first one is asked.
    transport: OnceLock<Arc<Transport>>,
    /// What is known of blobs that were hashed, by their ids.
    pub(crate) digests: Mutex<BTreeMap<String, Digest>>,
    /// What masks the secrets of a commit's configuration.
    pub(crate) redactors: Mutex<BTreeMap<CommitId, Redactor>>,
    /// The same for the suites of an environment.
    pub(crate) suite_redactors: Mutex<BTreeMap<(CommitId, EnvironmentName), Redactor>>,
    /// The versions that programs of deployments have said they have.
    pub(crate) versions: ProgramVersions,
    /// Logins to clusters by the programs of kubeconfigs.
    pub(crate) logins: Mutex<Vec<(LoginProgram, Login)>>,
    /// What was opened of submodules, by name, address and commit.
    pub(crate) contents: Mutex<BTreeMap<(String, String, CommitId), Arc<SubmoduleContent>>>,
    /// On whose behalf `git` is run; absent where there is no forge, and where it is not known who acts.
    actor: Option<UserName>,
}

/// What the forge adds to a repository.
pub(crate) struct Side {
    pub refs: &'static str,
    pub location: String,
    /// Absent where it is not known who acts.
    pub actor: Option<UserName>,
}

impl Workspace {
    /// Opens the repository that `local` found.
    pub(crate) fn open(
        local: Local,
        settings: &Settings,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
        events: Arc<dyn Events>,
        side: Option<Side>,
    ) -> Result<Self> {
        // Its owner was judged when `local` was opened, where need be by the user's own `safe.directory`.
        let superproject = Superproject::open_as(&settings.repository, Ownership::Vouched)
            .map_err(|error| Error::from_source(ErrorKind::Repository, "the superproject cannot be opened", error))?;
        let (forge_refs, location, actor) = match side {
            Some(Side { refs, location, actor }) => (Some(refs), location, actor),
            None => (None, local.location(), None),
        };
        let git = match &actor {
            Some(actor) => local.git.with_options(git_options(&surroundings, Some(actor))),
            None => local.git,
        };
        let cache = settings.cache.clone().unwrap_or_else(|| git.common_dir().join("orchestrator/cache"));
        Ok(Self {
            git,
            superproject,
            forge_refs,
            location,
            clock,
            events,
            said: Mutex::default(),
            surroundings,
            git_program: local.git_program,
            cache,
            top: local.top,
            deadline: settings.deadline,
            transport: OnceLock::new(),
            digests: Mutex::default(),
            redactors: Mutex::default(),
            suite_redactors: Mutex::default(),
            versions: ProgramVersions::default(),
            logins: Mutex::default(),
            contents: Mutex::default(),
            actor,
        })
    }

    /// The line of first parents of a commit, itself first.
    pub(crate) fn first_parents(&self, tip: &str) -> Result<Vec<CommitId>> {
        self.git.first_parents(tip).map_err(|error| git_error("history cannot be read", error))
    }

    /// Where the superproject's remote lies, for relative submodule URLs.
    pub(crate) fn remote_location(&self) -> &str {
        &self.location
    }

    /// The superproject's address, as locks write it: the configured one; else the one that it was cloned from, as far as
    /// other machines can reach that; else an address that leads nowhere.
    pub(crate) fn address(&self, config: &Config) -> RepositoryUrl {
        config.forge.as_ref().map_or_else(|| self.own_address(), |forge| forge.repository.clone())
    }

    /// The address without a configuration.
    pub(crate) fn own_address(&self) -> RepositoryUrl {
        let name = self.top.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let nowhere = |name: &str| RepositoryUrl::try_from(format!("{NO_HOST}/{name}"));
        let nowhere = nowhere(name).or_else(|_| nowhere("superproject")).expect("the constant is an address");
        lock_gen::lock_url(&without_user(&self.location), &nowhere).unwrap_or(nowhere)
    }

    /// How `git` is run on behalf of the user who acts.
    pub(crate) fn git_options(&self) -> GitOptions {
        git_options(&self.surroundings, self.actor.as_ref())
    }

    /// How `git` is run to fetch submodules: with the credentials of the job, as they hold in this clone.
    pub(crate) fn submodule_git_options(&self) -> Result<GitOptions> {
        Ok(GitOptions { transport: Some(Arc::clone(self.transport()?)), ..self.git_options() })
    }

    /// How submodules' remotes are reached. Settings of the clone that are not used are said once.
    pub(crate) fn transport(&self) -> Result<&Arc<Transport>> {
        if let Some(known) = self.transport.get() {
            return Ok(known);
        }
        let read = self.git.transport(&self.surroundings.job);
        let read = read.map_err(|error| git_error("the configuration of git cannot be read", error))?;
        for key in read.ignored() {
            self.note_once(unused_setting(key));
        }
        Ok(self.transport.get_or_init(|| Arc::new(read)))
    }

    /// An environment variable that the configuration names; `None` where it is unset or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.surroundings.variables)(name)
    }

    /// Says that something happened.
    pub(crate) fn emit(&self, event: Event<'_>) {
        self.events.event(event);
    }

    /// What says something in one line, for a library that keeps it.
    pub(crate) fn notes(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        let events = Arc::clone(&self.events);
        Arc::new(move |text| events.event(Event::Note(text)))
    }

    /// Says something in one line.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.emit(Event::Note(text.as_ref()));
    }

    /// The same, unless this context has said it before.
    pub(crate) fn note_once(&self, text: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&text) {
            self.note(&text);
            said.insert(text);
        }
    }

    /// Refuses a clone without its whole history, before anything is written: gates ask who is whose ancestor, and the
    /// answer "unknown" would be recorded for everybody.
    pub(crate) fn needs_history(&self) -> Result<()> {
        if !self.superproject.is_shallow() {
            return Ok(());
        }
        let commits = self.first_parents("HEAD").map_or(0, |commits| commits.len());
        let depth = crate::labels::count(commits, "commit");
        Err(Error::new(
            ErrorKind::Repository,
            format!("this clone is shallow: of its branch it has the newest {depth}"),
        )
        .hint("fetch the rest: `git fetch --unshallow`; in GitHub Actions `fetch-depth: 0` at `actions/checkout`")
        .hint("nothing was written"))
    }

    /// Refuses to go on after the deadline of the command.
    pub(crate) fn in_time(&self) -> Result<()> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Deadline, "the deadline passed before there was an answer")
            .hint("nothing was changed: run the same command again, with a longer `--deadline`"))
    }

    /// Writes a file that the caller asks for, as [`write_output`](crate::write_output) does.
    pub(crate) fn write_output(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        write_output(self.git.work_tree(), path, bytes)
    }

    /// Refuses a file that [`write_output`](Self::write_output) could not write.
    pub(crate) fn check_output(&self, path: &Path) -> Result<()> {
        check_output(self.git.work_tree(), path)
    }

    /// The commit that a revision names: a branch of the forge first, then its tags, then whatever git knows by that
    /// name. A full commit id is that commit, whatever branch is called like it.
    pub(crate) fn resolve(&self, revision: &str) -> Result<CommitId> {
        let mut candidates = vec![revision.to_owned()];
        if CommitId::try_from(revision).is_err() {
            match self.forge_refs {
                Some(own) => {
                    candidates.splice(0..0, [format!("{own}/heads/{revision}"), format!("{own}/tags/{revision}")]);
                }
                // What `git switch` would make a branch of.
                None => candidates.push(format!("refs/remotes/origin/{revision}")),
            }
        }
        for candidate in candidates {
            if let Some(facts) =
                self.git.commit(&candidate).map_err(|error| git_error("the revision cannot be read", error))?
            {
                self.means_no_other(revision, &facts.id)?;
                return Ok(facts.id);
            }
        }
        Err(no_commit(&self.git, self.forge_refs, revision))
    }

    /// Refuses a branch or tag that is called like the first digits of another commit's id: anybody who can push makes one,
    /// and whoever writes these digits means the commit.
    fn means_no_other(&self, revision: &str, found: &CommitId) -> Result<()> {
        let is_short_id = (4..found.as_str().len()).contains(&revision.len())
            && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_short_id || found.as_str().starts_with(&revision.to_ascii_lowercase()) {
            return Ok(());
        }
        let unread = |error| git_error("the revision cannot be read", error);
        for id in self.git.objects_beginning_with(revision).map_err(unread)? {
            if let Some(other) = self.git.commit(&id).map_err(unread)?.filter(|other| other.id != *found) {
                let message = format!(
                    "`{revision}` is a branch or tag that leads to {}, and it begins the id of commit {}",
                    found.short(12),
                    other.id
                );
                return Err(Error::new(ErrorKind::Usage, message)
                    .hint("write the whole id of the commit that you mean, or more of its digits"));
            }
        }
        Ok(())
    }

    /// What git knows about a commit; `None` where it is not in this repository.
    pub(crate) fn commit(&self, revision: &str) -> Result<Option<CommitFacts>> {
        self.git.commit(revision).map_err(|error| git_error("history cannot be read", error))
    }

    /// The paths that differ between two commits.
    pub(crate) fn changed_paths(&self, before: &CommitId, after: &CommitId) -> Result<Vec<String>> {
        let changes = self.git.diff_names(before.as_str(), after.as_str());
        let changes = changes.map_err(|error| git_error("history cannot be read", error))?;
        Ok(changes.into_iter().map(|change| change.path).collect())
    }

    /// Whether one commit is in the history of another, or is that commit.
    pub(crate) fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool> {
        self.git.is_ancestor(ancestor, descendant).map_err(|error| git_error("history cannot be read", error))
    }

    /// The commits that `git rev-list` names, newest first.
    pub(crate) fn rev_list(&self, arguments: &[&str]) -> Result<Vec<CommitId>> {
        self.git.rev_list(arguments).map_err(|error| git_error("history cannot be read", error))
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What to do about a setting of a clone that git does not use for submodules, because it runs a program.
pub(crate) fn unused_setting(key: &str) -> String {
    let instead = match key.rsplit('.').next() {
        Some("sshcommand") => "set `GIT_SSH_COMMAND`, or `git config --global core.sshCommand`",
        Some("askpass") => "set `GIT_ASKPASS`, or `git config --global core.askPass`",
        _ => "set it with `git config --global`",
    };
    format!(
        "`{key}` of this clone's own configuration is not used for submodules, because it runs a program: {instead}"
    )
}

/// An address without user and password: a job's clone has a token there.
fn without_user(address: &str) -> String {
    let user_and_rest = |rest: &str| {
        let host = rest.split('/').next()?.rsplit_once('@')?.1;
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        Some(format!("{host}/{path}"))
    };
    match address.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            user_and_rest(rest).map_or_else(|| address.to_owned(), |rest| format!("{scheme}://{rest}"))
        }
        Some(_) | None => address.to_owned(),
    }
}

/// The error of a revision that names no commit, with the branch or tag whose name is nearest.
pub(crate) fn no_commit(git: &Git, forge_refs: Option<&str>, revision: &str) -> Error {
    let error = Error::new(ErrorKind::Repository, format!("`{revision}` names no commit"));
    if revision == "HEAD" {
        return error
            .hint("the branch that `HEAD` names has no commit yet: `git switch` to one that has, or `git commit`");
    }
    let (branch, branches) = match forge_refs {
        Some(own) => ("a branch of the forge", format!("{own}/heads/")),
        None => ("a branch", "refs/heads/".to_owned()),
    };
    let names = [branches.as_str(), "refs/tags/", "refs/remotes/origin/"].into_iter().flat_map(|prefix| {
        let refs = git.refs(prefix).unwrap_or_default();
        refs.into_iter().filter_map(move |found| Some(found.name.strip_prefix(prefix)?.to_owned())).collect::<Vec<_>>()
    });
    let names: Vec<String> = names.filter(|name| name != revision).collect();
    let near = config::nearest(revision, names.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    error.hint(format!("{near}give {branch}, a tag or a full commit id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t49_the_address_that_a_lock_gets_has_no_user() {
        for (given, expected) in [
            ("https://x-access-token:secret@github.com/shop/shop", "https://github.com/shop/shop"),
            ("https://token@host.example:8443/shop.git", "https://host.example:8443/shop.git"),
            ("https://a@b@host.example/shop@2.git", "https://host.example/shop@2.git"),
            ("https://host.example/shop@2.git", "https://host.example/shop@2.git"),
            ("git@host.example:shop/shop.git", "git@host.example:shop/shop.git"),
            ("/srv/shop.git", "/srv/shop.git"),
        ] {
            assert_eq!(without_user(given), expected);
        }
    }
}
