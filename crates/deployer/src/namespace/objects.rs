//! Live objects by name: one list for each kind and namespace, however many they are.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterError, ClusterErrorKind, Connection, Kind, Object, ObjectKey, Selection};

use super::at_once::at_once;

/// Up to so many objects of a kind are asked for by name: a list may have many others.
const BY_NAME: usize = 2;

/// Those of the named objects that are there. A kind that the cluster does not serve has no objects.
pub(crate) async fn live_objects(
    connection: &Connection,
    keys: &BTreeSet<ObjectKey>,
) -> Result<BTreeMap<ObjectKey, Object>, ClusterError> {
    let mut groups: BTreeMap<(Kind, Option<String>), Vec<ObjectKey>> = BTreeMap::new();
    for key in keys {
        groups.entry((key.kind.clone(), key.namespace.clone())).or_default().push(key.clone());
    }
    let answers = at_once(groups.into_iter().collect(), |((kind, namespace), keys)| {
        let connection = connection.clone();
        async move { of_one_kind(&connection, &kind, namespace.as_deref(), keys).await }
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
    keys: Vec<ObjectKey>,
) -> Result<Vec<Object>, ClusterError> {
    let answer = if keys.len() > BY_NAME {
        connection.list(kind, namespace, &Selection::default()).await
    } else {
        let mut found = Vec::new();
        for key in &keys {
            match connection.find(key).await {
                Ok(object) => found.extend(object),
                Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    };
    match answer {
        Ok(objects) => {
            let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            Ok(objects.into_iter().filter(|object| names.contains(object.key().name.as_str())).collect())
        }
        Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
