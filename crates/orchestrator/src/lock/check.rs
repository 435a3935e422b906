use std::collections::BTreeMap;
use std::path::PathBuf;

use ledger::LockFile as RecordedLock;
use lock_gen::Submodule;
use lock_model::{CommitId, LOCK_FILE, Lock, Service, ServiceName};

use super::files::read_file;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints::of_uncommitted_configuration;
use crate::image_availability;
use crate::labels::short_id;
use crate::ledger_store::LedgerStore;
use crate::lock_builder;
use crate::report::v1::{CheckAnswer, LockCheckReport};
use crate::revision::Revision;
use crate::site::Site;
use crate::submodules::{Target, ask_pushed, foreign_sources};

/// Whether a run committed the very file.
const RECORDED: &str = "the ledger's file";
/// Whether a person rejected the lock.
const NOT_REJECTED: &str = "not rejected";

/// Which lock is judged, and against what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockCheckRequest {
    /// The branch, tag or commit that the lock is compared with.
    pub revision: String,
    /// The lock's file, `-` for standard input; `None`: the one in the tree.
    pub file: Option<PathBuf>,
    /// Ask the remotes whether the commits are pushed.
    pub check_pushed: bool,
}

impl LockCheckRequest {
    /// The lock in a revision's own tree; no remote of a submodule is asked.
    pub fn new(revision: impl Into<String>) -> Self {
        Self { revision: revision.into(), file: None, check_pushed: false }
    }
}

/// Judges a lock: its form, the tree, the ledger, the registry.
///
/// # Errors
///
/// Where a question cannot be answered; a lock that cannot be used is a report.
pub async fn check_lock<'a>(site: impl Into<Site<'a>>, request: &LockCheckRequest) -> Result<LockCheckReport> {
    let site = site.into();
    site.sync()?;
    let context = site.workspace();
    let commit = context.resolve(&request.revision)?;
    let uncommitted = of_uncommitted_configuration(&context.git, &commit);
    match check(site, request, commit).await {
        Ok(mut report) => {
            report.warnings.extend(uncommitted);
            Ok(report)
        }
        Err(error) => Err(uncommitted.into_iter().fold(error, Error::hint)),
    }
}

async fn check(site: Site<'_>, request: &LockCheckRequest, commit: CommitId) -> Result<LockCheckReport> {
    let context = site.workspace();
    let revision = Revision::load(context, &commit)?;
    let lock = match &request.file {
        Some(path) => read_file(path, &context.surroundings).map_err(|error| {
            let is_revision = !path.exists() && context.resolve(&path.to_string_lossy()).is_ok();
            if is_revision { error.hint(format!("the lock of a revision: `lock check --rev {}`", path.display())) } else { error }
        })?,
        None => revision.lock(context)?.ok_or_else(|| {
            Error::new(ErrorKind::Repository, format!("`{LOCK_FILE}` is not in {}", commit.short(12))).hint(
                "a lock is committed once a pull request is merged (`lock commit`); `lock generate` shows what it would be, \
                 and another file can be named",
            )
        })?,
    };
    let mut answers = Vec::new();
    let mut answer = |question: &str, findings: Vec<String>, detail: String| {
        answers.push(CheckAnswer { question: question.to_owned(), answer: findings.is_empty(), findings, detail });
    };
    let sentences = |problems: Vec<Problem>| -> Vec<String> {
        problems.into_iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect()
    };
    answer("well-formed", Vec::new(), format!("lock {}", short_id(lock.lock.id().as_str())));
    let mismatches = revision.mismatches(&lock.lock).iter().map(ToString::to_string).collect();
    let compared = format!("{} services at {}", lock.lock.services().len(), commit.short(12));
    answer("belongs to the tree", mismatches, compared);
    let services = services(&revision, &lock.lock);
    let (foreign, _) = foreign_sources(&revision, &Target::none(), &services)?;
    answer("sources are allowed", sentences(foreign), String::new());
    let violations = lock_builder::violations(&revision, &lock.lock)?;
    answer("fits the configuration", violations, "images, platforms, revisions".to_owned());
    if let Some(context) = site.context() {
        let store = LedgerStore::read(context).await?;
        let (unknown, known) = match store.ledger().lock_file(&lock.digest, lock.lock.id()) {
            RecordedLock::Committed { seq } | RecordedLock::Started { seq } => (Vec::new(), format!("record {seq}")),
            RecordedLock::Unknown => (
                vec![format!(
                    "no record of the ledger knows a lock file with these bytes ({})",
                    short_id(lock.digest.as_str())
                )],
                String::new(),
            ),
        };
        answer(RECORDED, unknown, known);
        let rejected = store.ledger().rejected(lock.lock.id());
        let rejections = rejected.iter().map(|one| format!("rejected by {}: {}", one.by, one.reason)).collect();
        answer(NOT_REJECTED, rejections, String::new());
    }
    let mut pushed = None;
    if request.check_pushed {
        let asked = ask_pushed(context, &revision, &Target::none(), &services).await?.known()?;
        answer("commits are pushed", sentences(asked.nowhere), format!("{} of them are on branches", asked.on.len()));
        pushed = Some(asked.on);
    }
    let gone = image_availability::gone(context, &revision, &lock.lock, |_, _| true).await?;
    answer("images are there", sentences(gone), "every digest, on every platform".to_owned());
    Ok(LockCheckReport {
        lock: lock.lock.id().clone(),
        commit,
        usable: answers.iter().all(|one| one.answer),
        answers,
        pushed,
        not_judged: site.not_judged(&[RECORDED, NOT_REJECTED]),
        warnings: Vec::new(),
    })
}

/// The submodules of a lock's services, where the tree has them.
fn services<'a>(revision: &'a Revision, lock: &Lock) -> BTreeMap<ServiceName, &'a Submodule> {
    let of = |service: &Service| revision.scan.submodules.iter().find(|submodule| submodule.path == service.path);
    lock.services().iter().filter_map(|(name, service)| Some((name.clone(), of(service)?))).collect()
}
