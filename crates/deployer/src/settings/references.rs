//! The fields by which a pod names a `ConfigMap` or a Secret, and their rewriting to the versions of settings.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Part;
use super::versions::unkeyed;
use crate::image_fields;

/// Field, key in it, and kind of what it names: volumes, projected volumes, `envFrom`, `valueFrom`.
const FIELDS: [(&str, &str, &str); 7] = [
    ("configMap", "name", "ConfigMap"),
    ("configMapRef", "name", "ConfigMap"),
    ("configMapKeyRef", "name", "ConfigMap"),
    ("secret", "secretName", "Secret"),
    ("secret", "name", "Secret"),
    ("secretRef", "name", "Secret"),
    ("secretKeyRef", "name", "Secret"),
];

/// The `ConfigMap` and `Secret` objects that an object's pods name: kind and name.
pub(crate) fn setting_references(object: &Map<String, Value>) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    image_fields::maps(object, &mut |map| {
        for (field, key, kind) in FIELDS {
            if let Some(name) = map.get(field).and_then(|it| it.get(key)).and_then(Value::as_str) {
                found.insert((kind, name.to_owned()));
            }
        }
    });
    found
}

/// The name by which a plain manifest calls the settings of its service: `cart-config`, `cart-secret`.
pub(crate) fn logical_name(service: &str, part: Part) -> String {
    format!("{service}-{}", part.word())
}

/// Lets an object that names its service's settings name their version, whose digits are [not known
/// yet](super::config_name). Gives the settings that it names.
pub(crate) fn name_versions(object: &mut Map<String, Value>, service: &str, parts: &BTreeSet<Part>) -> BTreeSet<Part> {
    let mut named = BTreeSet::new();
    image_fields::maps_mut(object, &mut |map| {
        for (field, key, kind) in FIELDS {
            let name = map.get_mut(field).and_then(|it| it.get_mut(key));
            let Some(Value::String(name)) = name else { continue };
            let meant = parts.iter().find(|part| part.kind() == kind && *name == logical_name(service, **part));
            if let Some(part) = meant {
                *name = unkeyed(service, *part);
                named.insert(*part);
            }
        }
    });
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b34_every_field_that_names_settings_names_their_version_and_no_other_text_does() {
        let mut object = json!({
            "metadata": { "name": "cart-config", "labels": { "reads": "cart-config" } },
            "spec": { "template": { "spec": {
                "volumes": [
                    { "configMap": { "name": "cart-config" } },
                    { "secret": { "secretName": "cart-secret" } },
                    { "projected": { "sources": [{ "secret": { "name": "cart-secret" } }, { "configMap": { "name": "web-config" } }] } },
                ],
                "containers": [{
                    "args": ["cart-config"],
                    "envFrom": [{ "configMapRef": { "name": "cart-config" } }, { "secretRef": { "name": "cart-config" } }],
                    "env": [{ "valueFrom": { "secretKeyRef": { "name": "cart-secret", "key": "A" } } }],
                }],
            } } },
        });
        let map = object.as_object_mut().unwrap();
        let untouched = map.clone();
        assert!(name_versions(map, "cart", &BTreeSet::new()).is_empty() && *map == untouched);
        let both = BTreeSet::from([Part::Config, Part::Secret]);
        assert_eq!(name_versions(map, "cart", &both), both);
        let names: Vec<String> =
            setting_references(map).into_iter().map(|(kind, name)| format!("{kind}/{name}")).collect();
        assert_eq!(
            names,
            [
                "ConfigMap/cart-config-00000000",
                "ConfigMap/web-config",
                "Secret/cart-config",
                "Secret/cart-secret-00000000"
            ]
        );
        assert_eq!(object.to_string().matches("00000000").count(), 5);
    }
}
