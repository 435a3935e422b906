//! `schema print`.

use orchestrator::report::v1::{evidence_schema, report_schema, saved_plan_schema};

use crate::arguments::{SchemaKind, SchemaPrintArgs};
use crate::output::Shown;

/// Prints a format's JSON Schema: the schema itself in every output format, without an envelope.
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
    Shown::bare(lock_model::schema_text(&schema))
}
