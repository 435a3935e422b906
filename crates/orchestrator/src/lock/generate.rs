use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use lock_model::{ServiceName, Source};

use super::files::{check_lock_folder, lock_file_at, read_file, write_lock_folder};
use crate::error::{Error, ErrorKind, Result};
use crate::hints::of_uncommitted_configuration;
use crate::lock_builder::{self, Scope};
use crate::report::v1::{LockGenerateReport, locked_services};
use crate::revision::Revision;
use crate::site::Site;
use crate::test_merge::test_merge;

/// Which tree a lock is made of, and where it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockGenerateRequest {
    /// A branch, tag or commit; without meaning where a pull request is named.
    pub revision: String,
    /// Lock what merging this pull request gives.
    pub pull_request: Option<u64>,
    /// Resolve only these services, and keep the others as an earlier lock has them; empty: all.
    pub services: BTreeSet<ServiceName>,
    /// The file of the earlier lock; `None`: the one in the tree.
    pub previous: Option<PathBuf>,
    /// How long to wait for images that are still being built.
    pub wait: Duration,
    /// Ask the remotes whether the commits are pushed, also where no configuration wants it.
    pub check_pushed: bool,
    /// Write the lock and what belongs beside it into this folder.
    pub output: Option<PathBuf>,
}

impl LockGenerateRequest {
    /// All services of a revision, without waiting and without writing anything.
    pub fn new(revision: impl Into<String>) -> Self {
        Self {
            revision: revision.into(),
            pull_request: None,
            services: BTreeSet::new(),
            previous: None,
            wait: Duration::ZERO,
            check_pushed: false,
            output: None,
        }
    }
}

/// Resolves every service of a tree to a digest and makes the lock.
///
/// # Errors
///
/// [`ErrorKind::Image`] with every service whose image cannot be locked, [`ErrorKind::Repository`] for submodules that
/// cannot be used.
pub async fn generate_lock<'a>(site: impl Into<Site<'a>>, request: &LockGenerateRequest) -> Result<LockGenerateReport> {
    let site = site.into();
    let context = site.workspace();
    check_lock_folder(context, request.output.as_ref())?;
    site.sync()?;
    if let Some(number) = request.pull_request {
        let merge = test_merge(site.forge()?, number).await?;
        return generate(site, request, &merge.revision, merge.source).await;
    }
    let commit = context.resolve(&request.revision)?;
    let uncommitted = || of_uncommitted_configuration(&context.git, &commit);
    let hinted = |error| uncommitted().into_iter().fold(error, Error::hint);
    let revision = Revision::load(context, &commit).map_err(hinted)?;
    let source = revision.source();
    let mut report = generate(site, request, &revision, source).await.map_err(hinted)?;
    report.warnings.extend(uncommitted());
    Ok(report)
}

async fn generate(
    site: Site<'_>,
    request: &LockGenerateRequest,
    revision: &Revision,
    source: Source,
) -> Result<LockGenerateReport> {
    let context = site.workspace();
    let only = &request.services;
    let previous = match (&request.previous, only.is_empty()) {
        (_, true) => None,
        (Some(path), false) => Some(read_file(path, &context.surroundings)?),
        (None, false) => lock_file_at(context, revision.commit.as_str())?,
    };
    let everything = Scope { only: None, patience: request.wait, check_pushed: request.check_pushed };
    let scope = match (&previous, only.is_empty()) {
        (_, true) => everything,
        (Some(previous), false) => Scope { only: Some((only, &previous.lock)), ..everything },
        (None, false) => {
            return Err(Error::new(ErrorKind::Usage, "there is no earlier lock to take the other services from")
                .hint("name one with `--previous FILE`, or leave `--service` out"));
        }
    };
    let generated = lock_builder::generate(context, revision, source, scope).await?;
    if let Some(folder) = &request.output {
        write_lock_folder(context, folder, &generated.bytes)?;
    }
    Ok(LockGenerateReport {
        lock: generated.lock.id().clone(),
        services: locked_services(&generated.lock),
        pushed: generated.pushed,
        folder: request.output.as_ref().map(|folder| folder.display().to_string()),
        file: String::from_utf8_lossy(&generated.bytes).into_owned(),
        not_judged: site
            .not_judged(&["the rules of the branch that it goes to", "whether a submodule changed its owner"]),
        warnings: generated.warnings,
    })
}
