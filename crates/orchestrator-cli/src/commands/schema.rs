//! `schema print`.

use clap::ValueEnum as _;
use orchestrator::report::v1::{evidence_schema, report_schema, saved_plan_schema};

use crate::arguments::{SchemaKind, SchemaPrintArgs};
use crate::output::Shown;

/// Prints a format's JSON Schema; in JSON it is a part of the result.
pub(crate) fn print(args: &SchemaPrintArgs) -> Shown {
    let schema = match args.kind {
        SchemaKind::Lock => lock_model::lock_schema(),
        SchemaKind::Metadata => lock_model::metadata_schema(),
        SchemaKind::Config => config::config_schema(),
        SchemaKind::LedgerRecord => ledger::record_schema(),
        SchemaKind::Report => report_schema(),
        SchemaKind::Evidence => evidence_schema(),
        SchemaKind::Plan => saved_plan_schema(),
    };
    let kind = args.kind.to_possible_value().map(|value| value.get_name().to_owned());
    Shown::with_result(lock_model::schema_text(&schema), serde_json::json!({ "kind": kind, "schema": schema }))
}
