use std::ffi::OsString;

use lock_model::ErrorClass;
use lock_model::escaping::{credentials_of, mask_address};
use process::{Invocation, Output, Redactor};

use crate::error::{RemoteFault, names_storage};
use crate::options::{configuration, own_settings};
use crate::output::{self, failed, unexpected};
use crate::refs::is_absent;
use crate::{Git, GitError, Reference, operand};

/// The remote of [`Git::fetch_commits`]. Git stores that name, and never the address: so it cannot bring what was left
/// out on its own, and no credentials of an address end in a file.
const COMMITS_ONLY: &str = "orchestrator-commits";
/// The name of any other remote whose address git is not given in its arguments.
const ELSEWHERE: &str = "orchestrator-remote";

/// Fetches without tags, submodules and files that tell of it, by the upload program of the search path.
const FETCH: [&str; 7] = [
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--upload-pack=git-upload-pack",
];

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The remote ref points to the new object.
    Done,
    /// The remote ref did not have the expected value, or the push would not have been a fast-forward.
    Moved,
    /// A hook or a rule of the remote refused the push.
    Refused {
        /// The message of the remote, in one or more lines.
        message: String,
    },
}

impl Git {
    /// Fetches refs (or single commits) from a remote: a name, a URL, or a folder. No tags come along, and no
    /// submodule is touched.
    pub fn fetch(&self, remote: &str, refspecs: &[&str], depth: Option<u32>) -> Result<(), GitError> {
        let depth = depth.map(|depth| format!("--depth={depth}"));
        self.fetch_with(remote, refspecs, &["--no-prune"], depth.as_deref())
    }

    /// [`fetch`](Self::fetch), and what the refspecs cover here and the remote no longer has is removed: a namespace that
    /// is always what the remote is. Without that, a branch `a` that is gone would be in the way of a new `a/b`.
    ///
    /// Nothing is fetched from a folder whose refs all have been fetched.
    pub fn fetch_mirror(&self, remote: &str, refspecs: &[&str]) -> Result<(), GitError> {
        // What cannot be compared is fetched.
        if self.mirrors(remote, refspecs).unwrap_or(false) {
            return Ok(());
        }
        self.fetch_with(remote, refspecs, &["--prune"], None)
    }

