//! The `update` hook: how pushes reach the rules.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::open::LocalForge;
use super::store;
use crate::error::ForgeError;
use crate::model::{Verdict, Written};

/// The environment variable in which a pusher says who they are: `ORCHESTRATOR_AS=ana git push …`.
///
/// A forge over a network knows it from the connection; a folder has nobody to ask.
pub const ACTOR_VARIABLE: &str = "ORCHESTRATOR_AS";

/// The program that the hook starts, as `BINARY ARGUMENTS… REPOSITORY REF OLD NEW`.
///
/// It opens the forge beside the repository for the user named in [`ACTOR_VARIABLE`], asks
/// [`LocalForge::judge_update`], prints the [`Verdict`], and ends with 0 only when the push may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookProgram {
    /// Absolute path of the program.
    pub binary: PathBuf,
    /// What comes first, such as `forge hook`.
    pub arguments: Vec<OsString>,
}

impl LocalForge {
    /// Puts the `update` hook into the repository.
    ///
    /// When the program is gone, every push is refused.
    pub fn install_hook(&self, program: &HookProgram) -> Result<Written, ForgeError> {
        if !program.binary.is_absolute() {
            return Err(ForgeError::invalid(
                format!("the hook's program `{}`", program.binary.display()),
                "its path is not absolute",
            ));
        }
        let path = self.git.common_dir().join("hooks").join("update");
        let script = script(program);
        let failed = |source| ForgeError::file("write", &path, source);
        let _writer = self.store.writer()?;
        let before = std::fs::read(&path).ok();
        if before.as_deref() == Some(script.as_slice()) {
            return Ok(Written::Unchanged);
        }
        store::make_folders(&self.git.common_dir().join("hooks"))?;
        let temporary = store::temporary(&path);
        store::write_file(&temporary, &script)?;
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        store::rename(&temporary, &path)?;
        Ok(if before.is_some() { Written::Updated } else { Written::Created })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = match self {
            Self::Allowed => return f.write_str("allowed"),
            Self::Bypassed { rules } => {
                f.write_str("allowed by the bypass list, and recorded:")?;
                rules
            }
            Self::Refused { reasons } => {
                f.write_str("refused:")?;
                reasons
            }
        };
        lines.iter().try_for_each(|line| write!(f, "\n- {line}"))
    }
}

fn script(program: &HookProgram) -> Vec<u8> {
    let mut script = b"#!/bin/sh\n\
        # Judges each ref of a push by the rules of the local forge; the pusher is named in ORCHESTRATOR_AS.\n\
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

/// One word for the shell, whatever it holds.
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
        let program = HookProgram {
            binary: PathBuf::from("/opt/it's $(here)/orchestrator"),
            arguments: vec!["forge".into(), "hook".into()],
        };
        let text = String::from_utf8(script(&program)).unwrap();
        assert_eq!(
            text.lines().last(),
            Some(r#"exec '/opt/it'\''s $(here)/orchestrator' 'forge' 'hook' "$PWD" "$1" "$2" "$3""#)
        );
        assert!(text.starts_with("#!/bin/sh\n# Judges"));
    }

    #[test]
    fn a_verdict_lists_every_reason() {
        let verdict = Verdict::Refused { reasons: vec!["one".to_owned(), "two".to_owned()] };
        assert_eq!(verdict.to_string(), "refused:\n- one\n- two");
    }
}
