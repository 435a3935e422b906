//! Live objects by name: one list for each kind and namespace, however many they are.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterError, ClusterErrorKind, Connection, Kind, Object, ObjectKey, Selection};
use lock_model::ErrorClass;
use serde_json::{Map, Value};

use super::at_once::at_once;

/// Up to so many objects of a kind are read by name: a list may have many others.
const BY_NAME: usize = 2;

/// Those of the named objects that are there. A kind that the cluster does not serve has no objects.
pub(crate) async fn live_objects(
    connection: &Connection,
    keys: &BTreeSet<ObjectKey>,
) -> Result<BTreeMap<ObjectKey, Object>, ClusterError> {
    named_objects(connection, keys, None).await
}

/// The same for objects that are written with a label, by which they are listed. Those that lost the label, and all of them
/// where the user has no right to list, are read by name.
pub(crate) async fn labelled_objects(
    connection: &Connection,
    keys: &BTreeSet<ObjectKey>,
    label: &'static str,
) -> Result<BTreeMap<ObjectKey, Object>, ClusterError> {
    named_objects(connection, keys, Some(label)).await
}

async fn named_objects(
    connection: &Connection,
    keys: &BTreeSet<ObjectKey>,
    label: Option<&'static str>,
) -> Result<BTreeMap<ObjectKey, Object>, ClusterError> {
    let mut groups: BTreeMap<(Kind, Option<String>), BTreeSet<ObjectKey>> = BTreeMap::new();
    for key in keys {
        groups.entry((key.kind.clone(), key.namespace.clone())).or_default().insert(key.clone());
    }
    let answers = at_once(groups.into_iter().collect(), |((kind, namespace), keys)| {
        let connection = connection.clone();
        async move { of_one_kind(&connection, &kind, namespace.as_deref(), keys, label).await }
    });
    let mut live = BTreeMap::new();
    for answer in answers.await {
        live.extend(answer?.into_iter().map(|object| (object.key().clone(), object)));
    }
    Ok(live)
}

async fn of_one_kind(
    connection: &Connection,
    kind: &Kind,
    namespace: Option<&str>,
    mut keys: BTreeSet<ObjectKey>,
    label: Option<&str>,
) -> Result<Vec<Object>, ClusterError> {
    let mut found = Vec::new();
    if keys.len() > BY_NAME {
        let selection = Selection { labels: label.unwrap_or_default().to_owned(), ..Selection::default() };
        match connection.list(kind, namespace, &selection).await {
            Ok(objects) => {
                let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                found.extend(objects.into_iter().filter(|object| names.contains(object.key().name.as_str())));
                if label.is_none() {
                    return Ok(found);
                }
                let listed: BTreeSet<&str> = found.iter().map(|object| object.key().name.as_str()).collect();
                keys.retain(|key| !listed.contains(key.name.as_str()));
            }
            Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => return Ok(Vec::new()),
            Err(error) if label.is_some() && error.class() == ErrorClass::Denied => {}
            Err(error) => return Err(error),
        }
    }
    let answers = at_once(keys.into_iter().collect(), |key| {
        let connection = connection.clone();
        async move { connection.find(&key).await }
    });
    for answer in answers.await {
        match answer {
            Ok(object) => found.extend(object),
            Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether a manifest is that of a Job that Kubernetes deletes some time after its end.
pub(crate) fn removes_itself(object: &Map<String, Value>) -> bool {
    let lives_on = object.get("spec").and_then(|spec| spec.get("ttlSecondsAfterFinished")).is_none_or(Value::is_null);
    object.get("kind").and_then(Value::as_str) == Some("Job") && !lives_on
}
