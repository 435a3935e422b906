//! Charts whose objects differ with the number of their revision: what was deployed could be compared with nothing.
//!
//! A rendering without the cluster has revision 1 whatever helm is about to do, so that such a chart would be refused from its
//! second deployment on. It is found by a rendering of the same chart with another number.

use super::archive::files_of_archive;

const FIELD: &str = ".Release.Revision";

/// How deep packed charts are looked into.
const DEEPEST: usize = 3;

/// The files of a chart whose templates take another number for the revision; `None` where none of them asks for it.
pub(super) fn with_other_revision(files: &[(String, Vec<u8>)]) -> Option<Vec<(String, Vec<u8>)>> {
    let may_ask = |(path, bytes): &(String, Vec<u8>)| folder_of_packed(path).is_some() || asks(path, bytes).is_some();
    if !files.iter().any(may_ask) {
        return None;
    }
    let (mut changed, mut is_asked) = (Vec::new(), false);
    let mut rest: Vec<(String, Vec<u8>, usize)> =
        files.iter().map(|(path, bytes)| (path.clone(), bytes.clone(), 0)).collect();
    while let Some((path, bytes, depth)) = rest.pop() {
        if let Some(folder) = folder_of_packed(&path).filter(|_| depth < DEEPEST) {
            // helm takes a folder in place of an archive.
            for (inner, bytes) in files_of_archive(&bytes).ok()? {
                crate::pinned_manifests::check_path(&inner).ok()?;
                rest.push((format!("{folder}{inner}"), bytes, depth + 1));
            }
            continue;
        }
        let other = asks(&path, &bytes).map(|text| in_actions(text, &incremented));
        is_asked |= other.is_some();
        changed.push((path, other.map_or(bytes, String::into_bytes)));
    }
    is_asked.then_some(changed)
}

/// A template that asks for the revision.
fn asks<'a>(path: &str, bytes: &'a [u8]) -> Option<&'a str> {
    let is_template = path.starts_with("templates/") || path.contains("/templates/");
    std::str::from_utf8(bytes).ok().filter(|text| is_template && text.contains(FIELD))
}

/// `charts/` of `charts/db-1.0.0.tgz`.
fn folder_of_packed(path: &str) -> Option<&str> {
    let is_packed = path.rsplit_once('.').is_some_and(|(_, ending)| ending == "tgz")
        && (path.starts_with("charts/") || path.contains("/charts/"));
    let name = path.rfind('/')? + 1;
    path.get(..name).filter(|_| is_packed)
}

/// Changes what stands between `{{` and `}}`.
fn in_actions(text: &str, change: &dyn Fn(&str) -> String) -> String {
    let mut parts = text.split("{{");
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (action, plain) = part.split_once("}}").unwrap_or((part, ""));
        changed.push_str("{{");
        changed.push_str(&change(action));
        if part.len() > action.len() {
            changed.push_str("}}");
            changed.push_str(plain);
        }
    }
    changed
}

/// An action that takes the number after that of the revision.
fn incremented(action: &str) -> String {
    let mut changed = String::new();
    let mut rest = action;
    while let Some((before, after)) = rest.split_once(FIELD) {
        let is_path = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '.' | '$');
        let root = before.char_indices().rev().take_while(|(_, sign)| is_path(*sign));
        let start = root.last().map_or(before.len(), |(at, _)| at);
        let (before, root) = before.split_at(start);
        let is_longer = after.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        changed.push_str(before);
        let (open, close) = if is_longer { ("", "") } else { ("(add 1 ", ")") };
        changed.extend([open, root, FIELD, close]);
        rest = after;
    }
    changed + rest
}

#[cfg(test)]
mod tests {
    use super::super::archive::archive_of;
    use super::*;

    #[test]
    fn t18_a_chart_gets_another_number_where_it_asks_for_that_of_its_revision() {
        for (text, changed) in [
            ("a: {{ .Release.Revision }}", "a: {{ (add 1 .Release.Revision) }}"),
            ("{{- if eq $root.Release.Revision 1}}", "{{- if eq (add 1 $root.Release.Revision) 1}}"),
            ("a: .Release.Revision {{ .Release.Revisions }}", "a: .Release.Revision {{ .Release.Revisions }}"),
            (
                "{{ printf \"%v%v\" .Release.Revision $.Release.Revision",
                "{{ printf \"%v%v\" (add 1 .Release.Revision) (add 1 $.Release.Revision)",
            ),
        ] {
            assert_eq!(in_actions(text, &incremented), changed);
        }
        let files =
            |path: &str, bytes: &[u8]| [("Chart.yaml".to_owned(), Vec::new()), (path.to_owned(), bytes.to_vec())];
        let asks = b"{{ .Release.Revision }}";
        assert_eq!(with_other_revision(&files("templates/a.yaml", b"a: 1")), None);
        assert_eq!(with_other_revision(&files("files/a.yaml", asks)), None);
        let changed = with_other_revision(&files("templates/a.yaml", asks)).unwrap();
        assert!(changed.contains(&("templates/a.yaml".to_owned(), b"{{ (add 1 .Release.Revision) }}".to_vec())));
        let packed = archive_of(&[(b'0', "db/templates/a.yaml", asks)]);
        let changed = with_other_revision(&files("charts/db-1.0.0.tgz", &packed)).unwrap();
        assert!(changed.iter().any(|(path, _)| path == "charts/db/templates/a.yaml"), "{changed:?}");
        let outside = archive_of(&[(b'0', "../templates/a.yaml", asks)]);
        assert_eq!(with_other_revision(&files("charts/db-1.0.0.tgz", &outside)), None);
    }
}
