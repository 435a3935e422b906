//! What a change asks less of than the rules that judge it: for the comment, the promotion and its approvers.

use std::collections::{BTreeMap, BTreeSet};

use config::{ComparedTree, Config, policy_relaxations};
use lock_model::{CommitId, TreePath};

use crate::context::{Context, git_error};
use crate::error::Result;
use crate::policy_found::PolicyFound;
use crate::revision::Revision;

/// What a change asks less of than the rules that judge it, or does elsewhere or with other files; each once.
pub(crate) fn relaxed_rules(context: &Context, found: &[PolicyFound], revision: &Revision) -> Result<Vec<String>> {
    let services: Vec<TreePath> = revision.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    let compared: BTreeMap<&CommitId, &Config> =
        found.iter().flat_map(PolicyFound::configurations).map(|rules| (&rules.commit, &rules.config)).collect();
    let mut relaxed = BTreeSet::new();
    for (commit, config) in compared {
        let changed = context
            .git
            .diff_names(commit.as_str(), revision.commit.as_str())
            .map_err(|error| git_error("the change cannot be compared with its policy commit", error))?;
        let changed = changed.into_iter().map(|change| change.path).collect();
        let tree = ComparedTree { services: &services, changed: &changed };
        relaxed.extend(policy_relaxations(config, &revision.config, tree));
    }
    Ok(relaxed.iter().map(ToString::to_string).collect())
}
