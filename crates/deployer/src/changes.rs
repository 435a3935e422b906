//! How a rendered tree differs from another: files, and the images in them.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::ServiceName;

use crate::manifest;
use crate::object::ObjectId;
use crate::plan::SERVICES_FOLDER;
use crate::tree::RenderedTree;
use crate::walk::{self, Slot};

/// One file that a deployment adds, removes or changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The service it belongs to; none for the release record.
    pub service: Option<ServiceName>,
    /// Path in the tree.
    pub path: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The images that become others.
    pub images: Vec<ImageChange>,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// Its content becomes another.
    Changed,
}

/// One image of one object that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ImageChange {
    /// `Kind/name` of the object.
    pub object: String,
    /// Place in the object.
    pub place: String,
    /// What is there now.
    pub from: Option<String>,
    /// What comes.
    pub to: Option<String>,
}

pub(crate) fn between(current: Option<&RenderedTree>, files: &BTreeMap<String, Vec<u8>>) -> Vec<Change> {
    let none = BTreeMap::new();
    let before = current.map_or(&none, |tree| &tree.files);
    let irregular = current.map_or(&[][..], |tree| tree.irregular.as_slice());
    let mut changes: Vec<Change> = Vec::new();
    for path in before.keys().chain(files.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(path), files.get(path));
        let kind = match (old, new) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => ChangeKind::Changed,
            (Some(_), None) => ChangeKind::Removed,
            (None, _) => ChangeKind::Added,
        };
        changes.push(Change { service: service_of(path), path: path.clone(), kind, images: image_changes(old, new) });
    }
    changes.extend(irregular.iter().map(|path| Change {
        service: service_of(path),
        path: path.clone(),
        kind: ChangeKind::Removed,
        images: Vec::new(),
    }));
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

/// The service whose folder a path lies in.
pub(crate) fn service_of(path: &str) -> Option<ServiceName> {
    let (service, _) = path.strip_prefix(SERVICES_FOLDER)?.strip_prefix('/')?.split_once('/')?;
    service.try_into().ok()
}

fn image_changes(old: Option<&Vec<u8>>, new: Option<&Vec<u8>>) -> Vec<ImageChange> {
    let (old, new) = (images(old), images(new));
    old.keys()
        .chain(new.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| ImageChange {
            object: key.0.clone(),
            place: key.1.clone(),
            from: old.get(key).cloned(),
            to: new.get(key).cloned(),
        })
        .collect()
}

/// Images by object and place; what cannot be read has none.
fn images(bytes: Option<&Vec<u8>>) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for mut document in bytes.and_then(|bytes| manifest::read(bytes).ok()).unwrap_or_default() {
        let Ok(id) = ObjectId::of(&document.object) else { continue };
        walk::strings(&mut document.object, &mut |place, slot, text| {
            if matches!(slot, Slot::Container | Slot::Volume) {
                found.insert((id.to_string(), place.to_owned()), crate::problem::shown(text));
            }
        });
    }
    found
}
