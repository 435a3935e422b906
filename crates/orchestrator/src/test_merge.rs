//! What merging a pull request gives, as the forge would make it now.

use forge::MergeRef;
use lock_model::Source;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::revision::Revision;

/// The merge result, and what a lock of it is made from.
#[derive(Debug)]
pub(crate) struct TestMerge {
    pub revision: Revision,
    pub source: Source,
}

/// Merges an open pull request in memory; the merge that was made, for a merged one.
pub(crate) async fn test_merge(context: &Context, number: u64) -> Result<TestMerge> {
    let pull_request = context.forge.pull_request(number).await?;
    let (commit, tree, base, head) = match context.forge.merge_ref(number).await? {
        MergeRef::Clean { commit, tree, base, head } => (commit, tree, base, head),
        MergeRef::Conflict { paths, .. } => {
            return Err(Error::new(ErrorKind::Repository, format!("pull request {number} has conflicts"))
                .problems(paths.into_iter().map(|path| Problem::new(path, "was changed on both sides".to_owned())))
                .hint(format!("merge `{}` into `{}` and push", pull_request.base_branch, pull_request.head_branch)));
        }
    };
    context.sync()?;
    let revision = Revision::load(context, &commit)?;
    let repository = revision.forge()?.repository.clone();
    let source = Source::new(repository, head, base, tree).with_pull_request(number);
    Ok(TestMerge { revision, source })
}
