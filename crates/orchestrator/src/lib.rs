//! The engine behind the `orchestrator` binary: it carries microservices from `dev` to `staging` to production by one lock.
//!
//! A [`Context`] is opened on a repository and a forge. Each call takes it and a request, and answers with a report of
//! [`report::v1`] or an [`Error`] of a closed [`ErrorKind`]. Nothing here reads an environment variable or the wall clock,
//! and nothing prints: the caller hands in [`Surroundings`], a [`Clock`] and a sink for [`Events`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use orchestrator::lock_model::Timestamp;
//! use orchestrator::process::EnvVars;
//! use orchestrator::{Actor, Clock, Context, NoEvents, Settings, Surroundings};
//!
//! #[derive(Debug)]
//! struct SystemClock;
//!
//! impl Clock for SystemClock {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::from_unix_seconds(std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64))
//!     }
//! }
//!
//! # async fn example() -> orchestrator::Result<()> {
//! let surroundings = Surroundings::new(std::env::var_os("PATH").unwrap_or_default(), EnvVars::new());
//! let context = Context::open(Settings::new("shop.git", Actor::Bot), surroundings, Arc::new(SystemClock), Arc::new(NoEvents))?;
//! for environment in orchestrator::status(&context, None).await?.environments {
//!     println!("{}: {}", environment.environment, environment.tag.unwrap_or_default());
//! }
//! # Ok(())
//! # }
//! ```

mod approvals;
mod branch_line;
mod clock;
mod cluster_target;
mod config_values;
mod configuration;
mod context;
mod deployment;
mod displayed_status;
mod engine;
mod environment_policy;
mod error;
mod events;
mod first_environment;
mod forge_location;
mod health;
mod hints;
mod history;
mod hold;
mod identity;
mod image_availability;
mod image_failure;
mod image_hints;
mod image_values;
mod images;
mod input_file;
mod inputs;
mod judged_tree;
mod kubeconfig_file;
mod kubeconfig_login;
mod labels;
mod lease;
mod ledger_rights;
mod ledger_store;
pub mod lock;
mod lock_builder;
mod lock_folder;
mod merge_plan;
mod names;
mod output_file;
mod permissions;
mod places;
mod plan_marks;
mod policy;
mod policy_found;
pub mod pull_requests;
mod refs_in_the_way;
mod registry_client;
mod relaxed_rules;
pub mod report;
mod revision;
mod rollback;
mod run;
mod saved_plan;
mod secret_program;
mod secrets;
pub mod simulator;
mod site;
mod starter;
mod status;
mod submodules;
mod suite_run;
mod take_over;
mod test_merge;
mod unpinned_images;
mod unreviewed_lock;
mod workspace;

pub use config;
pub use forge;
pub use lock_model;
pub use process;
pub use registry;

pub use approvals::approvals;
pub use clock::Clock;
pub use configuration::{check_config, show_config};
pub use context::{Context, Local, RegistryLookup, Settings, StandardInput, Surroundings, VariableLookup};
pub use deployment::{DeployRequest, deploy, drift, plan, plan_pull_request, save_plan, verify};
pub use error::{EndedRun, Error, ErrorKind, ListedProblem, Place, Problem, Result};
pub use events::{Event, Events, NoEvents};
pub use health::health;
pub use history::{HistoryRequest, history, releases, show_evidence, show_record};
pub use hold::{accept_release, hold, unhold};
pub use identity::Actor;
pub use image_values::suggest_image_values;
pub use images::explain_image;
pub use input_file::{read_input, unreadable};
pub use names::{ClonedNames, KnownNames, cloned_names, known_names};
pub use output_file::{check_output, write_output};
pub use permissions::permissions;
pub use policy::accept_policy;
pub use registry_client::RegistryAccess;
pub use rollback::{OnFailure, RollbackRequest, check_rollbacks, plan_rollback, rollback};
pub use run::{RunRequest, promote, release, run};
pub use saved_plan::{SAVED_PLAN_VERSION, SavedPlan};
pub use site::{Opened, Site};
pub use starter::{ConfigInitRequest, init_config};
pub use status::status;
pub use suite_run::{TestRequest, run_tests};
pub use take_over::take_over;
pub use workspace::Workspace;
