//! Whether live objects make pods of the images that the release has: of a `CronJob`, a Job or a custom resource no pod may run
//! that could be asked.

use std::collections::BTreeMap;

use lock_model::ImageReference;
use serde_json::{Map, Value};

use super::added::way_out;
use super::running::{Deployed, is_asked, locked_images};
use crate::image_fields::CONTAINER_LISTS;
use crate::image_pinning::{Choice, Pins};
use crate::manifest::ObjectId;
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind};
use crate::request::DeployRequest;

/// Where a volume of a pod names its image.
const IMAGE_VOLUME: &str = ".image.reference";

/// An image that an object names.
struct Named {
    /// The name of its container; none where a volume or a field of a custom resource names it.
    container: Option<String>,
    image: String,
}

/// The images of live objects that are not those of the release, and containers that the release does not have. Objects
/// that are gone are not looked at.
pub(crate) fn edited_images(deployed: Deployed<'_>, pins: &Pins, request: &DeployRequest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, declared) in &deployed.declared.objects {
        let Some(live) = deployed.live.objects.get(id).filter(|_| !holds_text(id)) else { continue };
        let mut find = |kind, message| {
            findings.push(Finding { service: Some(deployed.service.name.clone()), path: None, kind, message });
        };
        let (wanted, found) = (images(declared), images(live));
        // The pods of these say what their locked containers run, and added ones are found beside them.
        let asked = if is_asked(id) { locked_images(declared, deployed.service, pins) } else { BTreeMap::new() };
        for (place, wanted) in &wanted {
            let is_decided = match &wanted.container {
                Some(name) => !asked.contains_key(name),
                None if place.ends_with(IMAGE_VOLUME) => true,
                // A field named `image` may hold anything: what is locked or has a digest is an image.
                None => wanted.image.parse().is_ok_and(|reference: ImageReference| {
                    reference.digest.is_some()
                        || matches!(pins.choose(deployed.service.image.as_ref(), &reference), Choice::Pin(_))
                }),
            };
            if !is_decided {
                continue;
            }
            let (shown, image) = (escaped(place), escaped(&wanted.image));
            match found.get(place) {
                Some(live) if is_same(&wanted.image, &live.image) => {}
                Some(live) => {
                    let live = escaped(&live.image);
                    find(FindingKind::Image, format!("`{shown}` of {id} is `{live}`, the release has `{image}`"));
                }
                None => find(FindingKind::Image, format!("`{shown}` of {id} is gone, the release has `{image}`")),
            }
        }
        for (place, added) in found.iter().filter(|(place, _)| !wanted.contains_key(*place)) {
            let Some(name) = added.container.as_deref() else {
                if place.ends_with(IMAGE_VOLUME) {
                    let (place, image) = (escaped(place), escaped(&added.image));
                    find(
                        FindingKind::Foreign,
                        format!("`{place}` of {id} is `{image}`, which the release does not have"),
                    );
                }
                continue;
            };
            if is_asked(id) || request.allows(name, &added.image) {
                continue;
            }
            let (place, image, name) = (escaped(place), escaped(&added.image), escaped(name));
            let way_out = way_out(&request.environment);
            let message = format!(
                "{id} has `{image}` in container `{name}` (`{place}`), which the release does not have; {way_out}"
            );
            find(FindingKind::Foreign, message);
        }
    }
    findings
}

/// A text of these names no image that anything starts.
fn holds_text(id: &ObjectId) -> bool {
    id.group.is_empty() && matches!(id.kind.as_str(), "ConfigMap" | "Secret")
}

/// The digest decides, wherever it is pulled from; without one on both sides every character does.
pub(super) fn is_same(wanted: &str, live: &str) -> bool {
    if wanted == live {
        return true;
    }
    let parsed = |text: &str| text.parse::<ImageReference>().ok();
    let (Some(wanted), Some(live)) = (parsed(wanted), parsed(live)) else { return false };
    if wanted.digest.is_some() { wanted.digest == live.digest } else { wanted == live }
}

/// Every image by its place: entries of lists by their names, which stay when another one comes before them.
fn images(object: &Map<String, Value>) -> BTreeMap<String, Named> {
    let mut found = BTreeMap::new();
    for (key, value) in object.iter().filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status")) {
        descend(key, key, value, &mut found);
    }
    found
}

fn descend(place: &str, key: &str, value: &Value, found: &mut BTreeMap<String, Named>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let entry = name.map_or_else(|| index.to_string(), str::to_owned);
                let place = format!("{place}[{entry}]");
                if CONTAINER_LISTS.contains(&key) && item.is_object() {
                    let image = item.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
                    found.insert(place.clone(), Named { container: Some(entry), image });
                } else if let Some(image) = item.as_object().and_then(split_image) {
                    found.insert(place.clone(), Named { container: None, image });
                }
                for (inner, value) in item.as_object().into_iter().flatten() {
                    if inner != "image" || !CONTAINER_LISTS.contains(&key) {
                        descend(&format!("{place}.{inner}"), inner, value, found);
                    }
                }
            }
        }
        Value::Object(map) => {
            if let Some(image) = split_image(map) {
                found.insert(place.to_owned(), Named { container: None, image });
            }
            for (inner, value) in map {
                descend(&format!("{place}.{inner}"), inner, value, found);
            }
        }
        Value::String(image) if key == "image" || place.ends_with(IMAGE_VOLUME) => {
            found.insert(place.to_owned(), Named { container: None, image: image.clone() });
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An image in several fields, as charts and custom resources write it.
fn split_image(map: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let part = |before: &str, key: &str| text(key).map(|text| format!("{before}{text}")).unwrap_or_default();
    let host = text("registry").map(|host| format!("{host}/")).unwrap_or_default();
    let (tag, digest) = (part(":", "tag"), part("@", "digest"));
    (!tag.is_empty() || !digest.is_empty()).then(|| Some(format!("{host}{}{tag}{digest}", text("repository")?)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_pinning::ImagePin;
    use crate::namespace::Rendering;
    use crate::request::DeployService;

    const JOBS: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: { name: tidy }
spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: a, image: LOCKED }, { name: b, image: 'busybox:1' }] } } } } }
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: web }
spec:
  template: { spec: { initContainers: [{ name: i, image: LOCKED }], containers: [{ name: a, image: LOCKED }] } }
