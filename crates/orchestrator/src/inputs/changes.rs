//! Which inputs of a release differ from those of another, and by how many lines.

use std::collections::{BTreeMap, BTreeSet};

use deployer::ChangeKind;
use git::LineCount;
use lock_model::{FileMode, TreePath};

use super::{Input, Inputs, read};
use crate::context::git_error;
use crate::error::Result;
use crate::report::v1::{InputChange, InputChanges, MAX_INPUTS_LISTED};
use crate::workspace::Workspace;

/// By how many first bytes git judges whether a file is binary.
const BINARY_PREFIX: usize = 8000;

/// What changes between two commits; all inputs are new where there is nothing before. Lines are counted for the files that
/// are listed.
pub(crate) fn changes(context: &Workspace, before: Option<&Inputs>, after: &Inputs) -> Result<InputChanges> {
    let old = |path: &TreePath| before.and_then(|before| before.files.get(path));
    let paths: BTreeSet<&TreePath> =
        before.into_iter().flat_map(|before| before.files.keys()).chain(after.files.keys()).collect();
    let changed: Vec<&TreePath> = paths.into_iter().filter(|path| old(path) != after.files.get(*path)).collect();
    let listed = changed.get(..MAX_INPUTS_LISTED).unwrap_or(&changed);
    let both: Vec<&str> = listed
        .iter()
        .filter(|path| old(path).is_some() && after.files.contains_key(**path))
        .map(|path| path.as_str())
        .collect();
    let counts = match before {
        Some(before) => context
            .git
            .count_lines(before.commit.as_str(), after.commit.as_str(), &both)
            .map_err(|error| git_error("the changed inputs cannot be compared", error))?,
        None => BTreeMap::new(),
    };
    let mut files = Vec::with_capacity(listed.len());
    for path in listed {
        let (change, lines, executable) = match (old(path), after.files.get(*path)) {
            (Some(old), Some(new)) => {
                let executable = (old.mode != new.mode).then_some(new.mode == FileMode::Executable);
                // A file of which the mode alone changed is among the counted ones, with no lines.
                (ChangeKind::Changed, counts.get(path.as_str()).copied().flatten(), executable)
            }
            (None, Some(new)) => {
                let lines = lines_of(context, new)?.map(|added| LineCount { added, removed: 0 });
                (ChangeKind::Added, lines, None)
            }
            (Some(old), None) => {
                let lines = lines_of(context, old)?.map(|removed| LineCount { added: 0, removed });
                (ChangeKind::Removed, lines, None)
            }
            (None, None) => continue,
        };
        let mut services = after.declared.services(path);
        services.extend(before.into_iter().flat_map(|before| before.declared.services(path)));
        let services = services.into_iter().collect();
        let path = (*path).clone();
        files.push(InputChange { path, change, services, lines: lines.map(Into::into), executable });
    }
    Ok(InputChanges { count: changed.len(), files })
}

/// The lines of a whole file; `None` for a binary one.
fn lines_of(context: &Workspace, file: &Input) -> Result<Option<u64>> {
    let bytes = read(context, &[&file.id])?.pop().unwrap_or_default();
    if bytes.iter().take(BINARY_PREFIX).any(|byte| *byte == 0) {
        return Ok(None);
    }
    Ok(u64::try_from(bytes.split_inclusive(|byte| *byte == b'\n').count()).ok())
}
