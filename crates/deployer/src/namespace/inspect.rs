//! Whether rendered objects are what a request asks for: the same questions to a plan and to what helm stored.

use std::collections::BTreeSet;

use lock_model::{ImageReference, ImageRepository, ServiceName};
use serde_json::{Map, Value};

use super::rendering::Rendering;
use crate::image_fields::Slot;
use crate::image_pinning::{FoundImage, ImagePin, ImageVerdict, Pins, UnpinnedImage, UnpinnedReason, pin_images};
use crate::manifest::ObjectId;
use crate::problem::{ProblemKind, escaped};
use crate::proof::ProvenImage;
use crate::request::{DeployRequest, DeployService, ForeignNamespace, NamespaceRule, UnpinnedImageRule};
use crate::reserved;
use crate::rules::{self, Violation};
use crate::storable;

/// What was found in one service's objects.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) violations: Vec<Violation>,
    pub(crate) proven: BTreeSet<ProvenImage>,
    pub(crate) unpinned: BTreeSet<UnpinnedImage>,
    /// Images of hooks that only `helm test` starts, which is never done here, and that the lock does not decide.
    pub(crate) not_started: BTreeSet<UnpinnedImage>,
}

pub(crate) fn inspect(request: &DeployRequest, service: &DeployService, pins: &Pins, all: &Rendering) -> Inspection {
    let mut inspection = Inspection::default();
    let rule = request.rule_of(service).clone();
    // helm installs what the chart says: nothing can be moved to another namespace.
    let rule = NamespaceRule { foreign: ForeignNamespace::Refuse, ..rule };
    let mut own_container = false;
    for (id, object) in all.started() {
        inspection.violations.extend(reach(request, &rule, id, object));
        inspection.violations.extend(labels(id, object));
        inspection.violations.extend(reserved::violations(request, id, object));
        for image in images_of(object, service, pins) {
            own_container |= image.slot == Slot::Container && is_own(&image, service);
            inspection.image(image, request, service, id);
        }
    }
    for (id, object) in all.test_hooks() {
        inspection.violations.extend(reach(request, &rule, id, object));
        inspection.violations.extend(reserved::violations(request, id, object));
        let unpinned = images_of(object, service, pins).into_iter().filter_map(|image| match image.verdict {
            ImageVerdict::Unpinned(reason) => Some(image.unpinned(reason, &service.name, service.name.as_str(), id)),
            ImageVerdict::Locked(_) | ImageVerdict::Pinned | ImageVerdict::Ambiguous(_) | ImageVerdict::NotAnImage => {
                None
            }
        });
        let unpinned: Vec<UnpinnedImage> = unpinned.collect();
        if request.test_hooks == UnpinnedImageRule::Refuse {
            inspection.violations.extend(unpinned.iter().map(|image| {
                let message =
                    format!("`{}` of {id}, which `helm test` starts: `{}` has no digest", image.place, image.image);
                (ProblemKind::TestHook, message)
            }));
        }
        inspection.not_started.extend(unpinned);
    }
    if all.started().next().is_none() {
        let message = "the service is deployed here, but it has no object".to_owned();
        inspection.violations.push((ProblemKind::NothingToDeploy, message));
    } else if let (Some(own), false) = (&service.image, own_container) {
        let message = format!("no container of it runs `{own}`");
        inspection.violations.push((ProblemKind::NothingToDeploy, message));
    }
    inspection
}

