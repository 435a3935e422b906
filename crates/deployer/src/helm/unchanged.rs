//! Charts that need not be rendered again, since helm has stored what they would be rendered to.

use std::collections::BTreeMap;

use lock_model::{Digest, ServiceName};
use serde_json::{Map, Value, json};

use super::program::HelmVersion;
use crate::namespace::Rendering;

/// How many digits of a fingerprint are kept.
const DIGITS: usize = 32;

/// What a template may ask for that can be another answer next time although files and values are the same: the cluster, the
/// clock, chance, and what helm is about to do.
const OPEN_WORDS: &[&str] = &[
    "Capabilities",
    "IsInstall",
    "IsUpgrade",
    "Revision",
    "ago",
    "bcrypt",
    "date",
    "dateInZone",
    "date_in_zone",
    "durationRound",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "getHostByName",
    "htmlDate",
    "htmlDateInZone",
    "htpasswd",
    "lookup",
    "now",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
];

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
        // An archive is not looked into, and a version of Kubernetes that a chart asks for can be another one next time.
        let is_archive = |(path, bytes): &(String, Vec<u8>)| {
            path.split('/').any(|part| part == "charts") && std::str::from_utf8(bytes).is_err()
        };
        let asks_for_version = |path: &str, text: &str| path.ends_with("Chart.yaml") && text.contains("kubeVersion");
        let files: Vec<(&str, String)> = self
            .files
            .iter()
            .map(|(path, bytes)| (path.as_str(), String::from_utf8_lossy(bytes).into_owned()))
            .collect();
        if self.files.iter().any(is_archive) || files.iter().any(|(path, text)| asks_for_version(path, text)) {
            return false;
        }
        let templates = files.iter().filter(|(path, _)| path.starts_with("templates/") || path.contains("/templates/"));
        let actions: Vec<&str> = templates.flat_map(|(_, text)| actions(text)).collect();
        if actions.iter().any(|action| is_open(action)) {
            return false;
        }
        // `tpl` takes texts of files and values for templates.
        let takes_texts = actions.iter().any(|action| words(action).any(|word| word == "tpl"));
        !takes_texts
            || !(files.iter().any(|(_, text)| is_open(text))
                || is_open(&Value::Object(self.values.clone()).to_string()))
    }
}

/// The texts between the braces of a template.
fn actions(template: &str) -> impl Iterator<Item = &str> {
    template.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap_or_default())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'))
}

fn is_open(text: &str) -> bool {
    words(text).any(|word| OPEN_WORDS.contains(&word)) || has_whole_release(text)
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
        assert!(!is_closed(&[by_tpl[0], ("values.yaml", "text: '{{ lookup 1 2 3 4 }}'")], json!({})));
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
