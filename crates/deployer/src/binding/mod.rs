//! What a plan rests on, so that a plan that was saved can be compared with the one that is made before it is applied.
//!
//! No secret is in it: of Secrets it has keyed digests alone.

mod progress;
mod waves;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::{Object, StateKey};
use lock_model::{CommitId, Digest, ServiceName};
use serde::{Deserialize, Serialize};

use crate::batch::{BatchObject, BatchPart};
use crate::diff::FieldChange;
use crate::namespace::content;
use crate::noise::{self, PathPart};
use crate::plan::{Plan, PlanDetail};
use crate::problem::escaped;
use crate::settings::{PlannedSettings, keyed_digest};

pub use progress::PlanProgress;
pub use waves::BoundWave;

/// What a plan rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanBinding {
    /// Digest over everything that would be deployed.
    pub digest: Digest,
    /// The version of the helm that rendered it; absent for other targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<String>,
    /// Keyed digest over the settings of all services; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Head of the rendered branch; absent where there is none yet, and for other targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_head: Option<CommitId>,
    /// The waves of services, in their order; absent for the target `render`, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Vec<BoundWave>>,
    /// The objects that would be written or removed, or stay; empty for the target `render`.
    pub objects: Vec<BoundObject>,
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BoundObject {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Kind with API group, namespace and name: `Deployment.apps shop/cart`.
    pub object: String,
    /// What happens to it.
    pub part: BatchPart,
    /// Digest of what it would become; keyed for a Secret.
    pub wanted: String,
    /// The object as it was found; absent where it was not there, or was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<BoundLive>,
    /// The fields that would become others; of Secrets as markers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// An object as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BoundLive {
    /// What tells it apart from another object of its name.
    pub uid: String,
    /// The version that the API server gave to its last write.
    pub resource_version: String,
    /// Digest of what it says, without its status and what the API server keeps; keyed for a Secret.
    pub content: String,
}

/// A difference between a saved plan and what would be deployed now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Moved {
    /// The service; none for what concerns all of them.
    pub service: Option<ServiceName>,
    /// What it was and what it is.
    pub message: String,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "`{service}`: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why a plan cannot be bound: settings or Secrets of a namespace without a key could be compared with nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace has no key yet by which settings and Secrets could be compared later: its first deployment makes it"
)]
pub struct NotBound;

impl Plan {
    /// What the plan rests on.
    ///
    /// # Errors
    ///
    /// [`NotBound`] for settings and Secrets in a namespace that nothing was deployed to yet.
    pub fn binding(&self) -> Result<PlanBinding, NotBound> {
        let (helm, branch_head, settings) = match &self.detail {
            PlanDetail::Render(plan) => (None, plan.base.clone(), None),
            PlanDetail::Helm(plan) => (Some(plan.helm.to_string()), None, Some(&plan.settings)),
            PlanDetail::Apply(plan) => (None, None, Some(&plan.settings)),
        };
        let waves = match &self.detail {
            PlanDetail::Render(_) => None,
            PlanDetail::Helm(plan) => {
                let services = plan.releases.iter().map(|release| (&release.service, release.wave));
                Some(waves::bound(&plan.request.waves, &services.collect::<Vec<_>>()))
            }
            PlanDetail::Apply(plan) => {
                let services = plan.services.iter().filter(|planned| !planned.has_left);
                Some(waves::bound(
                    &plan.request.waves,
                    &services.map(|planned| (&planned.service, planned.wave)).collect::<Vec<_>>(),
                ))
            }
        };
        let inputs = settings.map(|settings| settings.inputs.clone()).filter(|inputs| !inputs.is_empty());
        let is_stored = settings.is_some_and(|settings| settings.is_key_stored);
        if inputs.is_some() && !is_stored {
            return Err(NotBound);
        }
        let key = settings.and_then(|settings: &PlannedSettings| settings.key.as_ref()).filter(|_| is_stored);
        let mut objects = Vec::new();
        for object in self.batch() {
            objects.push(self.bound(object, key)?);
        }
        objects.sort_by(|one, other| {
            (&one.service, &one.object, one.part).cmp(&(&other.service, &other.object, other.part))
        });
        Ok(PlanBinding { digest: self.digest.clone(), helm, settings: inputs, branch_head, waves, objects })
    }

