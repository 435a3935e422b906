use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Simulator;
use crate::error::ForgeError;
use crate::local::store;
use crate::model::WriteOutcome;

/// The program that git's `update` hook starts, as `BINARY ARGUMENTS… REPOSITORY REF OLD NEW`.
///
/// It opens the forge beside the repository for the user who pushes, asks [`Simulator::judge_update`], prints the
/// [`PushVerdict`](super::PushVerdict), and ends with 0 only when the push may happen. How it learns who pushes is its
/// own affair, such as an environment variable: a folder has no login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookProgram {
    /// Absolute path of the program.
    pub binary: PathBuf,
    /// What comes first, such as `forge hook`.
    pub arguments: Vec<OsString>,
}

impl HookProgram {
    /// A program at an absolute path, and its first arguments.
    pub fn new(binary: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { binary: binary.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }
}

/// Where git looks for hooks.
const HOOKS_KEY: &str = "core.hooksPath";
/// Seen from the bare repository, where git starts its hooks: a copy of the forge has hooks of its own.
const HOOKS_FOLDER: &str = "hooks";

impl Simulator<'_> {
    /// Puts the `update` hook into the repository, whose own configuration names the hook's folder: the one of a user or a
    /// machine would lead elsewhere, and every rule would be off.
    ///
    /// When the program is gone later, every push is refused.
    pub fn install_hook(&self, program: &HookProgram) -> Result<WriteOutcome, ForgeError> {
        if !program.binary.is_absolute() {
            return Err(ForgeError::invalid(
                format!("the hook's program `{}`", program.binary.display()),
                "its path is not absolute",
            ));
        }
        let folder = self.forge.git.common_dir().join(HOOKS_FOLDER);
        let path = folder.join("update");
        let script = script(program);
        let _writer = self.forge.store.writer()?;
        let git = &self.forge.git;
        let named = git.run(["config", "--local", "--get-all", HOOKS_KEY]).map_err(ForgeError::from)?;
        if named.stdout_text().lines().ne([HOOKS_FOLDER]) {
            let _done = git.checked(["config", "--local", "--replace-all", HOOKS_KEY, HOOKS_FOLDER])?;
        }
        let outcome = WriteOutcome::of(std::fs::read(&path).ok().as_ref(), &script);
        if outcome != WriteOutcome::Unchanged {
            store::make_folders(&folder)?;
            let temporary = store::temporary(&path);
            store::write_file(&temporary, &script)?;
            std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755))
                .map_err(|source| ForgeError::file("write", &path, source))?;
            store::rename(&temporary, &path)?;
        }
        Ok(outcome)
    }
}

fn script(program: &HookProgram) -> Vec<u8> {
    let mut script = b"#!/bin/sh\n\
        # Judges each ref of a push by the rules of the local forge.\n\
        # Arguments: ref, old object, new object. Git runs this inside the repository.\n\
        exec "
        .to_vec();
    script.extend(quoted(program.binary.as_os_str()));
    for argument in &program.arguments {
        script.push(b' ');
        script.extend(quoted(argument));
    }
    script.extend_from_slice(b" \"$PWD\" \"$1\" \"$2\" \"$3\"\n");
    script
}

/// One word for the shell, for any bytes.
fn quoted(text: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text.as_encoded_bytes() {
        if byte == b'\'' {
            quoted.extend_from_slice(b"'\\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t29_the_script_quotes_whatever_the_path_holds() {
        let program = HookProgram::new("/opt/it's $(here)/orchestrator", ["forge", "hook"]);
        let text = String::from_utf8(script(&program)).unwrap();
        assert_eq!(
            text.lines().last(),
            Some(r#"exec '/opt/it'\''s $(here)/orchestrator' 'forge' 'hook' "$PWD" "$1" "$2" "$3""#)
        );
        assert!(text.starts_with("#!/bin/sh\n# Judges"));
    }
}
