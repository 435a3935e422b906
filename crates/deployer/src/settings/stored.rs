//! Whether the versions in a namespace are what their names say: a name ends in digits of the data.

use cluster::{Connection, DeployedRelease, Kind, Object, ObjectKey, Propagation, StateKey};
use lock_model::ServiceName;
use serde_json::{Map, Value, json};

use super::Part;
use super::versions::{DIGITS, PART_LABEL, PlannedSettings, Version, keyed_digest};
use crate::error::DeployError;
use crate::namespace::labelled_objects;
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind};

/// The data of a version; an object without any is stored without the field.
pub(super) fn data_of(object: &Object) -> Map<String, Value> {
    object.at("/data").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The name of a version with this data.
pub(super) fn name_of(key: &StateKey, service: &str, part: Part, data: &Map<String, Value>) -> String {
    let digest = keyed_digest(key, &json!([service, part.word(), data]));
    format!("{service}-{}-{}", part.word(), digest.get(..DIGITS).unwrap_or(&digest))
}

/// Whether an object has the data that its name was made of, and nothing else.
pub(super) fn is_own_name(key: &StateKey, service: &str, part: Part, object: &Object) -> bool {
    let has_binary = object.at("/binaryData").and_then(Value::as_object).is_some_and(|data| !data.is_empty());
    !has_binary && object.key().name == name_of(key, service, part, &data_of(object))
}

impl Version {
    /// Compares it with what the namespace has under its name.
    pub(super) fn look_at(&mut self, found: Option<Object>) {
        let is_same = |found: &Object| data_of(found) == data_of(&self.object) && found.at("/binaryData").is_none();
        self.is_there = found.as_ref().is_some_and(is_same);
        self.replaced = found.filter(|_| !self.is_there);
    }

    /// Removes an object of the version's name with other data, so that the version can be written in its place.
    pub(super) async fn make_room(&self, connection: &Connection) -> Result<(), DeployError> {
        let Some((replaced, uid)) = self.replaced.as_ref().and_then(|replaced| Some((replaced, replaced.uid()?)))
        else {
            return Ok(());
        };
        connection.delete(replaced.key(), uid, Propagation::Background).await?;
        Ok(())
    }
}

impl PlannedSettings {
    /// Why the settings are others than those that were deployed, or not in the namespace any more.
    pub(crate) fn difference(&self, deployed: &DeployedRelease) -> Option<String> {
        let wrong = self.versions.iter().find(|version| !version.is_there);
        if self.inputs != deployed.inputs {
            return Some("the settings of the environment are others than those that are deployed".to_owned());
        }
        wrong.map(|version| {
            let what = if version.replaced.is_some() { "has other data than was deployed" } else { "is gone" };
            format!("{} `{}` {what}: it is written again", version.part.kind(), version.object.key().name)
        })
    }
}

/// What of the versions that were deployed last is gone, or has other data now.
pub(crate) async fn prove_versions(
    connection: &Connection,
    namespace: &str,
    key: &StateKey,
    deployed: &DeployedRelease,
) -> Result<Vec<Finding>, DeployError> {
    let parts = [(Part::Config, &deployed.configurations), (Part::Secret, &deployed.secrets)];
    let versions: Vec<(Part, &String, ObjectKey)> = parts
        .into_iter()
        .flat_map(|(part, names)| {
            let place = move |name: &str| ObjectKey::namespaced(Kind::new("v1", part.kind()), namespace, name);
            names.iter().map(move |(service, name)| (part, service, place(name)))
        })
        .collect();
    let places = versions.iter().map(|(.., place)| place.clone()).collect();
    let found = labelled_objects(connection, &places, PART_LABEL).await?;
    let mut findings = Vec::new();
    for (part, service, place) in &versions {
        let (kind, what) = match found.get(place) {
            None => (FindingKind::Missing, "is not in the cluster any more"),
            Some(found) if is_own_name(key, service, *part, found) => continue,
            Some(_) => (FindingKind::Edited, "has other data than was deployed"),
        };
        let message = format!("{} `{}` {what}", part.kind(), escaped(&place.name));
        findings.push(Finding { service: ServiceName::try_from(service.as_str()).ok(), path: None, kind, message });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, data: Value) -> Object {
        let metadata = json!({ "name": name, "namespace": "shop" });
        let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata });
        object["data"] = data;
        Object::new(object).unwrap()
    }

    #[test]
    fn a_version_is_known_by_its_data() {
        let key = StateKey::new([7; 32]);
        let data = json!({ "A": "1" });
        let name = name_of(&key, "cart", Part::Config, data.as_object().unwrap());
        assert!(is_own_name(&key, "cart", Part::Config, &object("ConfigMap", &name, data.clone())));
        for other in [json!({ "A": "2" }), json!({ "A": "1", "B": "1" }), json!({}), Value::Null] {
            assert!(!is_own_name(&key, "cart", Part::Config, &object("ConfigMap", &name, other)));
        }
        assert!(!is_own_name(&StateKey::new([8; 32]), "cart", Part::Config, &object("ConfigMap", &name, data)));
        // The API server stores no data as no field.
        let empty = name_of(&key, "cart", Part::Secret, &Map::new());
        assert!(is_own_name(&key, "cart", Part::Secret, &object("Secret", &empty, Value::Null)));
    }
}
