//! The engine behind the `orchestrator` binary: it carries microservices from `dev` to `staging` to production by one lock.
//!
//! A [`Context`] is opened on a repository and a forge. Each call takes it and a request, and answers with a report of
//! [`report::v1`] or an [`Error`] of a closed [`ErrorKind`]. Nothing here reads an environment variable or the wall clock,
//! and nothing prints: the caller hands in [`Surroundings`], a [`Clock`] and a sink for [`Events`].

mod approvals;
mod clock;
mod config_values;
mod configuration;
mod context;
mod deployment;
mod engine;
mod environment_policy;
mod error;
mod events;
mod health;
mod hold;
mod image_availability;
mod images;
mod labels;
mod lease;
mod ledger_store;
pub mod lock;
mod lock_builder;
mod registry_client;
pub mod report;
mod revision;
mod run;
pub mod simulator;
mod status;
mod submodules;
mod suite_run;

pub use config;
pub use forge;
pub use lock_model;
pub use process;
pub use registry;

pub use approvals::approvals;
pub use clock::Clock;
pub use configuration::{check_config, show_config};
pub use context::{Context, Local, RegistryLookup, Settings, Surroundings, VariableLookup};
pub use deployment::{DeployRequest, deploy, plan, verify};
pub use error::{Error, ErrorKind, Problem, Result};
pub use events::{Event, Events, NoEvents};
pub use health::health;
pub use hold::{hold, unhold};
pub use images::explain_image;
pub use registry_client::RegistryAccess;
pub use run::{RollbackRequest, RunRequest, promote, release, rollback, run};
pub use status::{history, status};
pub use suite_run::{TestRequest, run_tests};
