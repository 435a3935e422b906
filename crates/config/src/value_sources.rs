//! Variables of `target.values` that an environment gives no value: the names of objects that it does not make.

use super::layers::EnvironmentLayers;
use super::problem::Problems;
use super::schema_variables::VALUE_VARIABLES;
use super::tree::{Node, Value};
use crate::variables::{Template, Variable};

/// What names an object, and the key that makes it.
const OBJECTS: [(Variable, &str); 3] =
    [(Variable::Config, "config"), (Variable::Secret, "secret"), (Variable::PullSecret, "pull-secret")];

/// Adds a problem for each text that no service of the environment can be given. Where some services have the object, those
/// without it are told when their values are filled in.
pub(super) fn check(environment: &EnvironmentLayers, problems: &mut Problems) {
    let parts = || std::iter::once(&environment.merged).chain(&environment.overrides);
    let is_something = |node: &Node| match &node.value {
        Value::Null { .. } => false,
        Value::List(items) => !items.is_empty(),
        Value::Boolean(_) | Value::Integer(_) | Value::Text(_) | Value::Ambiguous { .. } | Value::Map(_) => true,
    };
    let kind = environment.merged.get("target").and_then(|target| target.get("kind")).and_then(Node::text);
    let is_rendered = kind == Some("render");
    let mut texts = Vec::new();
    for values in parts().filter_map(|part| part.get("target")?.get("values")) {
        collect(values, &mut texts);
    }
    for (variable, key) in OBJECTS {
        if parts().filter_map(|part| part.get(key)).any(is_something) {
            continue;
        }
        for (node, _) in texts.iter().filter(|(_, template)| template.uses(variable)) {
            let message = format!("`{{{variable}}}` has no value: environment `{}` has no `{key}`", environment.name);
            let hint = if is_rendered {
                "target `render` makes no such object: name one that is there".to_owned()
            } else {
                format!("give it a `{key}`, or take the value out")
            };
            problems.add(&node.origin, message).with_hint(hint);
        }
    }
}

fn collect<'a>(node: &'a Node, texts: &mut Vec<(&'a Node, Template)>) {
    match &node.value {
        Value::Text(text) => texts.extend(Template::new(text, VALUE_VARIABLES).ok().map(|template| (node, template))),
        Value::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(map) => map.entries.iter().for_each(|entry| collect(&entry.node, texts)),
        Value::Null { .. } | Value::Boolean(_) | Value::Integer(_) | Value::Ambiguous { .. } => {}
    }
}
