//! What a plan changes of one release, and why.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::plan::{ReleaseAction, StoredState};
use crate::diff::{
    ChangeReason, DiffedObject, Masking, ObjectChange, PlannedHook, ServiceChanges, hook_risks, object_change,
    value_reasons, without_removed,
};
use crate::image_pinning::ImagePin;
use crate::manifest::{self, ObjectId};
use crate::namespace::{Live, Rendering, content};
use crate::request::{DeployRequest, DeployService};
use crate::settings::PlannedSettings;

/// The chart and values of a stored revision; without the charts within it, which helm does not store.
#[derive(Clone, Default)]
pub(super) struct StoredSource {
    values: Map<String, Value>,
    /// Its own values, unless charts within it have a part in them.
    defaults: Option<Value>,
    versions: [Option<String>; 2],
    /// Templates and other files by path.
    files: BTreeMap<String, Vec<u8>>,
}

impl StoredSource {
    /// From a revision as helm stores it.
    pub(super) fn of(release: &Map<String, Value>) -> Self {
        let map = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        let chart = map(release.get("chart"));
        let metadata = map(chart.get("metadata"));
        let files = ["templates", "files"].into_iter().filter_map(|list| chart.get(list)?.as_array()).flatten();
        let file = |file: &Value| {
            let data = BASE64.decode(file.get("data")?.as_str()?).ok()?;
            Some((file.get("name")?.as_str()?.to_owned(), data))
        };
        let has_dependencies =
            metadata.get("dependencies").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        Self {
            values: map(release.get("config")),
            defaults: (!has_dependencies).then(|| Value::Object(map(chart.get("values")))),
            versions: versions(&metadata),
            files: files.filter_map(file).collect(),
        }
    }

    /// Whether a chart is another one, as far as helm stores it.
    fn is_other_chart(&self, files: &[(String, Vec<u8>)]) -> bool {
        let find = |wanted: &str| files.iter().find(|(path, _)| path == wanted).map(|(_, bytes)| bytes);
        let parse = |name: &str| find(name).and_then(|bytes| manifest::parse_map(bytes).ok()).unwrap_or_default();
        let has_ignored = find(".helmignore").is_some();
        let is_new = |(path, _): &&(String, Vec<u8>)| path.starts_with("templates/") && !self.files.contains_key(path);
        self.versions != versions(&parse("Chart.yaml"))
            || self.defaults.as_ref().is_some_and(|defaults| *defaults != Value::Object(parse("values.yaml")))
            || self.files.iter().any(|(path, bytes)| find(path) != Some(bytes))
            || (!has_ignored && files.iter().any(|file| is_new(&file)))
    }
}

fn versions(metadata: &Map<String, Value>) -> [Option<String>; 2] {
    ["version", "appVersion"]
        .map(|key| metadata.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// A release that is about to be planned.
pub(super) struct Changing<'a> {
    pub(super) request: &'a DeployRequest,
    pub(super) service: &'a DeployService,
    pub(super) rendering: &'a Rendering,
    pub(super) stored: Option<&'a StoredState>,
    pub(super) live: &'a Live,
    pub(super) action: ReleaseAction,
    pub(super) replaced_hooks: &'a BTreeSet<ObjectId>,
}

impl Changing<'_> {
    pub(super) fn changes(&self, settings: &PlannedSettings, masking: &Masking) -> ServiceChanges {
        let name = &self.service.name;
        let (mut reasons, mut objects) = settings.object_changes(name, masking);
        objects.extend(self.objects(masking));
        let is_kept = self.action == ReleaseAction::Keep;
        if !is_kept {
            reasons.extend(self.reasons(settings));
        }
        let hooks = if is_kept { Vec::new() } else { self.hooks() };
        ServiceChanges { service: name.clone(), wave: self.service.wave + 1, reasons, objects, hooks }
    }

    fn objects(&self, masking: &Masking) -> Vec<ObjectChange> {
        let nothing = BTreeMap::new();
        let stored = self.stored.map_or(&nothing, |stored| &stored.rendering.objects);
        let planned = &self.rendering.objects;
        let ids: BTreeSet<&ObjectId> = stored.keys().chain(planned.keys()).collect();
        let change = |id: &ObjectId| {
            let (before, after) = match (planned.get(id), self.live.objects.get(id)) {
                (Some(planned), Some((after, before))) => {
                    let mut after = content(after);
                    if let Some(stored) = stored.get(id) {
                        without_removed(&mut after, stored, planned);
                    }
                    (before.as_ref().map(content), Some(after))
                }
                (Some(planned), None) => {
                    (stored.get(id).cloned().map(Value::Object), Some(Value::Object(planned.clone())))
                }
                (None, _) => (stored.get(id).cloned().map(Value::Object), None),
            };
            object_change(&DiffedObject { id, before: before.as_ref(), after: after.as_ref() }, masking)
        };
        ids.into_iter().filter_map(change).collect()
    }

    fn reasons(&self, settings: &PlannedSettings) -> BTreeSet<ChangeReason> {
        let Some(stored) = self.stored else { return BTreeSet::from([ChangeReason::New]) };
        let pins: Vec<ImagePin> = self.request.images().cloned().collect();
        let named = settings.named_reasons(&self.service.name);
        let mut reasons = value_reasons(&stored.source.values, &self.service.values, &pins, &named);
        let is_rendered_otherwise = stored.rendering.difference(self.rendering).is_some();
        // A chart within the chart is not stored, and only seen in what is rendered.
        if stored.source.is_other_chart(&self.service.files) || (is_rendered_otherwise && reasons.is_empty()) {
            reasons.insert(ChangeReason::Chart);
        }
        let is_edited = |id: &ObjectId| stored.rendering.objects.get(id) == self.rendering.objects.get(id);
        if self.live.differing.keys().any(is_edited) {
            reasons.insert(ChangeReason::Cluster);
        }
        if !stored.is_deployed {
            reasons.insert(ChangeReason::Unfinished);
        }
        if stored.is_foreign {
            reasons.insert(ChangeReason::TakenOver);
        }
        reasons
    }

    /// The hooks that helm runs for what it does, those before the objects first.
    fn hooks(&self) -> Vec<PlannedHook> {
        let word = match self.action {
            ReleaseAction::Install => "install",
            ReleaseAction::Upgrade | ReleaseAction::Keep => "upgrade",
        };
        let of =
            |event: &str, before| hooks_of(self.rendering, &format!("{event}-{word}"), before, self.replaced_hooks);
        [of("pre", true), of("post", false)].concat()
    }
}

