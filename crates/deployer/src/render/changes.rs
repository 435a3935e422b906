//! How a rendered tree differs from another: files, and the images in them.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{RenderedTree, service_of};
use crate::image_fields::{self, Slot};
use crate::manifest::{self, ObjectId};
use crate::plan::{Change, ChangeKind, ImageChange};
use crate::problem::escaped;

/// What differs between the tree that is there now and these files, sorted by path.
pub(super) fn between(current: Option<&RenderedTree>, files: &BTreeMap<String, Vec<u8>>) -> Vec<Change> {
    let none = BTreeMap::new();
    let before = current.map_or(&none, |tree| &tree.files);
    let irregular = current.map_or(&[][..], |tree| tree.irregular.as_slice());
    let change = |path: &String, kind, images| Change { service: service_of(path), path: path.clone(), kind, images };
    let mut changes: Vec<Change> = irregular.iter().map(|path| change(path, ChangeKind::Removed, Vec::new())).collect();
    for path in before.keys().chain(files.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(path), files.get(path));
        let kind = match (old, new) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => ChangeKind::Changed,
            (Some(_), None) => ChangeKind::Removed,
            (None, _) => ChangeKind::Added,
        };
        changes.push(change(path, kind, image_changes(old, new)));
    }
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
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
    for mut document in bytes.and_then(|bytes| manifest::parse(bytes).ok()).unwrap_or_default() {
        let Ok(id) = ObjectId::of(&document.object) else { continue };
        image_fields::strings(&mut document.object, &mut |place, slot, text| {
            if matches!(slot, Slot::Container | Slot::Volume) {
                found.insert((id.to_string(), place.to_owned()), escaped(text));
            }
        });
    }
    found
}
