//! Rules between fields, which the structs alone do not say to a schema.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

pub(super) fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "const": super::LOCK_VERSION })
}

pub(crate) fn pull_request(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": crate::consistency::MAX_PULL_REQUEST })
}

pub(super) fn image_where_kind_says(schema: &mut Schema) {
    let image_expected = json!({ "properties": { "kind": { "const": "image" } }, "required": ["kind"] });
    schema.insert("if".to_owned(), image_expected);
    schema.insert("then".to_owned(), json!({ "required": ["image"] }));
    schema.insert("else".to_owned(), json!({ "properties": { "image": false } }));
}

pub(super) fn chart_or_manifests(schema: &mut Schema) {
    schema.insert("oneOf".to_owned(), json!([{ "required": ["chart"] }, { "required": ["manifests"] }]));
}
