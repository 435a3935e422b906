use std::collections::BTreeMap;

use lock_model::{
    CommitId, Content, Digest, ImageRepository, Lock, LockId, Platform, ReleaseId, RepositoryUrl, ServiceName, Tag,
    Timestamp, TreeId, TreePath,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::inputs::InputChanges;
use super::merge_plan::MergePlan;
use super::pushed::PushedRefs;
use super::submodules::{RiskLine, SubmoduleCommits};
use super::verdict::{NotJudged, Report, Verdict};
use crate::error::{ErrorKind, Problem};

/// A service as the lock pins it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LockedService {
    /// Path of its submodule in the superproject.
    pub path: TreePath,
    /// The commit that its gitlink names.
    pub commit: CommitId,
    /// Its image; absent where it is configuration only.
    pub image: Option<ServiceImage>,
}

/// The image of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceImage {
    /// Registry host and path, without tag.
    pub repository: ImageRepository,
    /// The tag by which it was found.
    pub tag: Tag,
    /// The digest, of the index where there is one.
    pub digest: Digest,
    /// The digest of each platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// When it was made.
    pub created: Timestamp,
    /// What it says about its commit, such as `self-asserted`.
    pub revision: String,
}

/// The services of a lock.
pub fn locked_services(lock: &Lock) -> BTreeMap<ServiceName, LockedService> {
    let image = |content: &Content| match content {
        Content::Image(image) => Some(ServiceImage {
            repository: image.repository.clone(),
            tag: image.tag.clone(),
            digest: image.digest.clone(),
            platforms: image.platforms.clone(),
            created: image.created,
            revision: image.revision.as_str().to_owned(),
        }),
        Content::Configuration => None,
    };
    let services = lock.services().iter().map(|(name, service)| {
        let entry = LockedService {
            path: service.path.clone(),
            commit: service.git.commit.clone(),
            image: image(&service.content),
        };
        (name.clone(), entry)
    });
    services.collect()
}

/// What a lock was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LockSource {
    /// URL of the superproject.
    pub repository: RepositoryUrl,
    /// The pull request; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// The commit that was reviewed.
    pub head: CommitId,
    /// The commit that it was to be merged into.
    pub base: CommitId,
    /// The tree that the merge gave.
    pub tree: TreeId,
}

impl From<&lock_model::Source> for LockSource {
    fn from(source: &lock_model::Source) -> Self {
        Self {
            repository: source.repository.clone(),
            pull_request: source.pull_request,
            head: source.head.clone(),
            base: source.base.clone(),
            tree: source.tree.clone(),
        }
    }
}

/// `lock show`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockShowReport {
    /// Id of the lock.
    pub lock: LockId,
    /// What it was made from.
    pub source: LockSource,
    /// The services of the lock, by name.
    pub services: BTreeMap<ServiceName, LockedService>,
}

impl From<&Lock> for LockShowReport {
    fn from(lock: &Lock) -> Self {
        Self { lock: lock.id().clone(), source: lock.source().into(), services: locked_services(lock) }
    }
}

impl Report for LockShowReport {}

/// `lock generate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockGenerateReport {
    /// Id of the lock.
    pub lock: LockId,
    /// The services of the lock, by name.
    pub services: BTreeMap<ServiceName, LockedService>,
    /// On which branches the commits are; absent where the remotes were not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<BTreeMap<ServiceName, PushedRefs>>,
    /// The folder that the lock was written to; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The lock file's content.
    pub file: String,
    /// What could not be judged here, and why; empty where a forge answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
    /// What people should know although the lock could be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for LockGenerateReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `lock migrate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockMigrateReport {
    /// Id of the lock.
    pub lock: LockId,
    /// The commit whose gitlinks it has.
    pub commit: CommitId,
    /// What it was made from.
    pub source: LockSource,
    /// The services of the lock, by name.
    pub services: BTreeMap<ServiceName, LockedService>,
    /// How an environment took it over; absent where none was asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<AdoptedLock>,
    /// The folder that the lock was written to; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The lock file's content.
    pub file: String,
    /// What people should know although the lock could be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for LockMigrateReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A migrated lock as an environment's ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdoptedLock {
    /// The environment, as the configuration names it.
    pub environment: lock_model::EnvironmentName,
    /// The tag by which a rollback finds it.
    pub tag: String,
    /// The commit that the tag stands on.
    pub commit: CommitId,
    /// The release that it makes.
    pub release: ReleaseId,
}

