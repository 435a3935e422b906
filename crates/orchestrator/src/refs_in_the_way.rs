//! Branches and tags that keep git from making another one: it holds no ref inside another.

use std::collections::BTreeSet;

use config::{Environment, Target};
use lock_model::{BranchName, EnvironmentName, LEDGER_BRANCH};

use crate::context::{Context, git_error};
use crate::error::{Problem, Result};

/// The branches of the forge, and what they keep from being made.
#[derive(Debug)]
pub(crate) struct Branches(BTreeSet<BranchName>);

impl Branches {
    pub(crate) async fn read(context: &Context) -> Result<Self> {
        Ok(Self(context.forge.branches().await?.into_keys().collect()))
    }

    /// Those beside which one of these cannot be made; none for a branch that exists.
    pub(crate) fn in_the_way<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
        let names: Vec<&str> = self.0.iter().map(BranchName::as_str).collect();
        wanted.into_iter().flat_map(|wanted| problems("branch", &names, wanted)).collect()
    }

    /// Those beside which an environment's render branch and the ledger cannot be made.
    pub(crate) fn in_the_way_of(&self, environment: &Environment) -> Vec<Problem> {
        let own = environment.target.iter().filter_map(|target| match target {
            Target::Render(target) => Some(target.branch.as_str()),
            Target::Helm(_) | Target::Apply(_) => None,
        });
        self.in_the_way(own.chain([LEDGER_BRANCH]))
    }
}

/// What to do about a branch that is in the way of an environment's.
pub(crate) fn in_the_way_hint(environment: &EnvironmentName) -> String {
    format!(
        "delete the branch that is in the way, or give it another name; a rendered branch is named in \
         `environments.{environment}.target.branch`"
    )
}

/// The tags of the forge beside which a tag cannot be made.
pub(crate) fn tags_in_the_way(context: &Context, wanted: &str) -> Result<Vec<Problem>> {
    let prefix = context.tag_prefix();
    let refs = context.git.refs(&prefix).map_err(|error| git_error("the tags cannot be listed", error))?;
    let names: Vec<&str> = refs.iter().filter_map(|one| one.name.strip_prefix(prefix.as_str())).collect();
    Ok(problems("tag", &names, wanted))
}

fn problems(kind: &str, existing: &[&str], wanted: &str) -> Vec<Problem> {
    if existing.contains(&wanted) {
        return Vec::new();
    }
    let problem = |other: &&str| {
        let why = reason(other, wanted)?;
        Some(Problem::new(format!("{kind} `{wanted}`"), format!("cannot be made beside {kind} `{other}`: {why}")))
    };
    existing.iter().filter_map(problem).collect()
}

/// Why two names exclude each other; `None` where they do not.
fn reason(one: &str, other: &str) -> Option<&'static str> {
    let is_inside = |one: &str, other: &str| {
        let mut parts = one.split('/').zip(other.split('/'));
        parts.all(|(one, other)| one == other)
    };
    if is_inside(one, other) {
        return Some("git keeps no ref inside another");
    }
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    is_inside(&one, &other).then_some("where file names have no case, both are the same file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_exclude_each_other_where_one_would_be_a_folder_of_the_other() {
        let existing = ["deploy", "deploy/staging/old", "Deploy/Staging", "deploys", "deploy-staging", "main"];
        let found: Vec<String> =
            problems("branch", &existing, "deploy/staging").into_iter().map(|problem| problem.message).collect();
        assert_eq!(
            found,
            [
                "cannot be made beside branch `deploy`: git keeps no ref inside another",
                "cannot be made beside branch `deploy/staging/old`: git keeps no ref inside another",
                "cannot be made beside branch `Deploy/Staging`: where file names have no case, both are the same file",
            ]
        );
        let existing = ["deploy/staging", "DEPLOY"];
        assert!(problems("branch", &existing, "deploy/staging").is_empty(), "what exists can be written");
    }
}
