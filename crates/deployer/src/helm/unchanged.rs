//! Charts that need not be rendered again, since helm has stored what they would be rendered to.

use std::collections::BTreeMap;

use lock_model::{Digest, ServiceName};
use serde_json::{Map, Value, json};

use super::fixed::{Actions, actions_of};
use super::program::HelmVersion;
use super::whole_root::takes_whole_root;
use crate::manifest;
use crate::namespace::Rendering;

/// How many digits of a fingerprint are kept.
const DIGITS: usize = 32;

/// Functions beside the [fixed](super::fixed) ones that ask for nothing but their arguments: what they give differs by no
/// more than the order of a map in memory, and any order is as good as the one that was deployed.
const IN_ANY_ORDER: [&str; 2] = ["keys", "values"];

/// Takes a text for a template.
const TPL: &str = "tpl";

/// What a template may ask for that can be another answer next time although files and values are the same: what the cluster
/// is, and what helm is about to do; a chart within the chart has all of it again.
const OPEN_FIELDS: [&str; 5] = ["Capabilities", "IsInstall", "IsUpgrade", "Revision", "Subcharts"];

/// What of a release is the same each time.
const RELEASE_FIELDS: [&str; 3] = ["Name", "Namespace", "Service"];

/// A chart and what it is given.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) namespace: &'a str,
    pub(super) files: &'a [(String, Vec<u8>)],
    pub(super) values: &'a Map<String, Value>,
}

impl Source<'_> {
    /// A digest of what a chart is rendered from, by which helm, and of what it is rendered to. It is kept in the description
    /// of the revision; a revision that holds something else than was planned has another one.
    pub(super) fn fingerprint(&self, helm: &HelmVersion, rendering: &Rendering) -> String {
        let files: BTreeMap<&str, Digest> =
            self.files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes))).collect();
        let inputs = json!({
            "files": files,
            "helm": helm.to_string(),
            "namespace": self.namespace,
            "rendering": rendering.to_json(),
            "service": self.service,
            "values": self.values,
        });
        let digest = lock_model::tagged_digest("orchestrator.helm-inputs.v1", &inputs);
        let digest = digest.expect("JSON that was read has a canonical form");
        digest.hex().chars().take(DIGITS).collect()
    }

    /// Whether the same helm makes the same of it each time, whatever the cluster says: as far as the text of the chart shows.
    pub(super) fn is_closed(&self) -> bool {
        // A version of Kubernetes that a chart asks for can be another one next time.
        let asks_for_version = |(path, bytes): &(String, Vec<u8>)| {
            path.ends_with("Chart.yaml") && String::from_utf8_lossy(bytes).contains("kubeVersion")
        };
        let Some(templates) = actions_of(self.files) else { return false };
        if self.files.iter().any(asks_for_version) || !templates.iter().all(is_closed) {
            return false;
        }
        // `tpl` takes texts of files and values for templates.
        let takes_texts = templates.iter().any(|actions| actions.name(TPL));
        !takes_texts
            || (self.files.iter().all(|(path, bytes)| is_closed_file(path, bytes))
                && self.values.iter().all(|(key, value)| is_closed_text(key) && is_closed_value(value)))
    }
}

fn is_closed(actions: &Actions<'_>) -> bool {
    let [keys, values] = IN_ANY_ORDER;
    let names_open = |text: &str| words(text).any(|word| OPEN_FIELDS.contains(&word)) || has_whole_release(text);
    actions.are_fixed(&[keys, values, TPL])
        && !actions.texts().iter().any(|text| names_open(text))
        && !takes_whole_root(actions.texts())
}

/// Whether a text may be taken for a template. What does not end as a template does is none, which helm says.
fn is_closed_text(text: &str) -> bool {
    Actions::read(text).is_some_and(|actions| is_closed(&actions))
}

fn is_closed_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => is_closed_text(text),
        Value::Array(all) => all.iter().all(is_closed_value),
        Value::Object(all) => all.iter().all(|(key, value)| is_closed_text(key) && is_closed_value(value)),
    }
}

/// Values are looked at as helm reads them; YAML can write a sign in several ways.
fn is_closed_file(path: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let has_values = text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    if path.rsplit('/').next() == Some("values.yaml") && has_values {
        return manifest::parse_map(bytes).is_ok_and(|values| is_closed_value(&Value::Object(values)));
    }
    is_closed_text(&text)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'))
}

