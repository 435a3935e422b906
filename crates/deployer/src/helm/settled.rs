//! Charts of which it is known without a dry run of helm what helm would render with the cluster, and that it would take it.
//!
//! A plan renders a chart without the cluster, and once more by a dry run of helm's own upgrade. The dry run starts a program
//! for each chart, and answers three questions. Where each has its answer without it, helm is not started:
//!
//! - *Does the chart say the same with the cluster?* It does where all of its functions give the same answer to the same
//!   arguments, where it names neither what the cluster is nor what helm is about to do, nor takes [all](super::whole_root) that
//!   it is given, where it brings no `crds/`, which a dry run leaves out, and where it is given values: an upgrade without any
//!   takes those of the revision before.
//! - *Would helm take the objects?* It asks whether their kinds are served, and whether those that are new to the release are
//!   there already and belong to something else. The API server is asked about each object by a dry run of our own, which is
//!   stricter; where an object is there that the newest revision does not have, [helm is asked](has_others).
//! - *Does helm reach the cluster?* One dry run in each plan says so.
//!
//! helm is also asked where the files of a chart are so large that it may not be able to [store](super::size) them.
//!
//! What helm has stored after the upgrade is compared with the plan in any case.

use super::fixed::is_fixed;
use super::render::Operation;
use super::size::may_be_too_large;
use super::unchanged::Source;
use crate::namespace::{Live, Rendering};

/// Whether a chart is rendered with the cluster as it is without. A release that helm has to recover, or that is not deployed,
/// is not looked at closer: it has no operation here.
pub(super) fn is_settled(source: &Source<'_>, operation: Option<Operation>) -> bool {
    let is_given = match operation {
        Some(Operation::Install) => true,
        Some(Operation::Upgrade) => !source.values.is_empty(),
        Some(Operation::Recover) | None => false,
    };
    let has_definitions = source.files.iter().any(|(path, _)| path.split('/').any(|part| part == "crds"));
    is_given && !has_definitions && !may_be_too_large(source.files) && is_fixed(source.files) && source.is_closed()
}

/// Whether the cluster has an object of a chart that is new to the release.
pub(super) fn has_others(live: &Live, newest: Option<&Rendering>) -> bool {
    live.objects
        .iter()
        .any(|(id, (_, before))| before.is_some() && !newest.is_some_and(|newest| newest.objects.contains_key(id)))
}

#[cfg(test)]
mod tests {
    use lock_model::ServiceName;
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn t18_a_chart_is_rendered_without_the_cluster_alone_where_nothing_of_it_can_ask_the_cluster() {
        let service: ServiceName = "shop-cart".parse().unwrap();
        let (none, some) = (Map::new(), Map::from_iter([("a".to_owned(), Value::from(1))]));
        let is_settled = |file: (&str, &str), values: &Map<String, Value>, operation| {
            let files = [("Chart.yaml", "name: cart"), ("templates/app.yaml", "a: {{ .Values.a | quote }}"), file];
            let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
            is_settled(&Source { service: &service, namespace: "shop", files: &files, values }, operation)
        };
        let nothing = ("README.md", "");
        assert!(is_settled(nothing, &some, Some(Operation::Install)));
        assert!(is_settled(nothing, &none, Some(Operation::Install)));
        assert!(is_settled(nothing, &some, Some(Operation::Upgrade)));
        // helm takes the values of the revision before.
        assert!(!is_settled(nothing, &none, Some(Operation::Upgrade)));
        assert!(!is_settled(nothing, &some, Some(Operation::Recover)));
        assert!(!is_settled(nothing, &some, None));
        for file in [
            ("templates/b.yaml", "{{ lookup \"v1\" \"Secret\" \"\" \"x\" }}"),
            ("templates/b.yaml", "{{ now }}"),
            ("templates/b.yaml", "{{ tpl \"x\" . }}"),
            ("templates/b.yaml", "{{ keys .Values | first }}"),
            ("templates/b.yaml", "{{ if .Capabilities.APIVersions.Has \"x/v1\" }}{{ end }}"),
            ("templates/b.yaml", "{{ .Release.Revision }}"),
            ("charts/db/templates/b.yaml", "{{ randAlpha 8 }}"),
            ("crds/b.yaml", ""),
            ("charts/db/crds/b.yaml", ""),
            ("charts/db/Chart.yaml", "kubeVersion: '>=1.30'"),
        ] {
            assert!(!is_settled(file, &some, Some(Operation::Install)), "{file:?}");
        }
    }

    #[test]
    fn t18_an_object_that_is_there_and_new_to_the_release_is_one_that_helm_is_asked_about() {
        let rendering = |names: &[&str]| {
            let texts: Vec<String> = names
                .iter()
                .map(|name| format!("---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\n"))
                .collect();
            Rendering::parse(texts.iter().map(String::as_bytes), "shop").unwrap()
        };
        let object = || {
            let metadata = json!({ "name": "x", "namespace": "shop" });
            cluster::Object::new(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata })).unwrap()
        };
        let live = |is_there: bool| {
            let ids = rendering(&["cart"]).objects.into_keys();
            Live { objects: ids.map(|id| (id, (object(), is_there.then(object)))).collect(), ..Live::default() }
        };
        assert!(!has_others(&live(false), None));
        assert!(has_others(&live(true), None));
        assert!(has_others(&live(true), Some(&rendering(&["mail"]))));
        assert!(!has_others(&live(true), Some(&rendering(&["cart"]))));
    }
}
