use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::metadata::WireServiceMetadata;
use crate::wire::WireLock;

/// The JSON Schema (draft 2020-12) of the lock file.
///
/// It refuses what the reader refuses, except for what a schema cannot see: the id, the bytes, and what one part of a
/// lock says about another.
pub fn lock_schema() -> Value {
    schema_of::<WireLock>()
}

/// The JSON Schema (draft 2020-12) of a service's metadata file.
pub fn metadata_schema() -> Value {
    schema_of::<WireServiceMetadata>()
}

/// A schema as the file that is committed: indented, with a line feed at its end.
pub fn schema_text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn schema_of<T: JsonSchema>() -> Value {
    sorted_schema(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value())
}

/// Sorts every object of a schema by key, so that the bytes do not depend on how `serde_json` was built.
pub fn sorted_schema(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> =
                map.into_iter().map(|(key, inner)| (key, sorted_schema(inner))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted_schema).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
