//! What becomes of one object.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Masking, ObjectChange, changed_fields, risks};
use crate::manifest::ObjectId;
use crate::plan::ChangeKind;

/// An object as it is and as it will be, without what the API server and controllers keep about it.
pub(crate) struct DiffedObject<'a> {
    pub(crate) id: &'a ObjectId,
    pub(crate) before: Option<&'a Value>,
    pub(crate) after: Option<&'a Value>,
}

/// What changes; `None` where nothing does.
pub(crate) fn object_change(object: &DiffedObject<'_>, masking: &Masking) -> Option<ObjectChange> {
    let DiffedObject { id, before, after } = *object;
    let (kind, fields) = match (before, after) {
        (Some(before), Some(after)) if before == after => return None,
        (Some(before), Some(after)) => (ChangeKind::Changed, changed_fields(before, after)),
        (None, Some(_)) => (ChangeKind::Added, Vec::new()),
        (Some(_), None) => (ChangeKind::Removed, Vec::new()),
        (None, None) => return None,
    };
    let risks: BTreeSet<_> = risks::of_object(object, kind, &fields);
    let kind_of = cluster::Kind { group: id.group.clone(), version: String::new(), kind: id.kind.clone() };
    let fields = fields.into_iter().map(|field| masking.mask(&kind_of, field)).collect();
    Some(ObjectChange { object: id.to_string(), kind, fields, risks })
}
