//! A `git` for the front of PATH that counts its calls and at the n-th ends its caller as hard as can be.
//!
//! The product has no fail points: a crash is made from outside, at the boundaries that matter, which are the
//! calls of git. Only direct children of the binary are counted: git puts its own folder before PATH for the
//! programs that it starts itself.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::environment;

/// On which side of the n-th call its caller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call is not made.
    Before,
    /// The call is made, but its caller never learns of it.
    After,
}

/// The folder with the program, its counter and its log.
#[derive(Debug)]
pub struct GitShim {
    folder: TempDir,
}

impl GitShim {
    /// Makes a shim that only counts.
    pub fn counting() -> Self {
        Self::make(None)
    }

    /// Makes a shim that kills its caller with signal 9 at call `number` (from 1), once; all later calls work.
    pub fn killing(number: usize, when: When) -> Self {
        Self::make(Some((number, when)))
    }

    fn make(kill: Option<(usize, When)>) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let at = folder.path().display();
        let git = environment::find_program("git").expect("git is on PATH");
        let git = git.display();
        let kill = match kill {
            None => String::new(),
            // `mkdir` succeeds once, also when two calls run at the same time.
            Some((number, when)) => {
                let call = match when {
                    When::Before => String::new(),
                    When::After => format!("'{git}' \"$@\"; "),
                };
                format!(
                    "if [ \"$(/usr/bin/wc -l < '{at}/count')\" -ge {number} ] && /bin/mkdir '{at}/killed' 2>/dev/null; \
                     then {call}kill -9 \"$PPID\"; exit 137; fi\n"
                )
            }
        };
        // One short line a call: appended in one write, so that calls at the same time do not mix.
        let script =
            format!("#!/bin/sh\necho x >> '{at}/count'\necho \"$*\" >> '{at}/log'\n{kill}exec '{git}' \"$@\"\n");
        let program = folder.path().join("git");
        fs::write(&program, script).expect("the shim can be written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the shim can be made executable");
        Self { folder }
    }

    /// A PATH with the shim first.
    pub fn search_path(&self) -> OsString {
        let mut folders = vec![self.folder.path().to_path_buf()];
        folders.extend(std::env::split_paths(&environment::search_path()));
        std::env::join_paths(folders).expect("the folders of PATH hold no separator")
    }

    /// The shim itself.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    /// How often git was called.
    pub fn count(&self) -> usize {
        fs::read_to_string(self.folder.path().join("count")).map_or(0, |text| text.lines().count())
    }

    /// Whether the kill has happened.
    pub fn has_killed(&self) -> bool {
        self.folder.path().join("killed").is_dir()
    }

    /// The arguments of all calls, to see where a crash fell.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Output;

    use super::*;

    /// Runs a shell that makes two repositories, by two calls of git.
    fn caller(shim: &GitShim, folder: &TempDir) -> Output {
        let mut shell = environment::command("/bin/sh");
        shell.env("PATH", shim.search_path()).current_dir(folder.path());
        shell.args(["-c", "git init -q one && git init -q two && echo alive"]).output().unwrap()
    }

    #[test]
    fn a_counting_shim_changes_nothing() {
        let (shim, folder) = (GitShim::counting(), TempDir::new().unwrap());
        let output = caller(&shim, &folder);
        assert_eq!(output.stdout, b"alive\n");
        assert_eq!(shim.count(), 2);
        assert_eq!(shim.log(), "init -q one\ninit -q two\n");
    }

    #[test]
    fn the_caller_dies_before_or_after_the_call_and_only_once() {
        for (when, second_is_made) in [(When::Before, false), (When::After, true)] {
            let (shim, folder) = (GitShim::killing(2, when), TempDir::new().unwrap());
            let output = caller(&shim, &folder);
            assert_eq!(output.status.signal(), Some(9), "{when:?}");
            assert!(shim.has_killed());
            assert!(folder.path().join("one").is_dir());
            assert_eq!(folder.path().join("two").is_dir(), second_is_made, "{when:?}");
            assert!(caller(&shim, &folder).status.success(), "the same command again works");
        }
    }
}
