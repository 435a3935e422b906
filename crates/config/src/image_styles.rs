//! The ways in which charts take an image, to find the one that fits a chart.

use std::fmt::Write as _;

use super::chart_values::ChartValues;

/// Paths of values and what stands there, the most common way first.
///
/// The first is what a chart is given without `image-values`.
const KNOWN_STYLES: [&[(&str, &str)]; 11] = [
    &[("image.repository", "{image.repository}"), ("image.tag", "{image.tag}@{image.digest}")],
    &[("image.repository", "{image.repository}"), ("image.tag", "{image.tag}"), ("image.digest", "{image.digest}")],
    &[
        ("image.registry", "{image.registry}"),
        ("image.repository", "{image.path}"),
        ("image.tag", "{image.tag}@{image.digest}"),
    ],
    &[
        ("image.registry", "{image.registry}"),
        ("image.repository", "{image.path}"),
        ("image.tag", "{image.tag}"),
        ("image.digest", "{image.digest}"),
    ],
    &[("image", "{image.reference}")],
    &[
        ("global.imageRegistry", "{image.registry}"),
        ("image.repository", "{image.path}"),
        ("image.tag", "{image.tag}@{image.digest}"),
    ],
    &[
        ("global.imageRegistry", "{image.registry}"),
        ("image.repository", "{image.path}"),
        ("image.tag", "{image.tag}"),
        ("image.digest", "{image.digest}"),
    ],
    &[("image.name", "{image.repository}"), ("image.tag", "{image.tag}@{image.digest}")],
    &[
        ("image.registry", "{image.registry}"),
        ("image.name", "{image.path}"),
        ("image.tag", "{image.tag}@{image.digest}"),
    ],
    &[("image.name", "{image.reference}")],
    &[("image.repository", "{image.reference}")],
];

/// The values of a chart with the image in one of the known ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyledValues {
    /// All that the chart is given.
    pub values: ChartValues,
    /// The key `image-values` that says so in an override: path and template; `None` where the override takes a path away
    /// that the environment names.
    pub image_values: Vec<(String, Option<String>)>,
}

impl StyledValues {
    /// `image-values` as YAML in one line.
    pub fn to_yaml(&self) -> String {
        let mut text = String::from("{ ");
        for (index, (path, template)) in self.image_values.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            let written = match template {
                Some(template) => write!(text, "{separator}{path}: \"{template}\""),
                None => write!(text, "{separator}{path}: null"),
            };
            written.expect("writing into a string cannot fail");
        }
        text + " }"
    }
}

impl ChartValues {
    /// These values with the image in each known way. A way is left out where `values` holds something else at its paths.
    pub fn in_known_styles(&self) -> Vec<StyledValues> {
        KNOWN_STYLES.iter().filter_map(|style| self.in_style(style)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn styles(target: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nforge: {{ kind: local, repository: https://forge.example/shop/shop }}\nimages: {{ repository: \
             \"ghcr.io/shop/{{short}}\", tags: [\"main-{{sha7}}\"] }}\nservices: [{{ match: \"**\" }}]\nenvironments:\n  \
             staging:\n    mode: staging\n    namespace: shop\n    kubeconfig: {{ env: KUBE }}\n    target: {{ kind: helm, \
             chart: \"{{path}}/chart\"{target} }}\n    deploy: [\"**\"]\n"
        );
        let config = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap();
        let environment = config.environments.values().next().unwrap();
        let (name, path) = ("cart".try_into().unwrap(), "services/cart".try_into().unwrap());
        let today = "2026-01-05".parse().unwrap();
        let crate::Deployment::Deploy(settings) = environment.decide(&name, &path, today) else { panic!("deployed") };
        settings.values.in_known_styles().iter().map(super::StyledValues::to_yaml).collect()
    }

    #[test]
    fn a_style_takes_away_what_the_environment_says_otherwise_and_keeps_values() {
        let plain = styles("");
        assert_eq!(plain.len(), super::KNOWN_STYLES.len());
        assert_eq!(plain[0], "{ image.repository: \"{image.repository}\", image.tag: \"{image.tag}@{image.digest}\" }");
        let other = styles(", image-values: { image.digest: \"{image.digest}\", image.repository: \"{image.path}\" }");
        assert_eq!(other[4], "{ image: \"{image.reference}\", image.digest: null, image.repository: null }");
        // Text in place of the map that `values` has would lose what stands there.
        let kept = styles(", values: { image: { pullPolicy: Always } }");
        assert!(!kept.iter().any(|style| style.contains("image: \"")), "{kept:?}");
        assert_eq!(kept.len(), plain.len() - 1);
    }
}