/// Judges the hooks that the end of a release starts. Its service is not deployed any more, so that a digest is enough: the lock
/// may have none for it, or another one.
pub(crate) fn inspect_last_hooks<'a>(
    request: &DeployRequest,
    service: &ServiceName,
    pins: &Pins,
    hooks: impl Iterator<Item = (&'a ObjectId, &'a Map<String, Value>)>,
) -> Inspection {
    let mut inspection = Inspection::default();
    let rule = NamespaceRule { foreign: ForeignNamespace::Refuse, ..request.namespace_rule.clone() };
    for (id, object) in hooks {
        inspection.violations.extend(reach(request, &rule, id, object));
        inspection.violations.extend(reserved::violations(request, id, object));
        for image in pin_images(&mut object.clone(), None, pins) {
            if image.before.parse::<ImageReference>().is_ok_and(|found| found.digest.is_some()) {
                continue;
            }
            let found = format!("`{}` of {id} is `{}`", image.place, escaped(&image.before));
            let reason = match &image.verdict {
                ImageVerdict::Pinned => continue,
                ImageVerdict::NotAnImage => {
                    let message = format!("{found}, which is not an image reference");
                    inspection.violations.push((ProblemKind::Image, message));
                    continue;
                }
                ImageVerdict::Unpinned(reason) => *reason,
                ImageVerdict::Locked(_) | ImageVerdict::Ambiguous(_) => UnpinnedReason::LockedElsewhere,
            };
            if request.unpinned_images == UnpinnedImageRule::Refuse || reason == UnpinnedReason::LockedElsewhere {
                let message = format!("{found}, which is not written with a digest");
                inspection.violations.push((ProblemKind::UnpinnedImage, message));
            }
            inspection.unpinned.insert(image.unpinned(reason, service, service.as_str(), id));
        }
    }
    inspection
}

/// What keeps objects from running the images of the lock.
#[derive(Debug, Default)]
pub(crate) struct ImageFaults {
    /// Whether a container runs the service's own image by its digest.
    pub(crate) runs_own: bool,
    /// Labels that the image makes invalid.
    pub(crate) labels: BTreeSet<LabelFault>,
    /// Images of locked repositories that are not the locked ones.
    pub(crate) images: Vec<ImageFault>,
}

/// A label that no label may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LabelFault {
    pub(crate) name: String,
    pub(crate) message: String,
}

/// An image of a locked repository with another digest than the locked one, or none.
#[derive(Debug)]
pub(crate) struct ImageFault {
    pub(crate) message: String,
    /// As it is written.
    pub(crate) image: String,
    pub(crate) repository: ImageRepository,
    /// Whether the repository is that of the service itself.
    pub(crate) is_own: bool,
}

impl ImageFaults {
    /// Whether a service's own image is in a container of it, everywhere with the locked digest, and no label suffers for it.
    pub(crate) fn is_carried(&self) -> bool {
        self.runs_own && self.labels.is_empty() && !self.images.iter().any(|fault| fault.is_own)
    }
}

/// Looks at the images of rendered objects, and at the labels that they are written into.
pub(crate) fn image_faults(service: &DeployService, pins: &Pins, all: &Rendering) -> ImageFaults {
    let mut faults = ImageFaults::default();
    for (id, object) in all.started() {
        faults.labels.extend(label_faults(id, object));
        for image in images_of(object, service, pins) {
            let Ok(found) = image.before.parse::<ImageReference>() else { continue };
            let own = service.image.as_ref().filter(|own| own.repository == found.repository);
            let wanted = match (&image.verdict, own) {
                (_, Some(own)) => own.to_string(),
                (ImageVerdict::Locked(wanted), None) => wanted.clone(),
                (ImageVerdict::Ambiguous(which), None) => which.join(", "),
                (ImageVerdict::Pinned | ImageVerdict::Unpinned(_) | ImageVerdict::NotAnImage, None) => continue,
            };
            if wanted.parse::<ImageReference>().is_ok_and(|wanted| wanted.digest == found.digest) {
                faults.runs_own |= own.is_some() && image.slot == Slot::Container;
                continue;
            }
            let message = format!("`{}` of {id} is `{}`, locked is `{wanted}`", image.place, escaped(&image.before));
            let (repository, is_own) = (found.repository, own.is_some());
            faults.images.push(ImageFault { message, image: image.before, repository, is_own });
        }
    }
    faults
}

