//! The JSON Schemas of reports and evidence.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::evidence::{DeployedPlan, Evidence};

/// The schema of what every command prints as JSON: one envelope, with the result of the command in it or the error.
pub fn report_schema() -> Value {
    todo()
}

/// The schemas of the documents that the ledger keeps, by name.
pub fn evidence_schema() -> Value {
    todo()
}

fn todo() -> Value {
    json!({})
}
