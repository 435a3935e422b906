//! What a plan changes of the objects of one service, and why.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plan::{ObjectAction, PlannedObject, PlannedService};
use crate::batch::BatchObject;
use crate::diff::{ChangeReason, DiffedObject, Masking, ObjectChange, ServiceChanges, object_change};
use crate::manifest::ObjectId;
use crate::namespace::content;
use crate::plan::ChangeKind;
use crate::settings::PlannedSettings;

impl PlannedService {
    /// For reviewers; `removals` are those of all services.
    pub(super) fn reviewed(
        &self,
        removals: &[BatchObject],
        settings: &PlannedSettings,
        masking: &Masking,
    ) -> ServiceChanges {
        let (mut reasons, mut objects) = settings.object_changes(&self.service, masking);
        for object in &self.objects {
            let Some(change) = object.reviewed(masking) else { continue };
            reasons.extend(self.reasons(object, &change));
            objects.push(change);
        }
        let is_new = |object: &PlannedObject| match object.action {
            ObjectAction::Create | ObjectAction::CreateLater => true,
            ObjectAction::Change | ObjectAction::Keep => false,
        };
        if !self.inventory.is_stored() && !self.objects.is_empty() && self.objects.iter().all(is_new) {
            reasons = BTreeSet::from([ChangeReason::New]);
        }
        for removed in removals.iter().filter(|removed| removed.service == self.service) {
            let before = content(&removed.wanted);
            let id = before.as_object().and_then(|before| ObjectId::of(before).ok());
            let Some(id) = id else { continue };
            let diffed = DiffedObject { id: &id, before: Some(&before), after: None };
            objects.extend(object_change(&diffed, masking));
            reasons.insert(ChangeReason::Manifests);
        }
        if self.has_left && self.changes() {
            reasons = BTreeSet::from([ChangeReason::Left]);
        }
        ServiceChanges { service: self.service.clone(), wave: self.wave + 1, reasons, objects, hooks: Vec::new() }
    }

    /// Why an object changes.
    fn reasons(&self, object: &PlannedObject, change: &ObjectChange) -> BTreeSet<ChangeReason> {
        let mut reasons = BTreeSet::new();
        let entry = self.inventory.entry(object.manifest.key());
        let is_same_manifest = object.digest.is_some() && entry.is_some_and(|entry| entry.manifest == object.digest);
        match change.kind {
            ChangeKind::Added if is_same_manifest => drop(reasons.insert(ChangeReason::Cluster)),
            ChangeKind::Added | ChangeKind::Removed => drop(reasons.insert(ChangeReason::Manifests)),
            ChangeKind::Changed if change.fields.is_empty() => drop(reasons.insert(ChangeReason::Ownership)),
            ChangeKind::Changed if is_same_manifest => drop(reasons.insert(ChangeReason::Cluster)),
            ChangeKind::Changed => {
                let is_image = |path: &str| path.ends_with("].image");
                let (images, others): (Vec<&str>, Vec<&str>) =
                    change.fields.iter().map(|field| field.path.as_str()).partition(|path| is_image(path));
                reasons.extend((!images.is_empty()).then_some(ChangeReason::Image));
                reasons.extend((!others.is_empty()).then_some(ChangeReason::Manifests));
            }
        }
        reasons
    }
}

impl PlannedObject {
    /// For reviewers; `None` where the object stays as it is.
    fn reviewed(&self, masking: &Masking) -> Option<ObjectChange> {
        match self.action {
            ObjectAction::Keep => return None,
            ObjectAction::Create | ObjectAction::CreateLater | ObjectAction::Change => {}
        }
        let before = self.live.as_ref().map(content);
        let after: Value = content(self.after.as_ref().unwrap_or(&self.manifest));
        let diffed = DiffedObject { id: &self.id, before: before.as_ref(), after: Some(&after) };
        object_change(&diffed, masking).or_else(|| {
            // Only the owners of its fields become others.
            let (object, kind) = (self.id.to_string(), ChangeKind::Changed);
            Some(ObjectChange { object, kind, fields: Vec::new(), risks: BTreeSet::new() })
        })
    }
}
