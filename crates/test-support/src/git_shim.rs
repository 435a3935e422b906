//! A `git` for the front of PATH that counts its calls and at the n-th kills its caller, or runs a line of
//! shell first.
//!
//! The product has no fail points: a crash or a race is made from outside, at the boundaries that matter, which are
//! the calls of git. Only direct children of the binary are counted: git puts its own folder before PATH for the
//! programs that it starts itself.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::environment;

/// Whether the caller is killed before or after the n-th call.
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
        Self::make(|_, _| String::new())
    }

    /// Makes a shim that kills its caller with signal 9 at call `number` (from 1), once; all later calls work.
    pub fn killing(number: usize, when: When) -> Self {
        Self::make(|at, git| {
            let call = match when {
                When::Before => String::new(),
                When::After => format!("'{git}' \"$@\"; "),
            };
            // `mkdir` succeeds once, also when two calls run at the same time.
            format!(
                "if [ \"$count\" -ge {number} ] && /bin/mkdir '{at}/killed' 2>/dev/null; \
                 then {call}kill -9 \"$PPID\"; exit 137; fi\n"
            )
        })
    }

    /// Makes a shim that runs a line of shell before call `number` (from 1), once: what another
    /// process does at that moment.
    pub fn disturbing(number: usize, line: &str) -> Self {
        Self::make(|at, _| {
            format!(
                "if [ \"$count\" -ge {number} ] && /bin/mkdir '{at}/disturbed' 2>/dev/null; \
                 then ( {line} ) > '{at}/disturbance' 2>&1 || echo failed >> '{at}/disturbance'; fi\n"
            )
        })
    }

    /// Makes a shim that holds the first call whose arguments contain `text`, as a slow network does: the call goes on
    /// after [`release`](Self::release), whether its caller still lives or not.
    pub fn holding(text: &str) -> Self {
        Self::make(|at, git| {
            format!(
                "case \"$*\" in *'{text}'*) if /bin/mkdir '{at}/held' 2>/dev/null; then\n\
                 while [ ! -d '{at}/released' ]; do /bin/sleep 0.05; done\n\
                 '{git}' \"$@\"; code=$?; echo $code > '{at}/ended.new'; /bin/mv '{at}/ended.new' '{at}/ended'; exit $code; fi;; esac\n"
            )
        })
    }

    /// Whether a call is held, or was.
    pub fn has_held(&self) -> bool {
        self.folder.path().join("held").is_dir()
    }

    /// Lets the held call go on.
    pub fn release(&self) {
        fs::create_dir(self.folder.path().join("released")).expect("the shim's folder can be written");
    }

    /// The exit code of the call that was held, once it has ended.
    pub fn held_code(&self) -> Option<i32> {
        fs::read_to_string(self.folder.path().join("ended")).ok()?.trim().parse().ok()
    }

    /// Makes a shim that runs a line of shell before and after every call, to look at what a crash would leave there;
    /// `$GIT` in it is the real git. Its answers are [`sightings`](Self::sightings).
    pub fn watching(line: &str) -> Self {
        Self::make(|at, git| {
            format!(
                "GIT='{git}'\n( {line} ) >> '{at}/sightings' 2>&1\n'{git}' \"$@\"\ncode=$?\n\
                 ( {line} ) >> '{at}/sightings' 2>&1\nexit $code\n"
            )
        })
    }

    fn make(act: impl FnOnce(&str, &str) -> String) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let at = folder.path().to_str().expect("test paths are UTF-8");
        let git = environment::find_program("git").expect("git is on PATH");
        let git = git.to_str().expect("test paths are UTF-8");
        let act = act(at, git);
        // One short line a call: appended in one write, so that calls at the same time do not mix. Counted by the shell
        // itself: a crash test makes thousands of calls.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n*'\n'*) echo \"$*\" | /usr/bin/tr '\\n' ' ' >> '{at}/log'; echo >> '{at}/log' ;;\n\
             *) echo \"$*\" >> '{at}/log' ;;\nesac\necho x >> '{at}/count'\ncount=0\n\
             while read -r _; do count=$((count + 1)); done < '{at}/count'\n{act}exec '{git}' \"$@\"\n"
        );
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

    /// The output of that line of shell, once it has run; it ends with `failed` when it did not work.
    pub fn disturbance(&self) -> Option<String> {
        fs::read_to_string(self.folder.path().join("disturbance")).ok()
    }

    /// What a watching shim saw: a line before and a line after each call.
    pub fn sightings(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("sightings")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The arguments of all calls, a line each, to see where a crash fell.
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
        let mut shell = environment::command("/bin/sh");
        shell.env("PATH", shim.search_path()).current_dir(folder.path());
        shell.args(["-c", "git -c 'a.b=two\nlines' --version"]).output().unwrap();
        assert_eq!(shim.log().lines().last(), Some("-c a.b=two lines --version "), "a call is a line");
    }

    #[test]
    fn a_watching_shim_looks_before_and_after_every_call() {
        let (shim, folder) = (GitShim::watching("echo $(ls)"), TempDir::new().unwrap());
        assert_eq!(caller(&shim, &folder).stdout, b"alive\n");
        assert_eq!(shim.sightings(), ["", "one", "one", "one two"]);
    }

    #[test]
    fn something_else_happens_once_before_the_call() {
        let (shim, folder) = (GitShim::disturbing(2, "echo there > two && echo done"), TempDir::new().unwrap());
        assert_eq!(shim.disturbance(), None);
        let output = caller(&shim, &folder);
        assert_eq!(output.status.code(), Some(128), "git finds a file where it wants a folder");
        assert!(folder.path().join("two").is_file());
        assert_eq!(shim.disturbance().as_deref(), Some("done\n"));
        let output = caller(&shim, &folder);
        assert_eq!(shim.disturbance().as_deref(), Some("done\n"), "once: {output:?}");
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
