//! `schema print`.

use crate::arguments::{SchemaKind, SchemaPrintArgs};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::Report;

/// Prints a format's JSON Schema.
pub(crate) fn print(args: &SchemaPrintArgs) -> CliResult<Report> {
    let schema = match args.kind {
        SchemaKind::Lock => lock_model::lock_schema(),
        SchemaKind::Metadata => lock_model::metadata_schema(),
        SchemaKind::Config => config::config_schema(),
        SchemaKind::LedgerRecord => ledger::record_schema(),
    };
    let mut text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CliError::from_source(ExitCode::Bug, "the schema cannot be written", &error))?;
    text.push('\n');
    Ok(Report::new(ExitCode::Done, text, schema))
}
