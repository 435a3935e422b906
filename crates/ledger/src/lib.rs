//! What happened to each lock in each environment: an append-only chain of records.
//!
//! One file a record, `records/000/000007-staging-deploy-ok.json`; each names the digest of the one before. Nothing here
//! reads a branch: callers hand in the files, and store what [`Ledger::next`] makes only while the branch is where they
//! read it.
//!
//! ```
//! use ledger::{Ledger, RecordDraft, RunIdentity, Step, StepResult};
//!
//! let mut ledger = Ledger::empty();
//! let run = RunIdentity::new("ci-1", "ana");
//! let hold = RecordDraft::new(Step::Hold, StepResult::Ok, run, "2025-11-20T21:14:07Z".parse()?)
//!     .environment(&"staging".parse()?)
//!     .reason("the fair is this week");
//! let new = ledger.next(hold)?;
//! assert_eq!(new.file_name, "records/000/000001-staging-hold-ok.json");
//! ledger.push(&new)?;
//!
//! let read = Ledger::parse([(new.file_name, new.bytes)], ledger.seen().as_ref())?;
//! assert_eq!(read.held(&"staging".parse()?).unwrap().by, "ana");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod append_rules;
mod chain;
mod deployment_cycle;
mod draft;
mod proof;
mod query;
mod record;
mod segment;
mod step;
mod values;
mod wire;

pub use chain::{Broken, Ledger, LedgerBroken, NewRecord, Seen};
pub use deployment_cycle::{CycleOrigin, DeploymentCycle, StepState};
pub use draft::{DraftProblem, DraftProblems, RecordDraft};
pub use lock_model;
pub use proof::{ProofVerdict, ProvenRelease};
pub use query::{Hold, HoldOrigin, LockFile, Rejection, RolledBack, TestedMerge};
pub use record::{MAX_RECORD_BYTES, Record, RecordError};
pub use segment::Segment;
pub use serde_json;
pub use step::{Step, StepKey, StepResult};
pub use values::{Accepts, Evidence, Policy, PolicySource, ProofLevel, RunIdentity, SuiteRef, Unreviewed};
pub use wire::record_schema;
