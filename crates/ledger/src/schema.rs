use super::wire::Statement;

/// JSON Schema of a record's file, for editors and other readers.
pub fn record_schema() -> serde_json::Value {
    schemars::schema_for!(Statement).to_value()
}