---
apiVersion: shop.example/v1
kind: Proxy
metadata: { name: proxy }
spec: { image: LOCKED, replicas: 1, helper: { image: HELPER }, side: { repository: registry.example/shop/cart, tag: TAG } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: cart }
spec:
  template:
    spec:
      containers: [{ name: a, image: LOCKED }, { name: b, image: 'busybox:1' }]
      volumes: [{ name: model, image: { reference: 'models.example/m:1' } }]
";

    /// What is found once a text of the live objects is another.
    fn found(from: &str, to: &str) -> Vec<String> {
        let digest = format!("sha256:{}", "1".repeat(64));
        let text = JOBS.replace("LOCKED", &format!("'registry.example/shop/cart:main@{digest}'"));
        let text =
            text.replace("TAG", &format!("'main@{digest}'")).replace("HELPER", &format!("'x.example/y@{digest}'"));
        let mut service = DeployService::new("shop-cart".try_into().unwrap());
        let pin = ImagePin::new("registry.example/shop/cart".try_into().unwrap(), digest.try_into().unwrap());
        let pins = Pins::new([&pin]);
        service.image = Some(pin.clone());
        let parse = |text: &str| Rendering::parse([text.as_bytes()], "shop").unwrap();
        let edited = if from.is_empty() { text.clone() } else { text.replace(from, to) };
        assert!(from.is_empty() || edited != text, "`{from}` is not there");
        let (declared, live) = (parse(&text), parse(&edited));
        let findings = edited_images(
            Deployed { service: &service, declared: &declared, live: &live },
            &pins,
            &DeployRequest::of_test(),
        );
        findings.into_iter().map(|finding| format!("{:?} {}", finding.kind, finding.message)).collect()
    }

    #[test]
    fn b46_what_no_pod_says_is_read_in_the_live_template() {
        let locked = format!("registry.example/shop/cart:main@sha256:{}", "1".repeat(64));
        let quoted = format!("'{locked}'");
        assert_eq!(found("", ""), [""; 0]);
        // The same content through a mirror.
        assert_eq!(found("registry.example/shop/cart:main@", "mirror.example/proxy/cart@"), [""; 0]);
        let job = format!("jobTemplate: {{ spec: {{ template: {{ spec: {{ containers: [{{ name: a, image: {quoted}");
        let evil = format!(
            "Image `spec.jobTemplate.spec.template.spec.containers[a]` of CronJob/tidy is `evil.example/x:1`, the release has `{locked}`"
        );
        assert_eq!(found(&job, &job.replace(&quoted, "'evil.example/x:1'")), [evil]);
        // One that comes before the others moves none of them.
        assert_eq!(
            found(&job, &job.replace("[{ name: a", "[{ name: z, image: 'evil.example/x:1' }, { name: a")),
            [
                "Foreign CronJob/tidy has `evil.example/x:1` in container `z` (`spec.jobTemplate.spec.template.spec.containers[z]`), \
              which the release does not have; `environments.staging.sidecars` allows it by name"
            ]
        );
        let init = format!("initContainers: [{{ name: i, image: {quoted} }}]");
        assert_eq!(
            found(&init, "initContainers: []"),
            [format!(
                "Image `spec.template.spec.initContainers[i]` of Rollout/web is gone, the release has `{locked}`"
            )]
        );
        let field = format!("spec: {{ image: {quoted}");
        assert_eq!(
            found(&field, "spec: { image: 'evil.example/x:1'"),
            [format!("Image `spec.image` of Proxy/proxy is `evil.example/x:1`, the release has `{locked}`")]
        );
        let evil = format!("evil.example/y@sha256:{}", "2".repeat(64));
        let helper = format!("x.example/y@sha256:{}", "1".repeat(64));
        assert_eq!(
            found(&helper, &evil),
            [format!("Image `spec.helper.image` of Proxy/proxy is `{evil}`, the release has `{helper}`")]
        );
        let side = format!("side: {{ repository: registry.example/shop/cart, tag: 'main@sha256:{}'", "1".repeat(64));
        assert_eq!(
            found(&side, "side: { repository: evil.example/x, tag: main"),
            [format!("Image `spec.side` of Proxy/proxy is `evil.example/x:main`, the release has `{locked}`")]
        );
        assert_eq!(
            found("models.example/m:1", "evil.example/m:1"),
            [
                "Image `spec.template.spec.volumes[model].image.reference` of Deployment/cart is `evil.example/m:1`, the release \
                 has `models.example/m:1`"
            ]
        );
        let foreign = "'busybox:1' }]\n";
        assert_eq!(
            found(foreign, "'busybox:2' }]\n"),
            ["Image `spec.template.spec.containers[b]` of Deployment/cart is `busybox:2`, the release has `busybox:1`"]
        );
    }
}
