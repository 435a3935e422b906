//! Which locked image an image of a manifest becomes, and which images nothing pins.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{Digest, ImageReference, ImageRepository, LockedImage, ServiceName, Tag};
use serde_json::{Map, Value};

use crate::image_fields::{self, Slot};
use crate::manifest::ObjectId;
use crate::problem::escaped;

/// The image that a lock fixes for one repository: an [`ImageReference`] that has a digest.
///
/// Displayed as it goes into a manifest: `ghcr.io/shop/cart:main-1111111@sha256:2222…`. The tag is for people, the
/// digest decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ImagePin {
    /// Repository with its registry host.
    pub repository: ImageRepository,
    /// The tag that the digest was found under; third parties are locked without one.
    pub tag: Option<Tag>,
    /// Digest of the index, or of the manifest where there is no index.
    pub digest: Digest,
}

impl ImagePin {
    /// A pin without tag.
    pub fn new(repository: ImageRepository, digest: Digest) -> Self {
        Self { repository, tag: None, digest }
    }

    /// Sets or replaces the tag.
    #[must_use]
    pub fn with_tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

impl From<&LockedImage> for ImagePin {
    fn from(image: &LockedImage) -> Self {
        Self::new(image.repository.clone(), image.digest.clone()).with_tag(image.tag.clone())
    }
}

impl From<ImagePin> for ImageReference {
    fn from(pin: ImagePin) -> Self {
        Self { repository: pin.repository, tag: pin.tag, digest: Some(pin.digest) }
    }
}

impl fmt::Display for ImagePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ImageReference::from(self.clone()).fmt(f)
    }
}

/// An image that the lock does not decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UnpinnedImage {
    /// The service whose manifests name it.
    pub service: Option<ServiceName>,
    /// The file that holds the object; for the target `render`, in the rendered tree.
    pub path: String,
    /// `Kind/name` of the object.
    pub object: String,
    /// Field of the object, such as `spec.template.spec.containers[1].image`.
    pub place: String,
    /// The image as it is written there.
    pub image: String,
    /// Why it is listed.
    pub reason: UnpinnedReason,
}

impl UnpinnedImage {
    /// The reference, without the scheme that some texts put before it; none where it is too long to be one.
    pub fn reference(&self) -> Option<ImageReference> {
        without_scheme(&self.image).parse().ok()
    }
}

/// Why an image counts as unpinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnpinnedReason {
    /// Not of the lock, and without a digest: its tag can move.
    NoDigest,
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
                    (None | Some(_), _) => Choice::Ambiguous(several.iter().map(ImagePin::to_string).collect()),
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
    pub(crate) verdict: ImageVerdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageVerdict {
    /// Becomes this reference of the lock.
    Locked(String),
    /// Foreign, with a digest.
    Pinned,
    Unpinned(UnpinnedReason),
    /// Of a repository that is locked more than once, and nothing says which is meant.
    Ambiguous(Vec<String>),
    NotAnImage,
}

impl FoundImage {
    /// The entry of a list of unpinned images.
    pub(crate) fn unpinned(
        self,
        reason: UnpinnedReason,
        service: &ServiceName,
        path: &str,
        object: &ObjectId,
    ) -> UnpinnedImage {
        let (service, path, object) = (Some(service.clone()), path.to_owned(), object.to_string());
        UnpinnedImage { service, path, object, place: self.place, image: escaped(&self.before), reason }
    }
}