    fn bound(&self, object: &BatchObject, key: Option<&StateKey>) -> Result<BoundObject, NotBound> {
        let BatchObject { service, wave: _, part, wanted, live } = object;
        let name = wanted.key();
        let short = escaped(&format!("{}/{}", name.kind.kind, name.name));
        let changes = self.services.iter().filter(|changes| changes.service == *service);
        let change = changes.flat_map(|changes| &changes.objects).find(|change| change.object == short);
        let group = if name.kind.group.is_empty() { String::new() } else { format!(".{}", name.kind.group) };
        let place = name.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        // What goes is planned as it was found.
        let found = match part {
            BatchPart::Removed => Some(wanted),
            BatchPart::Settings => None,
            BatchPart::HookBefore | BatchPart::Kept | BatchPart::HookAfter => live.as_ref(),
        };
        let found = found.and_then(|found| Some((found, found.uid()?, found.resource_version()?)));
        // What other programs write all the time is no change of what was planned.
        let noise = match &self.detail {
            PlanDetail::Render(_) => None,
            PlanDetail::Helm(plan) => plan.request.noise.get(service),
            PlanDetail::Apply(plan) => plan.request.noise.get(service),
        };
        let noise = noise::rules_of_object(noise.map(Vec::as_slice).unwrap_or_default(), &short);
        let live = found.map(|(found, uid, version)| {
            let content = digest(found, &noise, key)?;
            Ok(BoundLive { uid: uid.to_owned(), resource_version: version.to_owned(), content })
        });
        Ok(BoundObject {
            service: service.clone(),
            object: format!("{}{group} {place}{}", name.kind.kind, name.name),
            part: *part,
            wanted: digest(wanted, &noise, key)?,
            live: live.transpose()?,
            fields: change.map(|change| change.fields.clone()).unwrap_or_default(),
        })
    }
}

fn digest(object: &Object, rules: &[&[PathPart]], key: Option<&StateKey>) -> Result<String, NotBound> {
    let content = noise::without(rules, content(object));
    if object.key().kind.is("", "Secret") {
        let digest = keyed_digest(key.ok_or(NotBound)?, &content);
        return Ok(format!("hmac-sha256:{digest}"));
    }
    Ok(Digest::of(content.to_string().as_bytes()).to_string())
}

impl PlanBinding {
    /// What is not any more as it was when this plan was made; `now` is the plan that would be applied. A write that
    /// changed nothing but the status of an object is no difference.
    fn moved(&self, now: &Self) -> Vec<Moved> {
        let mut moved = Vec::new();
        let mut all = |message: String| moved.push(Moved { service: None, message });
        let or_none = |text: Option<&str>| text.map_or_else(|| "none".to_owned(), escaped);
        if self.helm != now.helm {
            let (before, after) = (or_none(self.helm.as_deref()), or_none(now.helm.as_deref()));
            all(format!("helm was {before} when it was planned, and is {after}"));
        }
        if self.branch_head != now.branch_head {
            let short =
                |commit: &Option<CommitId>| commit.as_ref().map_or("none", |commit| commit.short(12)).to_owned();
            let (before, after) = (short(&self.branch_head), short(&now.branch_head));
            all(format!("the head of the rendered branch was {before}, and is {after}"));
        }
        moved.extend(waves::moved(self.waves.as_deref(), now.waves.as_deref()));
        // The same is to be there in the end.
        let is_same = (&self.helm, &self.settings, &self.digest) == (&now.helm, &now.settings, &now.digest);
        let (before, after) = (by_name(&self.objects), by_name(&now.objects));
        let names = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
        for name in names {
            let object = |found: &BoundObject, message: String| Moved {
                service: Some(found.service.clone()),
                message: format!("{} {message}", escaped(&short(&found.object))),
            };
            let (before, after) = (before.get(name).copied(), after.get(name).copied());
            if is_same && now.is_done(before, after) {
                continue;
            }
            match (before, after) {
                (Some(before), Some(after)) => {
                    moved.extend(differences(before, after).into_iter().map(|message| object(before, message)));
                }
                (Some(before), None) => {
                    moved.push(object(before, "was planned, and is not planned any more".to_owned()));
                }
                (None, Some(after)) => moved.push(object(after, "was not planned, and would be now".to_owned())),
                (None, None) => {}
            }
        }
        if moved.is_empty() && self.settings != now.settings {
            moved.push(Moved {
                service: None,
                message: "the settings or the pull secret are others than planned".to_owned(),
            });
        }
        if moved.is_empty() && self.digest != now.digest {
            let message = format!("what would be deployed has digest {}, planned was {}", now.digest, self.digest);
            moved.push(Moved { service: None, message });
        }
        moved
    }
}

/// Kind and name of an object in a plan, for people: `Deployment/cart` where the plan has `Deployment.apps shop/cart`.
fn short(object: &str) -> String {
    let (kind, name) = object.split_once(' ').unwrap_or(("", object));
    let kind = kind.split_once('.').map_or(kind, |(kind, _)| kind);
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    format!("{kind}/{name}")
}

fn by_name(objects: &[BoundObject]) -> BTreeMap<(&ServiceName, &str, BatchPart), &BoundObject> {
    objects.iter().map(|object| ((&object.service, object.object.as_str(), object.part), object)).collect()
}

