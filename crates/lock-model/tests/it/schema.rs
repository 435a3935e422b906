//! The committed schemas are the ones that the types give.

use lock_model::{lock_schema, metadata_schema, schema_text};

#[test]
fn p4_the_committed_schemas_are_up_to_date() {
    for (file, schema) in [("lock.schema.json", lock_schema()), ("metadata.schema.json", metadata_schema())] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(file);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == schema_text(&schema), "`schemas/{file}` is out of date: run `cargo xtask generate`");
    }
}

#[test]
fn the_schemas_are_schemas() {
    for schema in [lock_schema(), metadata_schema()] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::draft202012::meta::validate(&schema).unwrap();
    }
}

#[test]
fn a_schema_never_allows_null_or_unknown_fields() {
    fn walk(value: &serde_json::Value, path: &str) {
        match value {
            serde_json::Value::Object(map) => {
                assert_ne!(map.get("type"), Some(&"null".into()), "{path}");
                if map.contains_key("properties") && map.get("type") == Some(&"object".into()) {
                    assert_eq!(map.get("additionalProperties"), Some(&false.into()), "{path}");
                }
                for (key, inner) in map {
                    walk(inner, &format!("{path}/{key}"));
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| {
                assert_ne!(item, "null", "{path}");
                walk(item, path);
            }),
            _ => {}
        }
    }
    walk(&lock_schema(), "lock");
    walk(&metadata_schema(), "metadata");
}