/// Finds every image of an object and writes the locked ones in their pinned form.
pub(crate) fn pin_images(object: &mut Map<String, Value>, own: Option<&ImagePin>, pins: &Pins) -> Vec<FoundImage> {
    let holds_text = matches!(object.get("kind").and_then(Value::as_str), Some("ConfigMap" | "Secret"));
    let mut found = split_images(object, own, pins);
    image_fields::strings(object, &mut |place, slot, text| {
        let slot = if slot == Slot::Field && holds_text { Slot::Text } else { slot };
        let mut find = |before: &str, verdict| {
            found.push(FoundImage { place: place.to_owned(), slot, before: before.to_owned(), verdict });
        };
        match slot {
            Slot::Container | Slot::Volume | Slot::Field => {
                let Some(verdict) = judge(text, slot, own, pins) else {
                    // With a scheme, in capitals, or one of several: the controller of the custom resource may make an image of it.
                    for token in tokens(text) {
                        let Some(reference) = named_image(&token.to_ascii_lowercase()) else { continue };
                        if let Some(reason) = judge_text(&reference, own, pins) {
                            find(token, ImageVerdict::Unpinned(reason));
                        }
                    }
                    return;
                };
                find(text, verdict.clone());
                if let ImageVerdict::Locked(locked) = verdict {
                    *text = locked;
                }
            }
            Slot::Text => {
                for token in tokens(text) {
                    let Some(reference) = named_image(token) else { continue };
                    // Without a tag it may as well be the path of a page.
                    let may_be_a_path = reference.tag.is_none();
                    match judge_text(&reference, own, pins) {
                        None => {}
                        Some(UnpinnedReason::NoDigest) if may_be_a_path => {}
                        Some(reason) => find(token, ImageVerdict::Unpinned(reason)),
                    }
                }
            }
        }
    });
    found
}

fn judge(text: &str, slot: Slot, own: Option<&ImagePin>, pins: &Pins) -> Option<ImageVerdict> {
    let Ok(reference) = text.parse() else {
        // A field named `image` may hold anything; a container's may not.
        return (slot != Slot::Field).then_some(ImageVerdict::NotAnImage);
    };
    Some(match pins.choose(own, &reference) {
        Choice::Pin(pin) => ImageVerdict::Locked(pin.to_string()),
        Choice::Ambiguous(which) => ImageVerdict::Ambiguous(which),
        Choice::NotLocked if reference.digest.is_some() => ImageVerdict::Pinned,
        Choice::NotLocked => ImageVerdict::Unpinned(UnpinnedReason::NoDigest),
    })
}

/// What is wrong with an image in a text, which is not rewritten: it must name the locked digest, or any digest where
/// the lock does not know it.
fn judge_text(reference: &ImageReference, own: Option<&ImagePin>, pins: &Pins) -> Option<UnpinnedReason> {
    match (pins.choose(own, reference), &reference.digest) {
        (Choice::Pin(pin), Some(digest)) if *digest == pin.digest => None,
        (Choice::Pin(_) | Choice::Ambiguous(_), _) => Some(UnpinnedReason::LockedElsewhere),
        (Choice::NotLocked, Some(_)) => None,
        (Choice::NotLocked, None) => Some(UnpinnedReason::NoDigest),
    }
}