/// What moved of one object.
fn differences(before: &BoundObject, after: &BoundObject) -> Vec<String> {
    let (was, is) = match (&before.live, &after.live) {
        (None, None) => return otherwise(before, after),
        (Some(_), None) => return vec!["is gone from the cluster".to_owned()],
        (None, Some(live)) => {
            return vec![format!("is in the cluster now (resourceVersion {})", escaped(&live.resource_version))];
        }
        (Some(was), Some(is)) => (was, is),
    };
    if was.uid != is.uid {
        return vec!["was made anew in the cluster".to_owned()];
    }
    if was.content == is.content {
        return otherwise(before, after);
    }
    let versions = format!("resourceVersion {} → {}", escaped(&was.resource_version), escaped(&is.resource_version));
    let fields = fields(before, after, |field| field.before.as_ref());
    if fields.is_empty() {
        return vec![format!("was changed in the cluster, in a field that the plan leaves as it is ({versions})")];
    }
    fields.into_iter().map(|field| format!("was changed in the cluster: {field} ({versions})")).collect()
}

/// What was found is the same; what would be written is not.
fn otherwise(before: &BoundObject, after: &BoundObject) -> Vec<String> {
    if before.wanted == after.wanted {
        return Vec::new();
    }
    let fields = fields(before, after, |field| field.after.as_ref());
    if fields.is_empty() {
        return vec!["is rendered to something else than when it was planned".to_owned()];
    }
    fields.into_iter().map(|field| format!("would be another than planned: {field}")).collect()
}

/// The fields whose value on one side is another.
fn fields(
    before: &BoundObject,
    after: &BoundObject,
    side: impl Fn(&FieldChange) -> Option<&serde_json::Value>,
) -> Vec<String> {
    // A field that is not in a list is one that would stay as it is.
    let by_path = |object: &BoundObject| -> BTreeMap<String, Option<String>> {
        let fields = object.fields.iter().map(|field| (field.path.clone(), side(field).map(ToString::to_string)));
        fields.collect()
    };
    let (before, after) = (by_path(before), by_path(after));
    let paths = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    let value = |value: Option<&Option<String>>| match value {
        Some(Some(text)) => escaped(text),
        Some(None) => "nothing".to_owned(),
        None => "what the plan makes of it".to_owned(),
    };
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| format!("`{}` was {}, and is {}", escaped(path), value(before.get(path)), value(after.get(path))))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn object(name: &str, content: &str, version: &str, before: u32) -> BoundObject {
        BoundObject {
            service: "cart".try_into().unwrap(),
            object: format!("Deployment.apps shop/{name}"),
            part: BatchPart::Kept,
            wanted: "w".to_owned(),
            live: Some(BoundLive {
                uid: "u".to_owned(),
                resource_version: version.to_owned(),
                content: content.to_owned(),
            }),
            fields: vec![FieldChange {
                path: "spec.replicas".to_owned(),
                before: Some(before.into()),
                after: Some(json!(3)),
            }],
        }
    }

    pub(super) fn binding(objects: Vec<BoundObject>) -> PlanBinding {
        PlanBinding {
            digest: Digest::of(b"plan"),
            helm: Some("v4.1.0".to_owned()),
            settings: None,
            branch_head: None,
            waves: None,
            objects,
        }
    }

    fn moved(now: &PlanBinding) -> Vec<String> {
        binding(vec![object("a", "1", "10", 1)]).moved(now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn b32_what_moved_is_named_and_a_status_that_was_written_is_not() {
        assert_eq!(moved(&binding(vec![object("a", "1", "11", 1)])), [""; 0]);
        assert_eq!(
            moved(&binding(vec![object("a", "2", "11", 2)])),
            [
                "`cart`: Deployment/a was changed in the cluster: `spec.replicas` was 1, and is 2 (resourceVersion 10 → 11)"
            ]
        );
        assert_eq!(
            moved(&binding(vec![object("a", "2", "11", 1)])),
            ["`cart`: Deployment/a was changed in the cluster, in a field that the plan leaves as it is \
              (resourceVersion 10 → 11)"]
        );
        let gone = BoundObject { live: None, ..object("a", "1", "10", 1) };
        assert_eq!(moved(&binding(vec![gone])), ["`cart`: Deployment/a is gone from the cluster"]);
        assert_eq!(
            moved(&binding(vec![object("b", "1", "10", 1)])),
            [
                "`cart`: Deployment/a was planned, and is not planned any more",
                "`cart`: Deployment/b was not planned, and would be now"
            ]
        );
        let rendered = BoundObject { wanted: "other".to_owned(), ..object("a", "1", "10", 1) };
        assert_eq!(
            moved(&binding(vec![rendered])),
            ["`cart`: Deployment/a is rendered to something else than when it was planned"]
        );
        let same = || vec![object("a", "1", "10", 1)];
        assert_eq!(
            moved(&PlanBinding { helm: Some("v3.19.0".to_owned()), ..binding(same()) }),
            ["helm was v4.1.0 when it was planned, and is v3.19.0"]
        );
        assert_eq!(
            moved(&PlanBinding { settings: Some("x".to_owned()), ..binding(same()) }),
            ["the settings or the pull secret are others than planned"]
        );
        assert!(moved(&PlanBinding { digest: Digest::of(b"other"), ..binding(same()) })[0].contains("digest"));
    }
}