    /// Whether the remote is a folder, and everything that the refspecs cover is here as it is there.
    fn mirrors(&self, remote: &str, refspecs: &[&str]) -> Result<bool, GitError> {
        let Some(there) = self.beside(remote) else { return Ok(false) };
        let (there, here) = (there.objects(), self.objects());
        for refspec in refspecs {
            let sides = refspec.strip_prefix('+').and_then(|spec| spec.split_once(':'));
            let prefixes = sides.and_then(|(from, to)| Some((from.strip_suffix('*')?, to.strip_suffix('*')?)));
            let Some((from, to)) = prefixes else { return Ok(false) };
            let theirs = there.ids(from)?.into_iter().map(|(name, id)| (name.replacen(from, to, 1), id));
            if !theirs.eq(here.ids(to)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fetch_with(
        &self,
        remote: &str,
        refspecs: &[&str],
        options: &[&str],
        depth: Option<&str>,
    ) -> Result<(), GitError> {
        refspecs.iter().try_for_each(|refspec| operand::revision(refspec))?;
        let (invocation, named) = self.to_remote(remote, ELSEWHERE, FETCH)?;
        let output = invocation.args(options).args(depth).args(["--", named]).args(refspecs).run()?;
        if output.success() { Ok(()) } else { Err(remote_failed(output, remote, "cannot be fetched from")) }
    }

    /// Fetches commits without their trees and files (where the remote can leave them out) from a URL or folder.
    ///
    /// Refs that the refspecs cover and that the remote no longer has are removed. The repository becomes a partial
    /// clone for good: use a bare repository in which only commits are looked for.
    pub fn fetch_commits(&self, url: &str, refspecs: &[&str]) -> Result<(), GitError> {
        refspecs.iter().try_for_each(|refspec| operand::revision(refspec))?;
        let input: String = refspecs.iter().flat_map(|refspec| [*refspec, "\n"]).collect();
        let (mut invocation, named) = self.to_remote(url, COMMITS_ONLY, FETCH)?;
        if named != COMMITS_ONLY {
            let address = (format!("remote.{COMMITS_ONLY}.url"), OsString::from(url));
            invocation = invocation.envs(&configuration(own_settings().chain([address])));
        }
        let invocation = invocation.args(["--prune", "--filter=tree:0", "--stdin", "--", COMMITS_ONLY]);
        let output = invocation.stdin(input).run()?;
        if output.success() { Ok(()) } else { Err(remote_failed(output, url, "cannot be fetched from")) }
    }

    /// Pushes an object to a ref of a remote; an empty or all-zero `new` removes the ref.
    ///
    /// With an expected old value ([`ABSENT`](super::ABSENT): the ref must not exist) the push is a
    /// compare-and-swap, and need not be a fast-forward. Without one only a fast-forward passes.
    pub fn push(
        &self,
        remote: &str,
        new: &str,
        full_ref_name: &str,
        expected_old: Option<&str>,
    ) -> Result<PushOutcome, GitError> {
        operand::remote(remote)?;
        operand::ref_name(full_ref_name)?;
        let new = if is_absent(new) { "" } else { new };
        if !new.is_empty() {
            operand::revision(new)?;
        }
        let lease = expected_old.map(|old| {
            let old = if is_absent(old) { "" } else { old };
            format!("--force-with-lease={full_ref_name}:{old}")
        });
        let refspec = format!("{new}:{full_ref_name}");
        let invocation =
            self.start(["push", "--porcelain", "--no-verify", "--no-signed", "--receive-pack=git-receive-pack"])?;
        let invocation = invocation.args(lease).args(["--", remote, &refspec]);
        let output = invocation.redact(&self.redactor(remote)).run()?;
        let text = output.stdout_text();
        // `FLAG<tab>FROM:TO<tab>SUMMARY (REASON)`
        let line = text.lines().find_map(|line| line.strip_prefix("!\t"));
        match line {
            None if output.success() => Ok(PushOutcome::Done),
            None => Err(remote_failed(output, remote, "cannot be pushed to")),
            Some(line) => {
                let summary = line.split('\t').next_back().unwrap_or(line);
                if MOVED.iter().any(|words| summary.contains(words)) {
                    return Ok(PushOutcome::Moved);
                }
                Ok(PushOutcome::Refused { message: refusal(&output, summary) })
            }
        }
    }

    /// A ref of a remote, by its full name; nothing where there is no such ref.
    pub fn remote_ref(&self, remote: &str, name: &str) -> Result<Option<Reference>, GitError> {
        operand::ref_name(name)?;
        let references = match self.beside(remote) {
            Some(there) => there.refs(name)?,
            // The pattern also matches the end of longer names.
            None => self.ls_remote(remote, &[name])?,
        };
        Ok(references.into_iter().find(|reference| reference.name == name))
    }

    /// The refs of a remote that match the patterns; all of them without a pattern.
    pub fn ls_remote(&self, remote: &str, patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        self.list_remote(remote, &[], patterns)
    }

    /// The branches and tags of a remote. Its other refs, such as those of pull requests, are not even sent.
    pub fn remote_branches_and_tags(&self, remote: &str) -> Result<Vec<Reference>, GitError> {
        self.list_remote(remote, &["--heads", "--tags"], &[])
    }

    fn list_remote(&self, remote: &str, options: &[&str], patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        patterns.iter().try_for_each(|pattern| operand::revision(pattern))?;
        let command = ["ls-remote", "--quiet", "--upload-pack=git-upload-pack"];
        let (invocation, named) = self.to_remote(remote, ELSEWHERE, command)?;
        let output = invocation.args(options).args(["--", named]).args(patterns).run()?;
        if !output.success() {
            return Err(remote_failed(output, remote, "cannot be listed"));
        }
        let mut references: Vec<Reference> = Vec::new();
        for line in output::line(&output)?.lines() {
            let Some((id, name)) = line.split_once('\t') else {
                return Err(unexpected(&output, "`ID<tab>REF`"));
            };
            match (name.strip_suffix("^{}"), references.last_mut()) {
                (Some(tag), Some(last)) if last.name == tag => last.peeled = Some(id.to_owned()),
                (Some(_), _) => {}
                (None, _) => {
                    references.push(Reference { name: name.to_owned(), id: id.to_owned(), peeled: None });
                }
            }
        }
        Ok(references)
    }

    /// Begins a command to a remote, and says what it must call the remote: with a transport, git learns the address by a
    /// setting, and is given a name in its place.
    fn to_remote<'a>(
        &self,
        remote: &'a str,
        name: &'a str,
        command: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Invocation, &'a str), GitError> {
        operand::remote(remote)?;
        let invocation = self.start(command)?;
        let mut redactor = self.redactor(remote);
        let Some(transport) = &self.options().transport else { return Ok((invocation.redact(&redactor), remote)) };
        let destination = transport.destination(remote)?;
        if destination.is_local {
            return Ok((invocation.redact(&redactor), remote));
        }
        transport.redact(&mut redactor);
        hide_credentials(&mut redactor, &destination.url);
        let invocation = transport.apply(invocation, self.options(), name, &destination.url);
        Ok((invocation.redact(&redactor), name))
    }

    /// Hides the credentials of a remote's address too: the address is an argument, and commands are shown in errors.
    fn redactor(&self, remote: &str) -> Redactor {
        let mut redactor = self.options().redactor.clone();
        hide_credentials(&mut redactor, remote);
        redactor
    }

    /// The names and addresses of the configured remotes, in the order of the configuration.
    pub fn remotes(&self) -> Result<Vec<(String, String)>, GitError> {
        if let Some(remotes) = self.objects().remotes() {
            return Ok(remotes);
        }
        let output = self.run(["config", "-z", "--get-regexp", r"^remote\..*\.url$"])?;
        match output.code {
            Some(0) => {}
            Some(1) => return Ok(Vec::new()),
            _ => return Err(failed(output)),
        }
        let text = output::text(&output.stdout, &output)?;
        let remote = |entry: &str| {
            let (key, url) = entry.split_once('\n')?;
            let name = key.strip_prefix("remote.")?.strip_suffix(".url")?;
            Some((name.to_owned(), url.to_owned()))
        };
        Ok(text.split('\0').filter_map(remote).collect())
    }

    /// The URL (or folder) of a named remote, as it is configured.
    pub fn remote_url(&self, name: &str) -> Result<Option<String>, GitError> {
        operand::revision(name)?;
        Ok(self.remotes()?.into_iter().rev().find(|(remote, _)| remote == name).map(|(_, url)| url))
    }
}

fn hide_credentials(redactor: &mut Redactor, address: &str) {
    for credentials in credentials_of(address) {
        // An account of ssh is no secret.
        if address.starts_with("ssh") && !credentials.contains(':') {
            continue;
        }
        redactor.add(credentials);
        for part in credentials.split('&') {
            // Before the mark stands a user or the name of a parameter.
            redactor.add(part.split_once([':', '=']).map_or(part, |(_, secret)| secret));
        }
    }
}

/// Reasons that mean: another push came first.
const MOVED: [&str; 9] = [
    "stale info",
    "fetch first",
    "non-fast-forward",
    "needs force",
    "remote ref updated since checkout",
    "cannot lock ref",
    "failed to update ref",
    "failed to lock",
    "incorrect old value",
];

/// The message of the remote, without git's own lines.
fn refusal(output: &Output, summary: &str) -> String {
    let lines = output.last_lines(40);
    let remote = lines.iter().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim_end);
    let own: Vec<&str> = remote.filter(|line| !line.is_empty() && !line.starts_with("error: hook declined")).collect();
    if own.is_empty() { summary.to_owned() } else { own.join("\n") }
}

fn remote_failed(output: Output, remote: &str, action: &'static str) -> GitError {
    let stderr = output.stderr_text();
    let has = |words: &[&str]| words.iter().any(|words| stderr.contains(words));
    // A bare number is part of many object ids and paths.
    let status = |codes: &[&str]| {
        codes.iter().any(|code| has(&[format!("error: {code}").as_str(), format!("HTTP {code}").as_str()]))
    };
    let local: Vec<String> =
        stderr.lines().filter(|line| !line.contains("Permission denied")).map(str::to_owned).collect();
    let fault = RemoteFault::of(&stderr);
    let class = if names_storage(&local) {
        ErrorClass::Storage
    } else if let Some(RemoteFault::Untrusted | RemoteFault::Certificate | RemoteFault::AuthorityFile) = fault {
        ErrorClass::Denied
    } else if fault == Some(RemoteFault::UnknownRepository)
        || has(&["not our ref", "couldn't find remote ref", "does not appear to be a git repository"])
        || has(&["does not exist"])
    {
        ErrorClass::NotFound
    } else if has(&["Authentication failed", "Permission denied", "could not read Username", "access denied"])
        || has(&["could not read Password", "Host key verification failed"])
        || status(&["401", "403"])
    {
        ErrorClass::Denied
    } else if has(&["not allowed", "not supported"]) {
        ErrorClass::Invalid
    } else if has(&["Could not resolve host", "Connection timed out", "Connection refused", "early EOF"])
        || has(&["onnection reset", "Failed to connect", "hung up unexpectedly"])
        || status(&["429", "500", "502", "503", "504"])
    {
        ErrorClass::Temporary
    } else {
        ErrorClass::Invalid
    };
    match output.checked() {
        Err(source) => GitError::remote(mask_address(remote), class, action, source),
        Ok(output) => unexpected(&output, "a failure"),
    }
}