/// The hooks of an event such as `pre-upgrade`, for reviewers.
pub(super) fn hooks_of(
    rendering: &Rendering,
    event: &str,
    before: bool,
    replaced: &BTreeSet<ObjectId>,
) -> Vec<PlannedHook> {
    let hook = |(id, hook): (&ObjectId, &Map<String, Value>)| {
        let risks = hook_risks(id, hook, replaced.contains(id));
        PlannedHook { object: id.to_string(), before, risks }
    };
    rendering.hooks_of(event).map(hook).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_chart_is_compared_with_what_helm_stored_of_it() {
        let template = b"kind: {{ .Values.kind }}\n".to_vec();
        let payload = json!({
            "config": { "kind": "Pod" },
            "chart": {
                "metadata": { "name": "cart", "version": "0.1.0" },
                "templates": [{ "name": "templates/a.yaml", "data": BASE64.encode(&template) }],
                "values": { "kind": "Job", "size": 1 },
                "files": [{ "name": "data.txt", "data": BASE64.encode("x") }],
            },
        });
        let stored = StoredSource::of(payload.as_object().unwrap());
        let files = |changed: &[(&str, &str)]| {
            let mut files = BTreeMap::from([
                ("Chart.yaml".to_owned(), b"name: cart\nversion: 0.1.0\n".to_vec()),
                ("values.yaml".to_owned(), b"kind: Job\nsize: 1\n".to_vec()),
                ("templates/a.yaml".to_owned(), template.clone()),
                ("data.txt".to_owned(), b"x".to_vec()),
                ("README.md".to_owned(), Vec::new()),
            ]);
            files.extend(changed.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())));
            files.into_iter().collect::<Vec<_>>()
        };
        assert!(!stored.is_other_chart(&files(&[])));
        for (path, text) in [
            ("Chart.yaml", "name: cart\nversion: 0.2.0\n"),
            ("values.yaml", "kind: Job\nsize: 2\n"),
            ("templates/a.yaml", "kind: Pod\n"),
            ("templates/b.yaml", "kind: Pod\n"),
            ("data.txt", "y"),
        ] {
            assert!(stored.is_other_chart(&files(&[(path, text)])), "{path}");
        }
        assert!(!stored.is_other_chart(&files(&[("templates/b.yaml", ""), (".helmignore", "b.yaml")])));
    }

    #[test]
    fn a_release_of_other_hands_is_taken_over_and_its_removed_fields_are_named() {
        let parse = |text: &str| Rendering::parse([text.as_bytes()], "shop").unwrap();
        let old = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { A: '1', B: '2' }\n";
        let hook = "---\napiVersion: batch/v1\nkind: Job\nmetadata: { name: m, annotations: { helm.sh/hook: \"pre-upgrade,post-install\" } }\n";
        let (stored, planned) = (parse(old), parse(&format!("{}{hook}", old.replace(", B: '2'", ""))));
        let id = stored.objects.keys().next().unwrap().clone();
        let object =
            |rendering: &Rendering| cluster::Object::new(Value::Object(rendering.objects[&id].clone())).unwrap();
        let mut live = Live::default();
        // A server-side apply of another manager leaves what helm wrote.
        live.objects.insert(id.clone(), (object(&stored), Some(object(&stored))));
        let mut service = DeployService::new("cart".try_into().unwrap());
        service.files = vec![("Chart.yaml".to_owned(), b"name: cart\n".to_vec())];
        let request = DeployRequest::of_test();
        let state = |is_foreign| StoredState {
            revision: 1,
            rendering: stored.clone(),
            is_deployed: true,
            is_foreign,
            source: StoredSource::default(),
        };
        let changes = |action, is_foreign| {
            let (request, service, rendering, live) = (&request, &service, &planned, &live);
            let (stored, settings) = (&state(is_foreign), PlannedSettings::default());
            let replaced_hooks = &BTreeSet::new();
            let changing = Changing { request, service, rendering, stored: Some(stored), live, action, replaced_hooks };
            changing.changes(&settings, &Masking::new(None, []))
        };
        let taken = changes(ReleaseAction::Upgrade, true);
        assert_eq!(taken.reasons, [ChangeReason::TakenOver, ChangeReason::Chart].into());
        let field = &taken.objects[0].fields[0];
        assert_eq!((field.path.as_str(), &field.before, &field.after), ("data.B", &Some("2".into()), &None));
        assert_eq!(taken.hooks.iter().map(|hook| hook.before).collect::<Vec<_>>(), [true]);
        assert_eq!(changes(ReleaseAction::Upgrade, false).reasons, [ChangeReason::Chart].into());
        assert!(changes(ReleaseAction::Keep, false).hooks.is_empty());
    }
}
