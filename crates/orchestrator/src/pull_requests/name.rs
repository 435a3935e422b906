use std::str::FromStr;

use forge::{PullRequest, PullRequestState};
use lock_model::{BranchName, IdentifierError};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};

/// How a person names a pull request: `7`, `#7`, or the branch that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullRequestName {
    /// Its number.
    Number(u64),
    /// The branch that it merges.
    Head(BranchName),
}

impl FromStr for PullRequestName {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        match text.strip_prefix('#').unwrap_or(text).parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Head),
        }
    }
}

/// The number of a pull request: by a branch, the open one that merges it, or the newest where none is open.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where no pull request merges the branch, and where several are open.
pub async fn find_pull_request(context: &Context, name: &PullRequestName) -> Result<u64> {
    let branch = match name {
        PullRequestName::Number(number) => return Ok(*number),
        PullRequestName::Head(branch) => branch,
    };
    let mut of_branch = context.forge.pull_requests(None).await?;
    let heads: Vec<String> = of_branch.iter().map(|one| one.head_branch.to_string()).collect();
    of_branch.retain(|one| one.head_branch == *branch);
    let open: Vec<&PullRequest> = of_branch.iter().filter(|one| one.state == PullRequestState::Open).collect();
    match (open.as_slice(), of_branch.last()) {
        ([one], _) => Ok(one.number),
        ([], Some(newest)) => Ok(newest.number),
        ([], None) => {
            let near = config::nearest(branch.as_str(), heads.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            Err(Error::new(ErrorKind::Usage, format!("no pull request merges `{branch}`"))
                .hint(format!("{near}`orchestrator forge pr list --state all` shows all of them")))
        }
        (several, _) => {
            let into =
                |one: &&PullRequest| Problem::new(format!("#{}", one.number), format!("into `{}`", one.base_branch));
            Err(Error::new(ErrorKind::Usage, format!("{} open pull requests merge `{branch}`", several.len()))
                .problems(several.iter().map(into))
                .hint("name one of them by its number"))
        }
    }
}
