use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use process::{Invocation, Output, Program};

use crate::options::{GitOptions, InitOptions, LocalProtocol, ObjectFormat, base_invocation, check_version};
use crate::reader::{self, Found, Reader};
use crate::{GitError, output};

/// One repository, bare or with a work tree. Clones share what they have read.
#[derive(Clone, Debug)]
pub struct Git {
    program: Program,
    options: GitOptions,
    pub(crate) reader: Arc<Reader>,
    own_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
}

impl Git {
    /// Opens the repository that `folder` lies in.
    ///
    /// Refuses a repository of another user. A git older than [`MINIMUM_VERSION`](crate::MINIMUM_VERSION) is refused by the
    /// first call that needs the program: most reads do not.
    pub fn open(program: &Program, folder: &Path, options: GitOptions) -> Result<Self, GitError> {
        Self::discover(program, folder, options)
    }

    /// Opens another repository with the same program and options.
    pub fn open_other(&self, folder: &Path) -> Result<Self, GitError> {
        Self::discover(&self.program, folder, self.options.clone())
    }

    /// The repository of a remote that is a folder of this user's, where folders are allowed as remotes: it is read here.
    pub(crate) fn beside(&self, remote: &str) -> Option<Self> {
        if self.options.local_protocol == LocalProtocol::Refused || !Path::new(remote).is_absolute() {
            return None;
        }
        let Found { reader, git_dir, common_dir, work_tree, is_ours: _ } = reader::at(Path::new(remote))?;
        let (program, options, reader) = (self.program.clone(), self.options.clone(), Arc::new(reader));
        Some(Self { program, options, reader, own_dir: git_dir, common_dir, work_tree })
    }

    /// The same repository with other options for its children.
    #[must_use]
    pub fn with_options(&self, options: GitOptions) -> Self {
        Self { options, ..self.clone() }
    }

    /// Makes a repository in `folder` and opens it. A repository that is there already is left as it is.
    ///
    /// No template: a new repository has no sample hooks.
    pub fn init(program: &Program, folder: &Path, init: &InitOptions, options: GitOptions) -> Result<Self, GitError> {
        check_version(program, &options)?;
        let mut invocation = base_invocation(program, &options).env("GIT_DEFAULT_REF_FORMAT", "files").args([
            "init",
            "--quiet",
            "--template=",
        ]);
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
        let not_a_repository = || GitError::not_a_repository(folder);
        if !folder.is_dir() {
            return Err(not_a_repository());
        }
        if let Some(Found { reader, git_dir, common_dir, work_tree, is_ours: true }) = reader::discover(folder) {
            let (program, reader) = (program.clone(), Arc::new(reader));
            return Ok(Self { program, options, reader, own_dir: git_dir, common_dir, work_tree });
        }
        // It may be another user's, and that user's `safe.directory` may name it: git knows. Or git says what is wrong.
        check_version(program, &options)?;
        let output = base_invocation(program, &options)
            .arg("-C")
            .arg(folder)
            .args(["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--is-bare-repository"])
            .args(["--is-inside-work-tree", "--show-cdup"])
            .run()?;
        if !output.success() {
            return Err(match output.stderr_text() {
                text if text.contains("dubious ownership") => GitError::foreign_owner(&judged_folder(&text, folder)),
                text if text.contains("not a git repository") => not_a_repository(),
                _ => output::failed(output),
            });
        }
        let text = output::line(&output)?;
        let mut lines = text.split('\n');
        let expected = "two folders and two answers";
        let (Some(git_dir), Some(common_dir), Some(_bare), Some(inside)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(output::unexpected(&output, expected));
        };
        let work_tree = if inside == "true" {
            let up = lines.next().unwrap_or_default();
            let top = folder.join(up);
            Some(top.canonicalize().map_err(|source| GitError::io(&top, source))?)
        } else {
            None
        };
        Ok(Self {
            program: program.clone(),
            options,
            reader: Arc::new(reader::open(Path::new(git_dir))?),
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

    /// The `git` program that it was opened with.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The options that it was opened with.
    pub fn options(&self) -> &GitOptions {
        &self.options
    }

    /// The hash function of its object ids.
    pub fn object_format(&self) -> Result<ObjectFormat, GitError> {
        let output = self.checked(["rev-parse", "--show-object-format"])?;
        match output::line(&output)? {
            "sha1" => Ok(ObjectFormat::Sha1),
            "sha256" => Ok(ObjectFormat::Sha256),
            _ => Err(output::unexpected(&output, "sha1 or sha256")),
        }
    }

    /// Prepares a git command in this repository, for what the methods do not cover. Neither the arguments nor the version of
    /// the program are checked.
    pub fn invocation(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Invocation {
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

    /// The same for the methods of this crate: with a program that is new enough.
    pub(crate) fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Invocation, GitError> {
        check_version(&self.program, &self.options)?;
        Ok(self.invocation(arguments))
    }

    /// Runs a git command, whatever its exit status; [`checked`](Self::checked) refuses others than zero.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output, GitError> {
        Ok(self.start(arguments)?.run()?)
    }

    /// Runs a git command that must succeed.
    pub fn checked(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output, GitError> {
        Ok(self.start(arguments)?.run()?.checked()?)
    }

    /// Runs a git command that must succeed, and returns what it prints, without the line feed at the end.
    pub fn text(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, GitError> {
        let output = self.checked(arguments)?;
        output::line(&output).map(str::to_owned)
    }
}

/// The folder whose owner git looks at, as its message names it: `safe.directory` must name the same.
fn judged_folder(message: &str, folder: &Path) -> PathBuf {
    let named = message.split_once("repository at '").and_then(|(_, rest)| rest.split_once('\''));
    named.map_or_else(|| folder.to_owned(), |(path, _)| PathBuf::from(path))
}
