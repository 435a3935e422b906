//! The merged configuration, written out with where each value comes from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::scalar::needs_quotes;
use super::tree::{Entry, Map, Node, Origin, Value};
use super::types::Config;
use lock_model::EnvironmentName;
use lock_model::escaping::escape_terminal;

/// Whether values are written with where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowOrigin {
    /// Values only.
    Hidden,
    /// The line of the file beside each; defaults in a list of their own.
    Shown,
}

/// A merged configuration, or one environment of it, ready to be written.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    node: &'a Node,
    file: &'a str,
}

impl Config {
    /// The merged configuration, or one environment of it; `None` where there is no such environment.
    pub fn show(&self, environment: Option<&EnvironmentName>) -> Option<Shown<'_>> {
        let node = match environment {
            Some(name) => self.tree.get("environments")?.get(name.as_str())?,
            None => &self.tree,
        };
        Some(Shown { node, file: &self.source.name })
    }
}

impl Shown<'_> {
    /// As YAML in block style. With origins, the line of the file stands beside each value where it is another than the one
    /// above; the defaults that say something are comments at the end.
    pub fn to_yaml(&self, origins: ShowOrigin) -> String {
        match origins {
            ShowOrigin::Hidden => {
                let mut lines = Vec::new();
                block(self.node, 0, "", &mut lines);
                lines.into_iter().map(|line| line.text + "\n").collect()
            }
            ShowOrigin::Shown => self.with_lines(),
        }
    }

    fn with_lines(&self) -> String {
        let (mut lines, mut defaults) = (Vec::new(), Vec::new());
        if let Some(written) = written(self.node, "", &mut defaults) {
            block(&written, 0, "", &mut lines);
        }
        let mut above = None;
        for line in &mut lines {
            if line.place == above {
                line.place = None;
            }
            above = line.place.or(above);
        }
        let width = lines.iter().filter(|line| line.place.is_some()).map(|line| line.text.chars().count()).max();
        let width = width.unwrap_or_default().min(60);
        let mut text = format!("# beside a value: its line of {}, if another than the one above\n", self.file);
        for line in lines {
            match line.place {
                Some(place) => text.push_str(&format_line(&line.text, width, place)),
                None => text.push_str(&line.text),
            }
            text.push('\n');
        }
        if !defaults.is_empty() {
            text.push_str("# defaults:\n");
            text.extend(of_several(defaults).iter().map(|(path, value)| format!("#   {path}: {value}\n")));
        }
        text
    }

    /// As JSON. With origins, every value that is no map is `{"value": …, "origin": …}`; the origin is
    /// `{"file", "line", "column", "path"}` or `"default"`.
    pub fn to_json(&self, origins: ShowOrigin) -> serde_json::Value {
        match origins {
            ShowOrigin::Hidden => self.node.to_json(),
            ShowOrigin::Shown => self.json(self.node),
        }
    }

    fn json(&self, node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Map(map) => map.entries.iter().map(|entry| (entry.key.clone(), self.json(&entry.node))).collect(),
            Value::List(items) if items.iter().any(|item| item.map().is_some()) => {
                items.iter().map(|item| self.json(item)).collect()
            }
            _ => {
                let origin = match &node.origin {
                    Origin::Default => json!("default"),
                    Origin::File(place) => json!({
                        "file": self.file, "line": place.line, "column": place.column, "path": place.path,
                    }),
                };
                json!({ "value": node.to_json(), "origin": origin })
            }
        }
    }
}

/// A line of YAML, with the line of the file where it holds a value.
struct Line {
    text: String,
    place: Option<usize>,
}

fn block(node: &Node, indent: usize, lead: &str, lines: &mut Vec<Line>) {
    match &node.value {
        Value::Map(map) if !map.entries.is_empty() => {
            if !lead.is_empty() && !lead.ends_with("- ") {
                lines.push(Line { text: lead.to_owned(), place: None });
            }
            for (index, entry) in map.entries.iter().enumerate() {
                let key = quoted(&entry.key);
                let lead = match (index, lead.ends_with("- ")) {
                    (0, true) => format!("{lead}{key}:"),
                    _ => format!("{:indent$}{key}:", ""),
                };
                let deeper = match entry.node.value {
                    Value::List(_) => indent,
                    _ => indent + 2,
                };
                block(&entry.node, deeper, &lead, lines);
            }
        }
        Value::List(items) if !items.is_empty() => {
            lines.push(Line { text: lead.to_owned(), place: None });
            for item in items {
                block(item, indent + 2, &format!("{:indent$}- ", ""), lines);
            }
        }
        value => {
            let separator = if lead.is_empty() || lead.ends_with("- ") { "" } else { " " };
            let place = node.origin.place().map(|place| place.line);
            lines.push(Line { text: format!("{lead}{separator}{}", leaf(value)), place });
        }
    }
}

/// What the file says. The defaults are left out and named: those that are empty say nothing.
fn written(node: &Node, path: &str, defaults: &mut Vec<(String, String)>) -> Option<Node> {
    let value = match &node.value {
        Value::Map(map) if !map.entries.is_empty() => {
            let entries = map.entries.iter().filter_map(|entry| {
                let dot = if path.is_empty() { "" } else { "." };
                let node = written(&entry.node, &format!("{path}{dot}{}", quoted(&entry.key)), defaults)?;
                Some(Entry { node, ..entry.clone() })
            });
            let entries: Vec<Entry> = entries.collect();
            if entries.is_empty() {
                return None;
            }
            Value::Map(Map { entries })
        }
        Value::List(items) if items.iter().any(|item| item.map().is_some()) => {
            let items = items.iter().enumerate();
            Value::List(
                items.filter_map(|(index, item)| written(item, &format!("{path}[{index}]"), defaults)).collect(),
            )
        }
        Value::List(items) if node.origin == Origin::Default && !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|item| leaf(&item.value)).collect();
            defaults.push((path.to_owned(), format!("[{}]", items.join(", "))));
            return None;
        }
        Value::Map(_) | Value::List(_) if node.origin == Origin::Default => return None,
        value if node.origin == Origin::Default => {
            defaults.push((path.to_owned(), leaf(value)));
            return None;
        }
        value => value.clone(),
    };
    Some(Node { value, origin: node.origin.clone() })
}

/// Writes a default once that several environments have: `environments.*.removed`.
fn of_several(defaults: Vec<(String, String)>) -> Vec<(String, String)> {
    let rest = |path: &str| Some(path.strip_prefix("environments.")?.split_once('.')?.1.to_owned());
    let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, value) in &defaults {
        if let Some(rest) = rest(path) {
            values.entry(rest).or_default().push(value);
        }
    }
    let common: BTreeSet<String> = values
        .into_iter()
        .filter(|(_, values)| values.len() > 1 && values.windows(2).all(|pair| pair[0] == pair[1]))
        .map(|(rest, _)| rest)
        .collect();
    let mut seen = BTreeSet::new();
    let named =
        defaults.into_iter().filter_map(|(path, value)| match rest(&path).filter(|rest| common.contains(rest)) {
            Some(rest) => seen.insert(rest.clone()).then(|| (format!("environments.*.{rest}"), value)),
            None => Some((path, value)),
        });
    named.collect()
}

fn format_line(text: &str, width: usize, place: usize) -> String {
    format!("{text:width$}  # {place}")
}

fn leaf(value: &Value) -> String {
    match value {
        Value::Null { .. } => "null".to_owned(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) | Value::Ambiguous { text, .. } => quoted(text),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    if needs_quotes(text) { escape_terminal(&serde_json::Value::from(text).to_string()) } else { text.to_owned() }
}