/// Whether a release is handed on as a whole, with the number of its revision.
fn has_whole_release(text: &str) -> bool {
    text.match_indices(".Release").any(|(at, found)| {
        let rest = text.get(at + found.len()..).unwrap_or_default();
        let field = rest.strip_prefix('.').and_then(|rest| words(rest).next());
        !field.is_some_and(|field| RELEASE_FIELDS.contains(&field))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(files: &[(&str, &str)], values: Value) -> bool {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        is_closed_with(&files.collect::<Vec<_>>(), values)
    }

    fn is_closed_with(files: &[(String, Vec<u8>)], values: Value) -> bool {
        let service: ServiceName = "shop-cart".parse().unwrap();
        let Value::Object(values) = values else { panic!("values are a map") };
        Source { service: &service, namespace: "shop", files, values: &values }.is_closed()
    }

    #[test]
    fn t18_a_chart_that_asks_for_anything_but_files_and_values_is_rendered_each_time() {
        let template = |text: &str| is_closed(&[("Chart.yaml", "name: cart"), ("templates/app.yaml", text)], json!({}));
        for closed in [
            "now: {{ .Values.now_and_then }}",
            "a: {{ .Release.Name }}-{{ $.Release.Namespace }} # as of now {{- if eq .Values.x \"y\" }}",
            "a: {{ include \"x\" . | nindent 4 }}",
            "a: {{ keys .Values | sortAlpha | join \",\" }} {{- /* now */}} # Revision",
        ] {
            assert!(template(closed), "{closed}");
        }
        for open in [
            "a: {{ now | date \"2006\" }}",
            "a: {{ lookup \"v1\" \"Secret\" \"\" \"x\" }}",
            "a: {{ (lookup \"v1\" \"Secret\" \"\" \"x\").data }}",
            "a: {{ randAlphaNum 8 }}",
            "{{ if .Release.IsUpgrade }}a: 1{{ end }}",
            "a: {{ .Release.Revision }}",
            "a: {{ toYaml .Release }}",
            "a: {{ toJson $.Release | sha256sum }}",
            "a: {{ print \"}}\" .Release.Revision }}",
            "a: {{ index . \"Release\" \"Revision\" }}",
            "a: {{ index . (print \"Rel\" \"ease\") | toYaml }}",
            "a: {{ toYaml . | sha256sum }}",
            "a: {{ toYaml .Subcharts.db }}",
            "a: {{ aFunctionOfTomorrow }}",
            "a: {{ unixEpoch .Values.time }}",
            "a: {{ .Values.x",
            "{{ if .Capabilities.APIVersions.Has \"x/v1\" }}a: 1{{ end }}",
        ] {
            assert!(!template(open), "{open}");
        }
        let subchart = ("charts/db/templates/secret.yaml", "a: {{ genCA \"x\" 9 }}");
        assert!(!is_closed(&[("templates/app.yaml", "a: 1"), subchart], json!({})));
        assert!(!is_closed_with(&[("charts/db-1.0.0.tgz".to_owned(), vec![0x1f, 0x8b, 8])], json!({})));
        assert!(!is_closed(&[("Chart.yaml", "kubeVersion: '>=1.30'")], json!({})));
        // A text that is taken for a template can ask for anything.
        let by_tpl = [("templates/app.yaml", "a: {{ tpl .Values.text . }}")];
        assert!(is_closed(&by_tpl, json!({ "text": "{{ .Release.Name }}" })));
        assert!(!is_closed(&by_tpl, json!({ "text": "{{ now }}" })));
        assert!(!is_closed(&by_tpl, json!({ "list": [{ "a": "{{ now }}" }] })));
        assert!(!is_closed(&by_tpl, json!({ "{{ now }}": 1 })));
        for (text, expected) in [
            ("text: '{{ .Release.Name }}'", true),
            ("text: '{{ lookup 1 2 3 4 }}'", false),
            ("text: \"{\\x7b now }}\"", false),
            ("text: '{{ print \"'", false),
        ] {
            assert_eq!(is_closed(&[by_tpl[0], ("values.yaml", text)], json!({})), expected, "{text}");
        }
        assert!(!is_closed(&[by_tpl[0], ("files/a.txt", "{{ genCA 1 2 }}")], json!({})));
    }

    #[test]
    fn a_fingerprint_is_of_all_that_a_rendering_is_made_of_and_of_the_rendering() {
        let service: ServiceName = "shop-cart".parse().unwrap();
        let files = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())];
        let others = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"3".to_vec())];
        let Value::Object(values) = json!({ "x": 1 }) else { panic!("a map") };
        let rendering = |name: &str| {
            let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\n");
            Rendering::parse([text.as_bytes()], "shop").unwrap()
        };
        let helm = |version: &str| HelmVersion::parse(version).unwrap();
        let source = Source { service: &service, namespace: "shop", files: &files, values: &values };
        let one = source.fingerprint(&helm("v4.1.0"), &rendering("cart"));
        assert_eq!(one.len(), DIGITS);
        assert_eq!(one, source.fingerprint(&helm("v4.1.0"), &rendering("cart")));
        for other in [
            source.fingerprint(&helm("v4.1.1"), &rendering("cart")),
            source.fingerprint(&helm("v4.1.0"), &rendering("mail")),
            Source { files: &others, ..source }.fingerprint(&helm("v4.1.0"), &rendering("cart")),
            Source { values: &Map::new(), ..source }.fingerprint(&helm("v4.1.0"), &rendering("cart")),
            Source { namespace: "other", ..source }.fingerprint(&helm("v4.1.0"), &rendering("cart")),
        ] {
            assert_ne!(one, other);
        }
    }
}
