//! Which locked image an image of a manifest becomes, and which images nothing pins.

use std::collections::BTreeMap;

use lock_model::{ImageRepository, ServiceName};
use serde_json::{Map, Value};

use crate::image::{ImagePin, ImageReference};
use crate::walk::{self, Slot};

/// An image that the lock does not decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Leftover {
    /// The service whose manifests name it.
    pub service: Option<ServiceName>,
    /// File in the rendered tree.
    pub path: String,
    /// `Kind/name` of the object.
    pub object: String,
    /// Place in the object, such as `spec.template.spec.containers[1].image`.
    pub place: String,
    /// The image as it is written there.
    pub image: String,
    /// Why it is listed.
    pub reason: LeftoverReason,
}

/// Why an image is a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverReason {
    /// Not of the lock, and without a digest: its tag can move.
    Unpinned,
    /// Of a locked repository, in a text that is not rewritten and does not name the locked digest.
    LockedElsewhere,
}

/// The images of a lock by repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins(BTreeMap<ImageRepository, Vec<ImagePin>>);

/// What the lock says about a reference.
pub(crate) enum Choice<'a> {
    /// This image it becomes.
    Pin(&'a ImagePin),
    /// The repository is locked more than once, and nothing says which is meant.
    Ambiguous(Vec<String>),
    /// The lock does not know the repository.
    NotLocked,
}

impl Pins {
    pub(crate) fn new<'a>(pins: impl IntoIterator<Item = &'a ImagePin>) -> Self {
        let mut by_repository: BTreeMap<ImageRepository, Vec<ImagePin>> = BTreeMap::new();
        for pin in pins {
            let known = by_repository.entry(pin.repository.clone()).or_default();
            if !known.contains(pin) {
                known.push(pin.clone());
            }
        }
        for pins in by_repository.values_mut() {
            pins.sort();
        }
        Self(by_repository)
    }

    /// A service's own image comes first; among several of one repository, the tag decides.
    pub(crate) fn choose<'a>(&'a self, own: Option<&'a ImagePin>, reference: &ImageReference) -> Choice<'a> {
        if let Some(own) = own.filter(|own| own.repository == reference.repository) {
            return Choice::Pin(own);
        }
        let pins = self.0.get(&reference.repository).map_or(&[][..], Vec::as_slice);
        match pins {
            [] => Choice::NotLocked,
            [only] => Choice::Pin(only),
            several => {
                let mut same_tag = several.iter().filter(|pin| pin.tag.is_some() && pin.tag == reference.tag);
                match (same_tag.next(), same_tag.next()) {
                    (Some(one), None) => Choice::Pin(one),
                    (None | Some(_), _) => Choice::Ambiguous(several.iter().map(ImagePin::reference).collect()),
                }
            }
        }
    }
}

/// An image that something will pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundImage {
    pub(crate) place: String,
    pub(crate) slot: Slot,
    /// As it was written.
    pub(crate) before: String,
    /// What the lock makes of it; none where the lock does not know it, or cannot decide.
    pub(crate) locked: Option<String>,
    pub(crate) verdict: ImageVerdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageVerdict {
    Locked,
    /// Foreign, with a digest.
    Pinned,
    Leftover(LeftoverReason),
    Ambiguous(Vec<String>),
    NotAnImage,
}

/// Finds every image of an object and writes the locked ones in their pinned form.
pub(crate) fn pin_images(object: &mut Map<String, Value>, own: Option<&ImagePin>, pins: &Pins) -> Vec<FoundImage> {
    let holds_text = matches!(object.get("kind").and_then(Value::as_str), Some("ConfigMap" | "Secret"));
    let mut found = split_images(object, own, pins);
    walk::strings(object, &mut |place, slot, text| {
        let slot = if slot == Slot::Field && holds_text { Slot::Text } else { slot };
        match slot {
            Slot::Container | Slot::Volume | Slot::Field => {
                let Some((verdict, locked)) = judge(text, slot, own, pins) else { return };
                found.push(FoundImage {
                    place: place.to_owned(),
                    slot,
                    before: text.clone(),
                    locked: locked.clone(),
                    verdict,
                });
                if let Some(locked) = locked {
                    *text = locked;
                }
            }
            Slot::Text => {
                for token in tokens(text) {
                    if let Some(reason) = hidden_image(token, own, pins) {
                        found.push(FoundImage {
                            place: place.to_owned(),
                            slot,
                            before: token.to_owned(),
                            locked: None,
                            verdict: ImageVerdict::Leftover(reason),
                        });
                    }
                }
            }
        }
    });
    found
}

fn judge(text: &str, slot: Slot, own: Option<&ImagePin>, pins: &Pins) -> Option<(ImageVerdict, Option<String>)> {
    let Some(reference) = ImageReference::parse(text) else {
        // A field named `image` may hold anything; a container's may not.
        return (slot != Slot::Field).then_some((ImageVerdict::NotAnImage, None));
    };
    Some(match pins.choose(own, &reference) {
        Choice::Pin(pin) => (ImageVerdict::Locked, Some(pin.reference())),
        Choice::Ambiguous(which) => (ImageVerdict::Ambiguous(which), None),
        Choice::NotLocked if reference.digest.is_some() => (ImageVerdict::Pinned, None),
        Choice::NotLocked => (ImageVerdict::Leftover(LeftoverReason::Unpinned), None),
    })
}

