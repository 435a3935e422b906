//! What decides which images the manifests of a service name.

use std::collections::BTreeSet;

use lock_model::Digest;
use serde_json::{Value, json};

use crate::image_pinning::ImagePin;
use crate::request::{DeployRequest, DeployService, ForeignNamespace, NamespaceRule, UnpinnedImageRule};

/// A digest of everything in a request that decides which unpinned images a plan lists for one of its services; which
/// version of helm or kustomize renders is not part of it.
///
/// Equal digests: a plan that was made of the one request lists the same images for the service as one of the other. The
/// digest of another service's image counts where a file or value of this service has the last part of that image's name.
pub fn image_inputs(request: &DeployRequest, service: &DeployService) -> Digest {
    let rule = |rule: UnpinnedImageRule| rule == UnpinnedImageRule::Refuse;
    let others = request.images().filter(|pin| Some(*pin) != service.image.as_ref());
    let others: BTreeSet<(&str, Option<&str>)> =
        others.map(|pin| (pin.repository.as_str(), names(service, pin).then(|| pin.digest.as_str()))).collect();
    let inputs = json!({
        "files": files(service),
        "image": service.image.as_ref().map(ToString::to_string),
        "is_chart": service.is_chart,
        "kustomization": service.kustomization,
        "name": service.name,
        "namespace": request.namespace,
        "namespace_rule": namespace_rule(request.rule_of(service)),
        "others": others,
        "setting_parts": service.setting_parts.iter().map(|part| part.word()).collect::<Vec<_>>(),
        "test_hooks": rule(request.test_hooks),
        "unpinned_images": rule(request.unpinned_images),
        "values": service.values,
    });
    let digest = lock_model::tagged_digest("orchestrator.image-inputs.v1", &inputs);
    digest.expect("strings and JSON that was read have a canonical form")
}

/// Each file of a service by path and digest.
pub(crate) fn files(service: &DeployService) -> Value {
    let files = service.files.iter().map(|(path, bytes)| json!([path, Digest::of(bytes)]));
    files.collect::<Vec<_>>().into()
}

fn namespace_rule(rule: &NamespaceRule) -> Value {
    json!({
        "allow": rule.allow,
        "cluster_scoped": rule.cluster_scoped,
        "privileged": rule.privileged,
        "rewrite": rule.foreign == ForeignNamespace::Rewrite,
    })
}

/// Whether anything that a service is rendered from has the last part of an image's name.
fn names(service: &DeployService, pin: &ImagePin) -> bool {
    let name = pin.repository.as_str().rsplit('/').next().unwrap_or_default();
    let has = |text: &str| text.contains(name);
    service.files.iter().any(|(_, bytes)| has(&String::from_utf8_lossy(bytes)))
        || has(&Value::Object(service.values.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, digit: char) -> ImagePin {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        ImagePin::new(format!("registry.example/shop/{name}").parse().unwrap(), digest.parse().unwrap())
    }

    fn inputs(template: &str, cart: char, other: &str, digit: char) -> Digest {
        let mut request = DeployRequest::of_test();
        let mut service = DeployService::new("shop-cart".parse().unwrap());
        service.image = Some(pin("cart", cart));
        service.files = vec![("templates/app.yaml".to_owned(), template.as_bytes().to_vec())];
        request.services.push(service.clone());
        request.other_images.push(pin(other, digit));
        image_inputs(&request, &service)
    }

    #[test]
    fn another_image_counts_by_its_digest_only_where_a_file_may_name_it() {
        let one = inputs("image: x", '1', "web", '2');
        assert_eq!(one, inputs("image: x", '1', "web", '3'));
        for other in [
            inputs("image: y", '1', "web", '2'),
            inputs("image: x", '4', "web", '2'),
            inputs("image: x", '1', "mail", '2'),
        ] {
            assert_ne!(one, other);
        }
        // A value puts the registry before `web`, which stands in the text.
        assert_ne!(inputs("image: {{ .r }}/web@x", '1', "web", '2'), inputs("image: {{ .r }}/web@x", '1', "web", '3'));
    }
}