fn images_of(object: &Map<String, Value>, service: &DeployService, pins: &Pins) -> Vec<FoundImage> {
    pin_images(&mut object.clone(), service.image.as_ref(), pins)
}

fn is_own(image: &FoundImage, service: &DeployService) -> bool {
    let Some(own) = &service.image else { return false };
    image.before.parse::<ImageReference>().is_ok_and(|found| is_pinned_by(&found, own))
}

/// The digest decides; a tag beside it is for people.
fn is_pinned_by(found: &ImageReference, pin: &ImagePin) -> bool {
    found.repository == pin.repository && found.digest.as_ref() == Some(&pin.digest)
}

impl Inspection {
    fn image(&mut self, image: FoundImage, request: &DeployRequest, service: &DeployService, id: &ObjectId) {
        let found = format!("`{}` of {id} is `{}`", image.place, escaped(&image.before));
        let message = match &image.verdict {
            ImageVerdict::Locked(wanted) => {
                let reference = image.before.parse::<ImageReference>().ok();
                let locked = wanted.parse::<ImageReference>().ok();
                let is_same = reference.zip(locked).is_some_and(|(found, locked)| {
                    found.repository == locked.repository && found.digest == locked.digest
                });
                if is_same {
                    let (service, object) = (Some(service.name.clone()), id.to_string());
                    self.proven.insert(ProvenImage { service, object, place: image.place, image: image.before });
                    return;
                }
                format!("{found}, locked is `{wanted}`")
            }
            ImageVerdict::Pinned => return,
            ImageVerdict::Unpinned(reason) => {
                let reason = *reason;
                if request.unpinned_images == UnpinnedImageRule::Refuse || reason == UnpinnedReason::LockedElsewhere {
                    let why = match reason {
                        UnpinnedReason::NoDigest => "which is neither locked nor written with a digest",
                        UnpinnedReason::LockedElsewhere => "a locked image without its locked digest",
                    };
                    self.violations.push((ProblemKind::UnpinnedImage, format!("{found}, {why}")));
                }
                self.unpinned.insert(image.unpinned(reason, &service.name, service.name.as_str(), id));
                return;
            }
            ImageVerdict::Ambiguous(which) => format!("{found}, locked are {}", which.join(", ")),
            ImageVerdict::NotAnImage => format!("{found}, which is not an image reference"),
        };
        self.violations.push((ProblemKind::Image, message));
    }
}

fn reach(request: &DeployRequest, rule: &NamespaceRule, id: &ObjectId, object: &Map<String, Value>) -> Vec<Violation> {
    let (mut object, mut placed) = (object.clone(), id.clone());
    let mut violations = rules::node_privileges(&object, id, rule);
    violations.extend(storable::violations(&object, id));
    violations.extend(rules::place_in_namespace(&mut object, &mut placed, &request.namespace, rule));
    violations
}

fn labels(id: &ObjectId, object: &Map<String, Value>) -> Vec<Violation> {
    label_faults(id, object).into_iter().map(|fault| (ProblemKind::Label, fault.message)).collect()
}

/// Values of labels that no API server takes, such as a tag with a digest.
fn label_faults(id: &ObjectId, object: &Map<String, Value>) -> BTreeSet<LabelFault> {
    let mut found = BTreeSet::new();
    crate::image_fields::maps(object, &mut |map| {
        for key in ["labels", "matchLabels"] {
            let labels = map.get(key).and_then(Value::as_object).into_iter().flatten();
            let wrong = labels
                .filter_map(|(name, value)| value.as_str().filter(|text| !is_label(text)).map(|text| (name, text)));
            found.extend(wrong.map(|(name, text)| {
                let message =
                    format!("label `{}` of {id} would be `{}`, which no label may be", escaped(name), escaped(text));
                LabelFault { name: name.clone(), message }
            }));
        }
    });
    found
}

fn is_label(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.is_empty()
        || text.len() <= 63
            && edge(text.bytes().next())
            && edge(text.bytes().next_back())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
