//! The merged configuration, written out with where each value comes from.

use serde_json::json;

use super::scalar::needs_quotes;
use super::tree::{Node, Origin, Value};
use super::types::Config;
use lock_model::EnvironmentName;
use lock_model::escaping::escape_terminal;

/// Whether values are written with where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowOrigin {
    /// Values only.
    Hidden,
    /// `# orchestrator.yaml:12:5` beside each, or `# default`.
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
    /// As YAML in block style.
    pub fn to_yaml(&self, origins: ShowOrigin) -> String {
        let mut lines = Vec::new();
        self.block(self.node, 0, "", origins, &mut lines);
        let width = lines.iter().filter(|line| line.origin.is_some()).map(|line| line.text.chars().count()).max();
        let width = width.unwrap_or_default().min(60);
        let mut text = String::new();
        for line in lines {
            match line.origin {
                Some(origin) => text.push_str(&format_line(&line.text, width, &origin)),
                None => text.push_str(&line.text),
            }
            text.push('\n');
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

    fn block(&self, node: &Node, indent: usize, lead: &str, origins: ShowOrigin, lines: &mut Vec<Line>) {
        let origin = || match (origins, &node.origin) {
            (ShowOrigin::Hidden, _) => None,
            (ShowOrigin::Shown, Origin::Default) => Some("default".to_owned()),
            (ShowOrigin::Shown, Origin::File(place)) => Some(format!("{}:{}:{}", self.file, place.line, place.column)),
        };
        match &node.value {
            Value::Map(map) if !map.entries.is_empty() => {
                if !lead.is_empty() && !lead.ends_with("- ") {
                    lines.push(Line { text: lead.to_owned(), origin: None });
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
                    self.block(&entry.node, deeper, &lead, origins, lines);
                }
            }
            Value::List(items) if !items.is_empty() => {
                lines.push(Line { text: lead.to_owned(), origin: None });
                for item in items {
                    self.block(item, indent + 2, &format!("{:indent$}- ", ""), origins, lines);
                }
            }
            value => {
                let separator = if lead.is_empty() || lead.ends_with("- ") { "" } else { " " };
                lines.push(Line { text: format!("{lead}{separator}{}", leaf(value)), origin: origin() });
            }
        }
    }
}

struct Line {
    text: String,
    origin: Option<String>,
}

fn format_line(text: &str, width: usize, origin: &str) -> String {
    format!("{text:width$}  # {origin}")
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
