//! What nobody may read in the output of suites and probes: the values that they get by `env:`.

use process::Redactor;

use crate::context::git_error;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::revision::Revision;
use crate::workspace::Workspace;

/// Shorter values cannot be told from ordinary words: masking them would destroy the output and protect nothing.
const SHORTEST: usize = 8;

/// What masks the secrets of a revision's suites and probes, and the caller's own logins. Every program's output is masked
/// with all of them, since one suite can store what another prints.
///
/// A value that stands in the tree is no secret.
pub(crate) fn redactor(context: &Workspace, revision: &Revision) -> Result<Redactor> {
    let mut redactor = context.surroundings.redactor.clone();
    for name in revision.config.secret_variables() {
        let Some(value) = context.variable(name.as_str()) else { continue };
        if value.len() < SHORTEST {
            context.note_once(format!(
                "warning: the value of `{name}` has less than {SHORTEST} bytes and is not masked in the output of suites"
            ));
        } else if !stands_in_tree(context, revision, &value)? {
            redactor.add(&value);
        }
    }
    Ok(redactor)
}

fn stands_in_tree(context: &Workspace, revision: &Revision, value: &str) -> Result<bool> {
    if value.contains('\n') {
        return Ok(false);
    }
    Inputs::tree_holds(&context.git, revision.commit.as_str(), value)
        .map_err(|error| git_error("the tree cannot be searched for a value", error))
}
