//! The JSON Schema of the file, made from the same description that the loader checks by.

use serde_json::{Map, Value, json};

use super::parse;
use super::schema_keys;
use super::schema_shape::{Key, Kind, Layer, Need, Shape, available_words};

/// JSON Schema (draft 2020-12) of `orchestrator.yaml`.
///
/// It sees one layer at a time: what must be there after merging, names that must be names of something, and
/// patterns that match nothing are seen by [`crate::Config::parse`] only.
pub fn config_schema() -> Value {
    let mut root = Map::new();
    root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".to_owned(), "orchestrator.yaml".into());
    root.insert("description".to_owned(), "Configuration of orchestrator.".into());
    root.append(&mut schema(&schema_keys::FILE, Layer::Whole));
    Value::Object(root)
}

fn schema(shape: &Shape, layer: Layer) -> Map<String, Value> {
    let value = match shape {
        Shape::Text(format) => return format.schema(),
        Shape::Choice(words) => {
            let list: Vec<&str> = available_words(words).map(|(word, _)| *word).collect();
            let meanings: Vec<String> =
                available_words(words).map(|(word, meaning)| format!("`{word}`: {meaning}")).collect();
            json!({ "enum": list, "description": format!("{}.", meanings.join("; ")) })
        }
        Shape::Integer { least, most } if least == most => json!({ "const": least }),
        Shape::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::List(item) => json!({ "type": "array", "items": schema(item, layer) }),
        Shape::NonEmptyList(item) => json!({ "type": "array", "items": schema(item, layer), "minItems": 1 }),
        Shape::Named(key, value) => {
            let mut names = key.schema();
            names.remove("type");
            json!({
                "type": "object",
                "propertyNames": names,
                "additionalProperties": nullable(schema(value, layer), layer),
            })
        }
        Shape::Keys(keys) => keys_schema(keys, layer),
        Shape::ShortForm(keys) => {
            let short = keys.first().map(|first| schema(&first.shape, layer)).unwrap_or_default();
            json!({ "anyOf": [short, keys_schema(keys, layer)] })
        }
        Shape::Kinds(kinds) => kinds_schema(kinds, layer),
        Shape::Tree(_) => json!({ "type": "object" }),
        Shape::Later => json!(false),
        Shape::Source(keys) => {
            let mut value = keys_schema(keys, layer);
            if let (Layer::Whole, Some(map)) = (layer, value.as_object_mut()) {
                map.insert("minProperties".to_owned(), 1.into());
                map.insert("maxProperties".to_owned(), 1.into());
            }
            value
        }
    };
    match value {
        Value::Object(map) => map,
        // `json!` of an object literal is an object.
        other => Map::from_iter([("const".to_owned(), other)]),
    }
}

fn keys_schema(keys: &[Key], layer: Layer) -> Value {
    let keys = || keys.iter().filter(|key| key.is_available());
    let properties: Map<String, Value> = keys().map(|key| (key.name.to_owned(), key_schema(key, layer))).collect();
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    map.insert("properties".to_owned(), properties.into());
    let required: Vec<&str> = keys().filter(|key| is_required(key, layer)).map(|key| key.name).collect();
    if !required.is_empty() {
        map.insert("required".to_owned(), required.into());
    }
    map.insert("additionalProperties".to_owned(), false.into());
    Value::Object(map)
}

/// `match` has no layer below it; everything else in a layer may come from another.
fn is_required(key: &Key, layer: Layer) -> bool {
    matches!(key.need, Need::Required) && (layer == Layer::Whole || key.name == "match")
}

fn key_schema(key: &Key, layer: Layer) -> Value {
    let below = match key.name {
        "base" | "environments" => Layer::Partial,
        _ => layer,
    };
    let mut map = schema(&key.shape, below);
    let choices = map.remove("description").and_then(|value| value.as_str().map(str::to_owned));
    let description = choices.map_or_else(|| key.doc.to_owned(), |choices| format!("{} {choices}", key.doc));
    let mut value = match nullable(map, if key.name == "match" { Layer::Whole } else { below }) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    value.insert("description".to_owned(), description.into());
    if let (Need::Default(default), Layer::Whole) = (key.need, layer) {
        value.insert("default".to_owned(), parse::default_value(default).to_json());
    }
    Value::Object(value)
}

/// In a layer, `null` removes what is below.
fn nullable(mut map: Map<String, Value>, layer: Layer) -> Value {
    if layer == Layer::Partial {
        if let Some(kind) = map.get("type").and_then(Value::as_str).map(str::to_owned) {
            map.insert("type".to_owned(), json!([kind, "null"]));
        } else if let Some(Value::Array(words)) = map.get_mut("enum") {
            words.push(Value::Null);
        } else if let Some(Value::Array(forms)) = map.get_mut("anyOf") {
            forms.push(json!({ "type": "null" }));
        }
    }
    Value::Object(map)
}

fn kinds_schema(kinds: &[Kind], layer: Layer) -> Value {
    let kinds = || Kind::available(kinds);
    let names: Vec<&str> = kinds().map(|kind| kind.name).collect();
    let docs: Vec<String> = kinds().map(|kind| format!("`{}`: {}", kind.name, kind.doc)).collect();
    let kind_key = json!({ "enum": names, "description": docs.join(" ") });
    let with_kind = |mut schema: Value| {
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert("kind".to_owned(), true.into());
        }
        schema
    };
    let branches: Vec<Value> = kinds()
        .map(|kind| {
            json!({
                "if": { "type": "object", "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
                "then": with_kind(keys_schema(kind.keys, layer)),
            })
        })
        .collect();
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    map.insert("properties".to_owned(), json!({ "kind": kind_key }));
    if layer == Layer::Whole {
        map.insert("required".to_owned(), json!(["kind"]));
    } else {
        // Without a kind, any kind's keys: it stands in another layer.
        let all: Map<String, Value> = kinds()
            .flat_map(|kind| kind.keys.iter())
            .filter(|key| key.is_available())
            .map(|key| (key.name.to_owned(), Value::Bool(true)))
            .chain([("kind".to_owned(), Value::Bool(true))])
            .collect();
        map.insert("else".to_owned(), json!({ "properties": all, "additionalProperties": false }));
        map.insert("if".to_owned(), json!({ "required": ["kind"] }));
    }
    map.insert("allOf".to_owned(), branches.into());
    Value::Object(map)
}
