//! `noise`: fields of live objects that other programs write, and that neither a plan nor a comparison names.

use std::fmt;
use std::str::FromStr;

use crate::patterns::Pattern;

use super::readiness::NamedObject;
use super::tree::Origin;

/// Fields of objects whose differences `plan` and `drift` leave out (`noise:`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Noise {
    /// The services that it concerns.
    pub pattern: Pattern,
    /// The object; `None`: all objects of the services.
    pub object: Option<NamedObject>,
    /// The fields, with all that lies below them.
    pub fields: Vec<FieldPath>,
    pub(super) match_origin: Origin,
}

/// The path of a field of an object, as plans write it: `spec.template.metadata.annotations["example.com/seen"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath {
    text: String,
    parts: Vec<FieldPart>,
}

/// One part of the path of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPart {
    /// A key of a map: `spec`, `["example.com/seen"]`.
    Key(String),
    /// The item of a list that has this value at this key: `[name=app]`.
    Item(String, String),
    /// Every key, `*`, or every item, `[*]`.
    Any,
}

/// What a proof rests on, and what decides what a container does: no field of that name is noise.
const PROVEN: [&str; 4] = ["image", "command", "args", "securityContext"];
/// Keys below which [`PROVEN`] fields stand: a path that ends at one of them would hide those.
const HOLDERS: [&str; 7] =
    ["spec", "template", "jobTemplate", "metadata", "containers", "initContainers", "ephemeralContainers"];

/// What the JSON Schema says of it.
pub(super) const PATTERN: &str =
    r#"^[A-Za-z_*][A-Za-z0-9_*-]*(\.[A-Za-z0-9_*-]+|\["[^"\\]+"\]|\[\*\]|\[[A-Za-z0-9]+=[^\],=]+\])+$"#;

impl FieldPath {
    /// Its parts, from the outermost.
    pub fn parts(&self) -> &[FieldPart] {
        &self.parts
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = lock_model::escaping::escape_terminal(text);
        let Some(parts) = parse(text) else {
            return Err(format!(
                "`{shown}` is no path of a field, such as `spec.template.metadata.annotations[\"example.com/seen\"]`, \
                 `spec.ports[name=http].nodePort` or `spec.containers[*].tty`"
            ));
        };
        let is_key = |part: &FieldPart, names: &[&str]| match part {
            FieldPart::Key(name) => names.contains(&name.as_str()),
            FieldPart::Item(..) | FieldPart::Any => false,
        };
        if let Some(FieldPart::Key(name)) = parts.iter().find(|part| is_key(part, &PROVEN)) {
            return Err(format!("`{name}` is never noise: it decides what runs"));
        }
        let holds = match parts.as_slice() {
            [] | [_] => true,
            // A container as a whole.
            [.., list, FieldPart::Item(..) | FieldPart::Any] => is_key(list, &HOLDERS),
            [.., last] => is_key(last, &HOLDERS),
        };
        if holds {
            return Err(format!("`{shown}` holds fields that decide what runs: name the field itself"));
        }
        // Such as `*.*`, which `spec.template` matches too.
        let is_wide = parts.iter().all(|part| match part {
            FieldPart::Key(name) => HOLDERS.contains(&name.as_str()),
            FieldPart::Item(..) | FieldPart::Any => true,
        });
        if is_wide {
            return Err(format!(
                "`{shown}` covers a whole object, or all of its pods: name the field itself, as `plan` and `drift` print it"
            ));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

fn parse(text: &str) -> Option<Vec<FieldPart>> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if text.is_empty() {
        return None;
    }
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (inner, after) = if let Some(quoted) = bracket.strip_prefix('"') {
                let (key, after) = quoted.split_once("\"]")?;
                if key.is_empty() || key.contains(['"', '\\']) {
                    return None;
                }
                (FieldPart::Key(key.to_owned()), after)
            } else {
                let (inner, after) = bracket.split_once(']')?;
                let part = match inner.split_once('=') {
                    Some((key, value)) if is_name(key) && !value.is_empty() && !value.contains(['=', ',']) => {
                        FieldPart::Item(key.to_owned(), value.to_owned())
                    }
                    None if inner == "*" => FieldPart::Any,
                    Some(_) | None => return None,
                };
                (part, after)
            };
            if parts.is_empty() {
                return None;
            }
            parts.push(inner);
            rest = after;
            continue;
        }
        let inner = if parts.is_empty() { rest } else { rest.strip_prefix('.')? };
        let (name, after) = inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()));
        parts.push(match name {
            "*" => FieldPart::Any,
            name if is_name(name) => FieldPart::Key(name.to_owned()),
            _ => return None,
        });
        rest = after;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_plans_write_it() {
        let path: FieldPath = r#"spec.template.metadata.annotations["a.b/c"]"#.parse().unwrap();
        let key = |name: &str| FieldPart::Key(name.to_owned());
        assert_eq!(path.parts(), [key("spec"), key("template"), key("metadata"), key("annotations"), key("a.b/c")]);
        let path: FieldPath = "spec.containers[name=app].env[*].value".parse().unwrap();
        let app = FieldPart::Item("name".to_owned(), "app".to_owned());
        assert_eq!(path.parts()[2..], [app, key("env"), FieldPart::Any, key("value")]);
        for wrong in
            ["", "spec.", "spec..a", "[a=b]", "spec[", "spec[a]", "spec.a[\"\"]", "spec a.b", "/spec/a", ".spec.a"]
        {
            assert!(wrong.parse::<FieldPath>().unwrap_err().contains("is no path of a field"), "{wrong}");
        }
    }

    #[test]
    fn what_decides_what_runs_is_never_noise() {
        for (path, told) in [
            ("spec.template.spec.containers[name=app].image", "`image` is never noise"),
            ("spec.template.spec.containers[*].command", "`command` is never noise"),
            ("spec.template.spec.securityContext.runAsUser", "`securityContext` is never noise"),
            ("spec.template.spec.containers[name=app]", "holds fields that decide what runs"),
            ("spec.template.spec.containers[*]", "holds fields that decide what runs"),
            ("spec.template.spec", "holds fields that decide what runs"),
            ("spec", "holds fields that decide what runs"),
            ("*", "holds fields that decide what runs"),
            ("*.*", "`*.*` covers a whole object"),
            ("*.*.*", "covers a whole object"),
            ("spec.template.*.*", "covers a whole object"),
            ("spec.containers[*].*", "covers a whole object"),
            ("spec.containers[name=app].*", "covers a whole object"),
        ] {
            let error = path.parse::<FieldPath>().unwrap_err();
            assert!(error.contains(told), "{path}: {error}");
        }
        for path in ["*.annotations.*", "spec.ports[*].*", "spec.*.replicas", "data.*", "spec.volumes[*]"] {
            path.parse::<FieldPath>().unwrap();
        }
    }
}