/// Images that an object writes in two fields, `repository` and `tag`, as charts and custom resources do.
fn split_images(object: &Map<String, Value>, own: Option<&ImagePin>, pins: &Pins) -> Vec<FoundImage> {
    let mut found = Vec::new();
    image_fields::maps(object, &mut |map| {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        // YAML reads `tag: 1.36` as a number.
        let tag = map.get("tag").and_then(|tag| match tag {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        let (Some(repository), Some(tag)) = (text("repository"), tag) else { return };
        let host = text("registry").map(|host| format!("{host}/")).unwrap_or_default();
        let digest = text("digest").filter(|digest| !digest.is_empty());
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        let before = format!("{host}{repository}:{tag}{digest}");
        let Ok(reference) = before.parse() else { return };
        let Some(reason) = judge_text(&reference, own, pins) else { return };
        let (place, verdict) = ("repository and tag".to_owned(), ImageVerdict::Unpinned(reason));
        found.push(FoundImage { place, slot: Slot::Text, before, verdict });
    });
    found
}

/// The reference in a word of a text, if it names a registry host.
fn named_image(token: &str) -> Option<ImageReference> {
    ImageReference::parse_qualified(without_scheme(token)).ok()
}

fn without_scheme(text: &str) -> &str {
    text.strip_prefix("docker://").or_else(|| text.strip_prefix("oci://")).unwrap_or(text)
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
        let digest = format!("sha256:{}", digit.repeat(64)).try_into().unwrap();
        ImagePin::new(repository.try_into().unwrap(), digest).with_tag(tag.try_into().unwrap())
    }

    #[test]
    fn two_locked_images_of_one_repository_are_told_apart_by_service_and_tag() {
        let (first, second) = (image("ghcr.io/shop/all", "cart", "1"), image("ghcr.io/shop/all", "web", "2"));
        let pins = Pins::new([&first, &second]);
        let choose = |own, text: &str| match pins.choose(own, &text.parse().unwrap()) {
            Choice::Pin(pin) => pin.tag.as_ref().unwrap().to_string(),
            Choice::Ambiguous(which) => format!("{} of them", which.len()),
            Choice::NotLocked => "unknown".to_owned(),
        };
        assert_eq!(choose(Some(&second), "ghcr.io/shop/all:cart"), "web");
        assert_eq!(choose(None, "ghcr.io/shop/all:cart"), "cart");
        assert_eq!(choose(None, "ghcr.io/shop/all:latest"), "2 of them");
        assert_eq!(choose(None, "ghcr.io/shop/other:latest"), "unknown");

        // A pin without tag is not what a reference without tag means.
        let untagged = ImagePin { tag: None, ..second.clone() };
        let pins = Pins::new([&first, &untagged]);
        assert!(matches!(pins.choose(None, &"ghcr.io/shop/all".parse().unwrap()), Choice::Ambiguous(_)));
    }

    #[test]
    fn t75_a_field_that_names_an_image_in_its_own_way_is_read() {
        let own = image("ghcr.io/shop/cart", "main-1", "1");
        let pins = Pins::new([&own]);
        let found = |spec: serde_json::Value| {
            let mut object = json!({ "kind": "Proxy", "spec": spec });
            let found = pin_images(object.as_object_mut().unwrap(), Some(&own), &pins);
            found.into_iter().map(|it| format!("{} {:?}", it.before, it.verdict)).collect::<Vec<_>>()
        };
        for image in ["docker://quay.io/x/y:1", "oci://quay.io/x/y", "QUAY.IO/x/y:1", " quay.io/x/y:1\n"] {
            let before = image.trim();
            assert_eq!(found(json!({ "image": image })), [format!("{before} Unpinned(NoDigest)")]);
        }
        assert_eq!(found(json!({ "image": "quay.io/x/y:1,quay.io/x/z:2" })).len(), 2);
        assert_eq!(found(json!({ "image": "docker://ghcr.io/shop/cart:x" })).len(), 1, "not the locked digest");
        for tag in [json!("1.36"), json!(1.36), json!(7)] {
            let split = json!({ "repository": "quay.io/x/y", "tag": tag, "digest": "" });
            assert_eq!(found(split).len(), 1, "{tag}");
        }
        let pinned = format!("docker://quay.io/x/y@sha256:{}", "3".repeat(64));
        for image in [pinned.as_str(), "https://cdn.example/Logo.png", "A picture", "{{ .image }}"] {
            assert_eq!(found(json!({ "image": image })), [""; 0], "{image}");
        }
    }

    #[test]
    fn t19_images_in_text_are_found_and_addresses_are_not_taken_for_images() {
        let own = image("ghcr.io/shop/cart", "main-1", "1");
        let pins = Pins::new([&own]);
        let pinned = own.to_string();
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
                "data.args quay.io/team/sidecar:1.2 Unpinned(NoDigest)",
                "data.locked ghcr.io/shop/cart:latest Unpinned(LockedElsewhere)",
                "data.nested registry.example:5000/x/y:v1 Unpinned(NoDigest)",
            ]
        );
    }
}
