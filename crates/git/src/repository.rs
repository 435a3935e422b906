use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GitError, answer};
use process::{EnvVars, Interrupt, Invocation, Output, Program, Redactor};

/// The oldest git that has `merge-tree --write-tree` and `cat-file -z`.
pub const MINIMUM_VERSION: (u32, u32) = (2, 38);

/// Whether repositories in folders of this machine may be fetched from and pushed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalProtocol {
    /// Only over the network.
    #[default]
    Refused,
    /// Folders too: the local forge, tests.
    Allowed,
}

/// Whether `http://` without TLS may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only `https://` and ssh.
    #[default]
    Refused,
    /// `http://` too.
    Allowed,
}

/// What every git child gets.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// The variables that git sees. Those that start with `GIT_` are dropped.
    pub environment: EnvVars,
    /// The time for one child.
    pub deadline: Duration,
    /// Folders as remotes.
    pub local_protocol: LocalProtocol,
    /// Plain HTTP remotes.
    pub plain_http: PlainHttp,
    /// The ssh command: unless the user names one, `ssh` that asks nobody. Never the one in a repository's
    /// configuration.
    pub ssh_command: OsString,
    /// Hidden in everything that is shown.
    pub redactor: Redactor,
    /// Ends a running child.
    pub interrupt: Interrupt,
}

impl Default for GitOptions {
    fn default() -> Self {
        Self {
            environment: EnvVars::new(),
            deadline: Duration::from_secs(60),
            local_protocol: LocalProtocol::default(),
            plain_http: PlainHttp::default(),
            ssh_command: OsString::from("ssh -oBatchMode=yes"),
            redactor: Redactor::new(),
            interrupt: Interrupt::new(),
        }
    }
}

/// The hash function of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 hexadecimal digits.
    #[default]
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
}

/// How a new repository is made.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Without a work tree.
    pub bare: bool,
    /// The branch that `HEAD` names.
    pub branch: String,
    /// The hash function.
    pub format: ObjectFormat,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { bare: true, branch: "main".to_owned(), format: ObjectFormat::Sha1 }
    }
}

/// One repository, bare or with a work tree, seen through the `git` program.
#[derive(Clone, Debug)]
pub struct Git {
    program: Program,
    options: GitOptions,
    own_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
}

impl Git {
    /// Opens the repository that `folder` lies in.
    ///
    /// Refuses a git older than [`MINIMUM_VERSION`] and a repository of another user.
    pub fn open(program: &Program, folder: &Path, options: GitOptions) -> Result<Self, GitError> {
        check_version(program, &options)?;
        Self::discover(program, folder, options)
    }

    /// Opens another repository with the same program and options.
    pub fn open_other(&self, folder: &Path) -> Result<Self, GitError> {
        Self::discover(&self.program, folder, self.options.clone())
    }

    /// Makes a repository in `folder` and opens it. A repository that is there already is left as it is.
    ///
    /// No template: a new repository has no sample hooks.
    pub fn init(program: &Program, folder: &Path, init: &InitOptions, options: GitOptions) -> Result<Self, GitError> {
        check_version(program, &options)?;
        let mut invocation = base_invocation(program, &options).args(["init", "--quiet", "--template="]);
        if init.bare {
            invocation = invocation.arg("--bare");
        }
        invocation = invocation.arg(match init.format {
            ObjectFormat::Sha1 => "--object-format=sha1",
            ObjectFormat::Sha256 => "--object-format=sha256",
        });
        let _done =
            invocation.arg(format!("--initial-branch={}", init.branch)).arg("--").arg(folder).run()?.checked()?;
        Self::discover(program, folder, options)
    }

    fn discover(program: &Program, folder: &Path, options: GitOptions) -> Result<Self, GitError> {
        let not_a_repository = || GitError::NotARepository { folder: folder.to_owned() };
        if !folder.is_dir() {
            return Err(not_a_repository());
        }
        let output = base_invocation(program, &options)
            .arg("-C")
            .arg(folder)
            .args(["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--is-bare-repository"])
            .args(["--is-inside-work-tree", "--show-cdup"])
            .run()?;
        if !output.success() {
            let said = output.stderr_text();
            if said.contains("dubious ownership") {
                return Err(GitError::ForeignOwner { folder: folder.to_owned() });
            }
            if said.contains("not a git repository") {
                return Err(not_a_repository());
            }
            return Err(output.checked().map_or_else(GitError::from, |_| not_a_repository()));
        }
        let text = answer::line(&output)?;
        let mut lines = text.split('\n');
        let expected = "two folders and two answers";
        let (Some(git_dir), Some(common_dir), Some(_bare), Some(inside)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(answer::not_understood(&output, expected));
        };
        let work_tree = if inside == "true" {
            let up = lines.next().unwrap_or_default();
            let top = folder.join(up);
            Some(top.canonicalize().map_err(|source| GitError::Temporary { folder: top, source })?)
        } else {
            None
        };
        Ok(Self {
            program: program.clone(),
            options,
            own_dir: PathBuf::from(git_dir),
            common_dir: PathBuf::from(common_dir),
            work_tree,
        })
    }

