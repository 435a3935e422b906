//! A Kubernetes cluster as a typed interface: objects, readiness, server-side apply, leases and running images.
//!
//! [`Connection`] is the client: it takes a [`Kubeconfig`] that can do no more than connect, and answers with [`Object`]s.
//! [`ready::judge`] is the rules: it takes an object with what belongs to it and returns a [`Verdict`], so that the same
//! rules work on a live cluster and in a table of YAML documents.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `ring` | yes | uses ring as the TLS provider, where the program has not installed one |
//! | `schema` | no | `schemars::JsonSchema` of the words of this crate |
//!
//! # Runtime
//!
//! A [`Connection`] is made and used inside a tokio runtime with its network and time drivers (`enable_all`); its futures
//! are `Send`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod capacity;
mod certificate;
mod connection;
mod discovery;
mod error;
mod forward;
pub mod health;
mod kubeconfig;
mod lease;
mod login;
mod object;
pub mod ready;
mod references;
mod running;
mod state;
mod traces;
mod transport;
mod verdict;
mod wait;

pub use certificate::Lifetime;
pub use connection::{ApplyMode, Connection, Deleted, FIELD_MANAGER, Propagation, Selection, ServerVersion};
pub use discovery::{Discovery, Resource, defined_resources};
pub use error::{ClusterError, ClusterErrorKind, FieldConflict};
pub use forward::{Forwarded, ServiceEndpoint};
pub use kubeconfig::{Allowed, Kubeconfig, Risk};
pub use lease::{
    HeldLease, LEASE_DURATION, LEASE_PROOF, LEASE_RENEWAL, LeaseAnswer, LeaseCheck, LeaseHolder, LeaseKeeper,
    LeaseLoss, LeasePlace, LeaseRequest, LeaseState,
};
/// [`ErrorClass`](lock_model::ErrorClass) is what `class()` of an error says.
pub use lock_model;
pub use login::{Asked, Credential, Login, LoginFailed, LoginProgram};
pub use object::{Condition, Kind, Object, ObjectKey};
/// Its [`Redactor`](process::Redactor) is what a connection masks with.
pub use process;
pub use references::{MissingReference, Reference, ReferenceReport, references};
pub use running::{ContainerRole, ReadyEndpoint, RunningContainer, RunningPod, between, image_volumes};
pub use state::{DeployedRelease, KnownJobs, NamespaceOwner, NamespaceState, StateKey};
pub use traces::{Access, ClusterEvent, LogTail};
pub use transport::{Patience, Tell};
pub use verdict::{Cause, FailureClass, Permanence, Verdict};
pub use wait::{Awaited, EndingJob, WaitEnd, WaitEvent, WaitOptions, WaitOutcome};