/// `lock compose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockComposeReport {
    /// Id of the lock.
    pub lock: LockId,
    /// Path of the compose file.
    pub compose_file: String,
    /// The pinned image of each service of the compose file.
    pub services: BTreeMap<String, String>,
    /// Content of the override file.
    #[serde(rename = "override")]
    pub file: String,
    /// The file that it was written to; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// What the override does not reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for LockComposeReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `lock check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockCheckReport {
    /// Id of the lock.
    pub lock: LockId,
    /// The commit that it was compared with.
    pub commit: CommitId,
    /// Whether every answer is yes; what was not judged has none.
    pub usable: bool,
    /// The answers, in order.
    pub answers: Vec<CheckAnswer>,
    /// On which branches the commits are; absent where the remotes were not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<BTreeMap<ServiceName, PushedRefs>>,
    /// What could not be judged here, and why; empty where a forge answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
    /// What should be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for LockCheckReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.usable)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// One question about a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckAnswer {
    /// The question, such as `not rejected`.
    pub question: String,
    /// Whether the answer is yes.
    pub answer: bool,
    /// Why it is no.
    pub findings: Vec<String>,
    /// What was compared.
    pub detail: String,
}

/// `lock diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockDiffReport {
    /// Id of the earlier lock.
    pub before: LockId,
    /// Id of the later lock.
    pub after: LockId,
    /// What changes, one entry a service.
    pub changes: Vec<Problem>,
    /// The commits between, by service; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<BTreeMap<ServiceName, SubmoduleCommits>>,
    /// What a person should look at; absent where commits were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risks: Option<Vec<RiskLine>>,
    /// The risks as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for LockDiffReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `lock publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockPublishReport {
    /// Number of the pull request.
    pub pull_request: u64,
    /// What was published; absent where the pull request moved meanwhile.
    #[serde(flatten)]
    pub published: Option<PublishedLock>,
    /// Why nothing was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded: Option<String>,
    /// What people should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The comment as it was published, in Markdown.
    #[serde(skip)]
    pub(crate) comment: Option<String>,
}

impl Report for LockPublishReport {
    fn verdict(&self) -> Verdict {
        let mut plans = self.published.iter().flat_map(|published| &published.plans);
        match plans.find_map(MergePlan::refusal) {
            Some(_) => Verdict::Negative(ErrorKind::Refused),
            None => Verdict::Positive,
        }
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn markdown(&self) -> Option<String> {
        self.comment.clone()
    }
}

/// The lock of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublishedLock {
    /// Id of the lock.
    pub lock: LockId,
    /// The release that it makes with the configuration of the merge result.
    pub release: ReleaseId,
    /// The head that was reviewed.
    pub head: CommitId,
    /// What it was made from.
    pub source: LockSource,
    /// The text of the status.
    pub summary: String,
    /// The services of the lock, by name.
    pub services: BTreeMap<ServiceName, LockedService>,
    /// The files of the superproject that the release reads and that the pull request changes.
    pub inputs: InputChanges,
    /// The commits since the lock before, by service.
    pub commits: BTreeMap<ServiceName, SubmoduleCommits>,
    /// What a person should look at.
    pub risks: Vec<RiskLine>,
    /// On which branches the commits are; absent where the remotes were not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<BTreeMap<ServiceName, PushedRefs>>,
    /// What the merge would deploy, one entry for each environment that has a target.
    pub plans: Vec<MergePlan>,
}

/// `lock commit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockCommitReport {
    /// The commit that carries its lock; absent where something newer was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// How it came to be, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why another run commits instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded: Option<String>,
}

impl Report for LockCommitReport {}

/// `lock reject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LockRejectReport {
    /// Id of the lock.
    pub lock: LockId,
    /// The reason that was given.
    pub reason: String,
    /// Number of the record; absent where it was rejected before.
    pub record: Option<u64>,
}

impl Report for LockRejectReport {}
