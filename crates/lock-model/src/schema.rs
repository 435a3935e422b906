use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::metadata::WireServiceMetadata;
use crate::wire::WireLock;

/// The JSON Schema (draft 2020-12) of the lock file.
///
/// It refuses what the reader refuses, except for what a schema cannot see: the id, the bytes, and what one part of a
/// lock says about another.
pub fn lock_schema() -> serde_json::Value {
    schema_of::<WireLock>()
}

/// The JSON Schema (draft 2020-12) of a service's metadata file.
pub fn metadata_schema() -> serde_json::Value {
    schema_of::<WireServiceMetadata>()
}

/// A schema as the file that is committed: indented, with a line feed at its end.
pub fn schema_text(schema: &serde_json::Value) -> String {
    format!("{schema:#}\n")
}

fn schema_of<T: JsonSchema>() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
