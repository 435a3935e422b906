//! What happened to each lock in each environment: an append-only chain of records.
//!
//! One file a record, `records/000007-staging-deploy-ok.json`; each names the digest of the one before. Nothing here
//! reads a branch: callers hand in the files and push what [`Ledger::next`] makes, expecting the head that they read.

mod chain;
pub mod cycle;
mod draft;
mod query;
mod record;
mod schema;
mod step;
mod wire;

pub use chain::{Broken, Ledger, LedgerBroken, NewRecord, Seen};
pub use draft::{
    DraftProblem, DraftProblems, Evidence, PolicySource, ProofLevel, RecordDraft, RunIdentity, SuiteRef, Unreviewed,
};
pub use query::{Hold, HoldOrigin, LockFile, ProofVerdict, ProvenRelease, Rejection};
pub use query::{at as recorded_at, occupies};
pub use record::{MAX_RECORD_BYTES, Record, RecordError};
pub use schema::record_schema;
pub use step::{Step, StepKey, StepResult, UnknownWord};
