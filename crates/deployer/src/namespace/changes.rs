//! How a rendering differs from what is stored: objects, and the images in them.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::live::Presence;
use super::rendering::Rendering;
use crate::image_fields::{self, Slot};
use crate::manifest::ObjectId;
use crate::plan::{Change, ChangeKind, ImageChange};
use crate::problem::escaped;

type Objects = BTreeMap<ObjectId, Map<String, Value>>;

/// What differs between what is stored and what would be, objects before hooks; and objects that are the same there, and
/// others in the cluster.
pub(crate) fn between(
    service: &ServiceName,
    stored: Option<&Rendering>,
    planned: &Rendering,
    live: &BTreeMap<ObjectId, Presence>,
) -> Vec<Change> {
    let nothing = Rendering::default();
    let stored = stored.unwrap_or(&nothing);
    let mut changes = between_lists(service, "", &stored.objects, &planned.objects);
    let edited = live.iter().filter(|(id, _)| stored.objects.get(*id) == planned.objects.get(*id));
    changes.extend(edited.map(|(id, presence)| Change {
        service: Some(service.clone()),
        path: id.to_string(),
        kind: match presence {
            Presence::Missing => ChangeKind::Added,
            Presence::Other => ChangeKind::Changed,
        },
        images: Vec::new(),
    }));
    changes.extend(between_lists(service, "hook ", &stored.hooks, &planned.hooks));
    changes
}

fn between_lists(service: &ServiceName, prefix: &str, old: &Objects, new: &Objects) -> Vec<Change> {
    let ids = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
    let change = |id: &ObjectId| {
        let (before, after) = (old.get(id), new.get(id));
        let kind = match (before, after) {
            (Some(before), Some(after)) if before == after => return None,
            (Some(_), Some(_)) => ChangeKind::Changed,
            (Some(_), None) => ChangeKind::Removed,
            (None, _) => ChangeKind::Added,
        };
        let (service, path) = (Some(service.clone()), format!("{prefix}{id}"));
        Some(Change { service, path, kind, images: image_changes(id, before, after) })
    };
    ids.into_iter().filter_map(change).collect()
}

/// The images of an object that become others.
pub(crate) fn image_changes(
    id: &ObjectId,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Vec<ImageChange> {
    let (old, new) = (images(old), images(new));
    let places = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
    let changed = places.into_iter().filter(|place| old.get(*place) != new.get(*place));
    let change = |place: &String| ImageChange {
        object: id.to_string(),
        place: place.clone(),
        from: old.get(place).cloned(),
        to: new.get(place).cloned(),
    };
    changed.map(change).collect()
}

fn images(object: Option<&Map<String, Value>>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Some(object) = object {
        image_fields::strings(&mut object.clone(), &mut |place, slot, text| {
            if matches!(slot, Slot::Container | Slot::Volume) {
                found.insert(place.to_owned(), escaped(text));
            }
        });
    }
    found
}
