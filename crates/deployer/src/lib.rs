//! Deployment targets: plan, apply, prove.
//!
//! A [`DeployRequest`] says what an environment shall run: services, their manifests at the locked commit, their
//! locked images, and which objects may leave the namespace. A [`Target`] makes a [`Plan`] of it, applies that plan,
//! and [proves](Target::prove) afterwards that what is there is what the request asks for.
//!
//! [`render`] starts nothing and talks to no cluster. It writes the manifests, with every locked image by its digest, into a
//! git branch and a folder; Argo CD, Flux or a person takes them from there. [`helm`] installs charts in an
//! [`EnvironmentNamespace`] of a cluster, and [`apply`] writes plain manifests there.
//! [`compose_override`] is no target: it makes a file with the locked images for `docker compose`.
//!
//! # Example
//!
//! ```
//! use deployer::{ApplyOptions, DeployRequest, DeployService, ImagePin, RenderTarget, Target};
//! use git::{Git, GitOptions, InitOptions, LocalProtocol};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let digest = format!("sha256:{}", "2".repeat(64));
//! let image = ImagePin::new("ghcr.io/shop/cart".try_into()?, digest.as_str().try_into()?);
//! let mut cart = DeployService::new("cart".try_into()?);
//! cart.image = Some(image);
//! cart.files = vec![("cart.yaml".to_owned(), br"
//! apiVersion: v1
//! kind: Pod
//! metadata: { name: cart }
//! spec: { containers: [{ name: cart, image: ghcr.io/shop/cart }] }
//! ".to_vec())];
//! let mut request = DeployRequest::new(
//!     "staging".try_into()?,
//!     "shop-staging",
//!     format!("sha256:{}", "a".repeat(64)).try_into()?,
//!     format!("sha256:{}", "b".repeat(64)).try_into()?,
//!     "c".repeat(40).try_into()?,
//! );
//! request.services = vec![cart];
//!
//! // Any repository will do: objects are written to `local` and pushed to the branch of `remote`.
//! let program = git::process::Program::find("git", "/usr/local/bin:/usr/bin:/bin".as_ref())?;
//! let folder = tempfile::tempdir()?;
//! let options = GitOptions { local_protocol: LocalProtocol::Allowed, ..GitOptions::default() };
//! let (local, remote) = (folder.path().join("local"), folder.path().join("remote"));
//! Git::init(&program, &remote, &InitOptions::default(), options.clone())?;
//! let git = Git::init(&program, &local, &InitOptions::default(), options)?;
//! let target = RenderTarget::new(git, remote.to_string_lossy(), "deploy/staging".try_into()?);
//! let target = Target::Render(target);
//!
//! let plan = target.plan(&request).await?;
//! assert_eq!(plan.changes.len(), 2, "the manifest, and `release.yaml`");
//! let options = ApplyOptions::new("lena", lock_model::Timestamp::from_unix_seconds(1_800_000_000));
//! let applied = target.apply(&plan, &options, &|event| println!("{event}")).await?;
//! assert_eq!(applied.changes, plan.changes);
//! assert!(target.prove(&request).await?.is_proven());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Runtime
//!
//! The methods of [`Target`] are async and their futures are `Send`. git, files and rendering block, so they run on
//! tokio's threads for blocking work: any tokio runtime will do, a current-thread one too. A future that is dropped
//! leaves the step that is under way to its end; [`git::GitOptions::interrupt`] ends it.
//!
//! # Panics
//!
//! The methods of [`Target`] panic outside a tokio runtime. [`render::plan`] and [`render::prove`] are plain functions.

mod applied;
pub mod apply;
mod batch;
mod binding;
mod compose_override;
mod config_digest;
mod diff;
mod error;
pub mod helm;
mod image_fields;
mod image_inputs;
mod image_pinning;
mod manifest;
mod migrations;
mod namespace;
mod noise;
mod pinned_manifests;
mod plan;
mod problem;
mod program_folder;
mod program_search;
mod proof;
pub mod render;
mod request;
mod reserved;
mod rules;
pub mod settings;
mod stopped;
mod storable;
mod target;
mod volumes;
mod yaml_writer;

pub use applied::{Applied, AppliedDetail, ApplyOptions, DeployEvent, SameFiles};
pub use apply::ApplyTarget;
pub use batch::{BatchObject, BatchPart, demands};
pub use binding::{BoundLive, BoundObject, BoundWave, Moved, NotBound, PlanBinding, PlanProgress};
pub use cluster;
pub use compose_override::{ComposeError, ComposeOverride, ComposeWarning, compose_override};
pub use diff::{ChangeReason, FieldChange, ObjectChange, PlannedHook, Risk, ServiceChanges};
pub use error::DeployError;
pub use git;
pub use helm::HelmTarget;
pub use image_inputs::image_inputs;
pub use image_pinning::{ImagePin, UnpinnedImage, UnpinnedReason};
pub use lock_model;
pub use migrations::migrations;
pub use namespace::{
    AwaitedJobs, ClusterTargetKind, Dossier, EndingPod, EnvironmentNamespace, Failure, FailureCause, Foreign,
    ForeignFields, LeftBehind, LeftLease, NotAwaited, RunningContainer, Sidecar, Superseding, TakenLease,
    refusal_of_left,
};
pub use noise::{NoiseRule, NoisyField, PathPart};
pub use plan::{Change, ChangeKind, ImageChange, Plan, PlanDetail};
pub use problem::{DeployProblem, DeployProblems, ProblemKind};
pub use program_search::{ProgramSearch, ProgramVersions};
pub use proof::{Finding, FindingKind, Proof, ProofDetail, ProofLevel, ProofVerdict, ProvenImage};
pub use render::{RenderFolder, RenderTarget};
pub use request::{
    AllowedSidecar, DeployRequest, DeployService, ForeignNamespace, NamespaceRule, NotDeployed, OccupiedPlace,
    RemovedServiceRule, UnpinnedImageRule, Wave,
};
pub use target::Target;
