use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::credential_key::CredentialKey;
use super::env_credentials::EnvCredential;
use super::error::CredentialError;
use super::file::{AuthFile, EntryContent};
use super::helper::{self, HelperAnswer, HelperName, HelperPrograms};
use super::login::{FailedHelper, Login, LoginSource, LoginTrace};
use super::sources::CredentialSources;

/// Logins that were loaded. [`Default`] has none. Clones share what the helpers answered.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    env: Vec<EnvCredential>,
    file: Option<AuthFile>,
    helpers: Option<HelperPrograms>,
    work_tree: Option<PathBuf>,
    /// Each helper is asked once for each server, also when many want to know at the same time.
    answers: Mutex<Answers>,
}

/// By helper and server.
type Answers = BTreeMap<(HelperName, String), Arc<OnceCell<HelperAnswer>>>;

/// The outcome of a search.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) login: Option<Login>,
    pub(crate) trace: LoginTrace,
}

impl Credentials {
    /// Reads the first of the files that exists. No program is run yet.
    pub fn load(sources: CredentialSources) -> Result<Self, CredentialError> {
        let CredentialSources { env, files, helpers, work_tree } = sources;
        let mut file = None;
        for path in &files {
            file = AuthFile::read(path, work_tree.as_deref())?;
            if file.is_some() {
                break;
            }
        }
        let inner = Inner { env, file, helpers, work_tree, answers: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The file that logins are looked up in.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.inner.file.as_ref().map(|file| file.path.as_path())
    }

    /// Looks up the login for a repository at the host that is asked.
    pub(crate) async fn find(&self, key: &CredentialKey) -> Found {
        let Inner { env, file, .. } = &*self.inner;
        // The last of the equally good ones would win in `max_by_key`.
        let fitting = env.iter().rev().filter_map(|login| login.fits(key).map(|fit| (fit, login)));
        if let Some((_, login)) = fitting.max_by_key(|(fit, _)| *fit) {
            return Found::login(login.login.clone(), LoginSource::Env { name: login.name.clone() });
        }
        let mut found = match file {
            Some(file) => self.find_in(file, key).await,
            None => Found::none(Vec::new()),
        };
        if found.login.is_none() && found.trace.problems.is_empty() {
            found.trace.problems = self.without_port(key);
        }
        found
    }

    /// Logins that would fit if they named the port that is asked.
    fn without_port(&self, key: &CredentialKey) -> Vec<String> {
        let Some((bare, _)) = key.host.rsplit_once(':') else { return Vec::new() };
        let bare = CredentialKey::new(bare, &key.path);
        let Inner { env, file, .. } = &*self.inner;
        let variables = env.iter().filter(|login| login.fits(&bare).is_some()).map(|login| format!("`{}`", login.name));
        let files = file.iter().filter(|file| bare.names().any(|name| file.entries.contains_key(&name)));
        let files = files.map(|file| format!("`{}`", file.path.display()));
        variables
            .chain(files)
            .map(|source| format!("the login of {source} is for `{}`, without the port of `{}`", bare.host, key.host))
            .collect()
    }

    async fn find_in(&self, file: &AuthFile, key: &CredentialKey) -> Found {
        for name in key.names() {
            if let Some(named) = file.helpers.get(&name) {
                let Some(helper) = &named.helper else {
                    return Found::none(vec![format!(
                        "`credHelpers.{}` of `{}` names no program: only letters, digits, `.`, `_` and `-` may be in it",
                        lock_model::escaping::escape_terminal(&named.key),
                        file.path.display()
                    )]);
                };
                if let Some(found) = self.ask(file, helper, &named.key).await {
                    return found;
                }
                continue;
            }
            let server = match file.entries.get(&name) {
                Some(entry) => match &entry.content {
                    EntryContent::Login(login) => {
                        return Found::login(login.clone(), LoginSource::File { path: file.path.clone() });
                    }
                    EntryContent::Unreadable => {
                        let problem = format!(
                            "the entry `{}` of `{}` cannot be read",
                            lock_model::escaping::escape_terminal(&entry.key),
                            file.path.display()
                        );
                        return Found::none(vec![problem]);
                    }
                    EntryContent::Empty => entry.key.as_str(),
                },
                None if name == key.host => key.helper_key(),
                None => continue,
            };
            if let Some(store) = &file.store
                && let Some(found) = self.ask(file, store, server).await
            {
                return found;
            }
        }
        Found::none(Vec::new())
    }

    /// Asks a helper; `None` when it knows no login. One that fails ends the search: requests are sent without a login then.
    async fn ask(&self, file: &AuthFile, name: &HelperName, server: &str) -> Option<Found> {
        let program = name.program();
        let Some(programs) = &self.inner.helpers else {
            return Some(Found::none(vec![format!("credential helper `{program}` may not be run")]));
        };
        let cell = {
            let mut answers = self.inner.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry((name.clone(), server.to_owned())).or_default())
        };
        let answer = cell.get_or_init(|| helper::ask(programs, self.inner.work_tree.as_deref(), name, server)).await;
        match answer {
            HelperAnswer::Login(login) => {
                Some(Found::login(login.clone(), LoginSource::Helper { program, path: file.path.clone() }))
            }
            HelperAnswer::None => None,
            HelperAnswer::NotFound => Some(Found::failed(file, program, "was not found on the search path", None)),
            HelperAnswer::Failed(reason) => Some(Found::failed(file, program, reason, Some(server.to_owned()))),
        }
    }
}

impl Found {
    fn login(login: Login, source: LoginSource) -> Self {
        Self { login: Some(login), trace: LoginTrace { source, ..LoginTrace::anonymous() } }
    }

    fn failed(file: &AuthFile, program: String, reason: &str, asked: Option<String>) -> Self {
        let path = file.path.clone();
        let mut found =
            Self::none(vec![format!("credential helper `{program}`, which `{}` names, {reason}", path.display())]);
        found.trace.failed_helper = Some(FailedHelper { asked, ..FailedHelper::new(program, path) });
        found
    }

    fn none(problems: Vec<String>) -> Self {
        Self { login: None, trace: LoginTrace { problems, ..LoginTrace::anonymous() } }
    }
}