/// Images that an object writes in two fields, `repository` and `tag`, as charts and custom resources do.
fn split_images(object: &Map<String, Value>, own: Option<&ImagePin>, pins: &Pins) -> Vec<FoundImage> {
    let mut found = Vec::new();
    walk::maps(object, &mut |map| {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let (Some(repository), Some(tag)) = (text("repository"), text("tag")) else { return };
        let host = text("registry").map(|host| format!("{host}/")).unwrap_or_default();
        let digest = text("digest").map(|digest| format!("@{digest}")).unwrap_or_default();
        let whole = format!("{host}{repository}:{tag}{digest}");
        let Some(reference) = ImageReference::parse(&whole) else { return };
        let reason = match pins.choose(own, &reference) {
            Choice::Pin(pin) if reference.digest.as_ref() == Some(&pin.digest) => return,
            Choice::Pin(_) | Choice::Ambiguous(_) => LeftoverReason::LockedElsewhere,
            Choice::NotLocked if reference.digest.is_some() => return,
            Choice::NotLocked => LeftoverReason::Unpinned,
        };
        found.push(FoundImage {
            place: "repository and tag".to_owned(),
            slot: Slot::Text,
            before: whole,
            locked: None,
            verdict: ImageVerdict::Leftover(reason),
        });
    });
    found
}

/// A word of a text that names an image: of a locked repository, or unmistakably one (a registry host and a tag).
fn hidden_image(token: &str, own: Option<&ImagePin>, pins: &Pins) -> Option<LeftoverReason> {
    let token = token.strip_prefix("docker://").or_else(|| token.strip_prefix("oci://")).unwrap_or(token);
    let reference = ImageReference::parse(token).filter(|reference| reference.names_host)?;
    match pins.choose(own, &reference) {
        Choice::Pin(pin) if reference.digest.as_ref() == Some(&pin.digest) => None,
        Choice::Pin(_) | Choice::Ambiguous(_) => Some(LeftoverReason::LockedElsewhere),
        Choice::NotLocked if reference.digest.is_none() && reference.tag.is_some() => Some(LeftoverReason::Unpinned),
        Choice::NotLocked => None,
    }
}

/// The words of a text; what separates them cannot stand in an image reference.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| {
        !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/' | ':' | '@'))
    })
    .map(|token| token.trim_matches(['.', ':', '-']))
    .filter(|token| token.contains('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(repository: &str, tag: &str, digit: &str) -> ImagePin {
        ImagePin {
            repository: repository.try_into().unwrap(),
            tag: Some(tag.try_into().unwrap()),
            digest: format!("sha256:{}", digit.repeat(64)).try_into().unwrap(),
        }
    }

    #[test]
    fn two_locked_images_of_one_repository_are_told_apart_by_service_and_tag() {
        let (first, second) = (image("ghcr.io/shop/all", "cart", "1"), image("ghcr.io/shop/all", "web", "2"));
        let pins = Pins::new([&first, &second]);
        let choose = |own, text: &str| match pins.choose(own, &ImageReference::parse(text).unwrap()) {
            Choice::Pin(pin) => pin.tag.as_ref().unwrap().to_string(),
            Choice::Ambiguous(which) => format!("{} of them", which.len()),
            Choice::NotLocked => "unknown".to_owned(),
        };
        assert_eq!(choose(Some(&second), "ghcr.io/shop/all:cart"), "web");
        assert_eq!(choose(None, "ghcr.io/shop/all:cart"), "cart");
        assert_eq!(choose(None, "ghcr.io/shop/all:latest"), "2 of them");
        assert_eq!(choose(None, "ghcr.io/shop/other:latest"), "unknown");
    }

    #[test]
    fn t19_images_in_text_are_found_and_addresses_are_not_taken_for_images() {
        let own = image("ghcr.io/shop/cart", "main-1", "1");
        let pins = Pins::new([&own]);
        let pinned = own.reference();
        let mut object = json!({
            "kind": "ConfigMap",
            "data": {
                "args": "--sidecar-image=quay.io/team/sidecar:1.2 --other",
                "nested": "containers:\n- image: \"registry.example:5000/x/y:v1\"\n",
                "locked": "ghcr.io/shop/cart:latest",
                "pinned": pinned,
                "foreign": format!("quay.io/team/x@sha256:{}", "3".repeat(64)),
                "address": "http://cart.shop-staging.svc:8080/health, redis://db.example:6379/0",
                "plain": "a/b: c/d",
                "image": "logo.png",
            },
        });
        let found = pin_images(object.as_object_mut().unwrap(), Some(&own), &pins);
        let mut shown: Vec<String> =
            found.iter().map(|it| format!("{} {} {:?}", it.place, it.before, it.verdict)).collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "data.args quay.io/team/sidecar:1.2 Leftover(Unpinned)",
                "data.locked ghcr.io/shop/cart:latest Leftover(LockedElsewhere)",
                "data.nested registry.example:5000/x/y:v1 Leftover(Unpinned)",
            ]
        );
    }
}
