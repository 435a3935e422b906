//! Deployment targets: plan, apply, prove.
//!
//! Here: `render`, which starts nothing and talks to no cluster. It writes the manifests of a release, with every
//! locked image by its digest, into a git branch and a folder; Argo CD, Flux or a person takes them from there.
//!
//! For `docker compose` there is [`compose_override`]: a file with the locked images, and what it cannot reach.
//!
//! [`plan`] is pure and says every problem at once, [`apply`] has the effects, [`prove`] reads back what was stored.

mod apply;
mod changes;
mod compose;
mod config_digest;
mod emit;
mod folder;
mod image;
mod manifest;
mod object;
mod pin;
mod plan;
mod problem;
mod proof;
mod record;
mod request;
mod rules;
mod tree;
mod walk;

pub use apply::{Applied, ApplyError, BranchChange, FolderChange, RenderFolder, RenderTarget, apply, read_stored};
pub use changes::{Change, ChangeKind, ImageChange};
pub use compose::{ComposeError, ComposeOverride, ComposeWarning, compose_override};
pub use folder::FolderError;
pub use image::ImagePin;
pub use pin::{Leftover, LeftoverReason};
pub use plan::{Plan, plan};
pub use problem::{PlanProblem, ProblemKind};
pub use proof::{
    Expectation, ExpectedService, Finding, FindingKind, Proof, ProofLevel, ProofVerdict, ProvenImage, prove,
    prove_missing,
};
pub use record::{RELEASE_FILE, ReleaseRecord};
pub use request::{ForeignNamespace, LeftoverRule, NamespaceRule, NotDeployed, RenderRequest, RenderService};
pub use tree::RenderedTree;