    /// The folder that holds `HEAD` and the index.
    pub fn git_dir(&self) -> &Path {
        &self.own_dir
    }

    /// The folder that holds objects, refs and configuration: shared between the work trees of a repository.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The top of the work tree, unless the repository was opened without one.
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The options.
    pub fn options(&self) -> &GitOptions {
        &self.options
    }

    /// The hash function of this repository.
    pub fn object_format(&self) -> Result<ObjectFormat, GitError> {
        let output = self.checked(["rev-parse", "--show-object-format"])?;
        match answer::line(&output)? {
            "sha1" => Ok(ObjectFormat::Sha1),
            "sha256" => Ok(ObjectFormat::Sha256),
            _ => Err(answer::not_understood(&output, "sha1 or sha256")),
        }
    }

    /// Describes a git command in this repository; for what the methods here do not cover.
    pub fn invocation<I, A>(&self, arguments: I) -> Invocation
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(&self.own_dir);
        let mut invocation = base_invocation(&self.program, &self.options).arg(git_dir);
        if let Some(work_tree) = &self.work_tree {
            let mut option = OsString::from("--work-tree=");
            option.push(work_tree);
            invocation = invocation.arg(option).current_dir(work_tree);
        } else {
            invocation = invocation.current_dir(&self.own_dir);
        }
        invocation.args(arguments)
    }

    /// Runs a git command, whatever its exit status; [`checked`](Self::checked) refuses others than zero.
    pub fn run<I, A>(&self, arguments: I) -> Result<Output, GitError>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        Ok(self.invocation(arguments).run()?)
    }

    /// Runs a git command that must succeed.
    pub fn checked<I, A>(&self, arguments: I) -> Result<Output, GitError>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        Ok(self.invocation(arguments).run()?.checked()?)
    }

    /// What a git command that must succeed prints, without the line feed at the end.
    pub fn text<I, A>(&self, arguments: I) -> Result<String, GitError>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let output = self.checked(arguments)?;
        answer::line(&output).map(str::to_owned)
    }
}

/// Git without a repository: what every start has in common.
fn base_invocation(program: &Program, options: &GitOptions) -> Invocation {
    let mut environment = options.environment.clone();
    environment.retain(|name| !name.as_encoded_bytes().starts_with(b"GIT_"));
    // An allow list in the environment overrides every `protocol.*` of a repository's configuration.
    let mut protocols = String::from("https:ssh");
    if options.plain_http == PlainHttp::Allowed {
        protocols.push_str(":http");
    }
    if options.local_protocol == LocalProtocol::Allowed {
        protocols.push_str(":file");
    }
    environment.extend([
        ("GIT_ALLOW_PROTOCOL", protocols.as_str()),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_ADVICE", "0"),
        ("LC_ALL", "C"),
    ]);
    environment.insert("GIT_SSH_COMMAND", &options.ssh_command);
    Invocation::new(program)
        .envs(&environment)
        .deadline(options.deadline)
        .redact(&options.redactor)
        .interrupt(&options.interrupt)
        .arg("--no-pager")
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
}

/// Nothing that a repository's configuration could use to run a program, and nothing that changes an answer.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=",
    "core.askPass=",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "push.followTags=false",
    "push.gpgSign=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "log.showSignature=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.conflictStyle=merge",
];

fn check_version(program: &Program, options: &GitOptions) -> Result<(), GitError> {
    let output = base_invocation(program, options).arg("version").run()?.checked()?;
    let text = answer::line(&output)?;
    let found = text.strip_prefix("git version ").unwrap_or(text);
    let mut numbers = found.split(['.', ' ', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < MINIMUM_VERSION {
        let (major, minor) = MINIMUM_VERSION;
        return Err(GitError::TooOld { found: found.to_owned(), minimum: format!("{major}.{minor}") });
    }
    Ok(())
}
