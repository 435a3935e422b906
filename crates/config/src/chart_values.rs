//! What a chart is given: `target.values`, and the locked image under the paths of `target.image-values`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::decode::template;
use super::image_styles::StyledValues;
use super::schema_variables::{IMAGE_VALUE_VARIABLES, VALUE_VARIABLES};
use super::tree::{Map as NodeMap, Node, Value};
use super::values::ValuesPath;
use crate::variables::{MissingValue, Template, Values};

/// Where a chart takes the locked image from, unless the file says otherwise.
const DEFAULT_IMAGE_VALUES: [(&str, &str); 2] =
    [("image.repository", "{image.repository}"), ("image.tag", "{image.tag}@{image.digest}")];

/// The values of one service's chart, before variables are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartValues {
    values: BTreeMap<String, ValueTemplate>,
    /// `None` for a path that an override takes away.
    images: BTreeMap<ValuesPath, Option<Template>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueTemplate {
    /// What a lower layer says is taken away.
    Removed,
    Boolean(bool),
    Integer(i64),
    Text(Template),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

impl ChartValues {
    /// Reads the keys `values` and `image-values` of a target; `None` where something does not decode.
    pub(super) fn decode(target: &Node) -> Option<Self> {
        let values = match target.get("values") {
            Some(node) => map(node.map()?)?,
            None => BTreeMap::new(),
        };
        let entries = target.get("image-values").and_then(Node::map).map(|map| map.entries.as_slice());
        let image = |node: &Node| match node.value {
            Value::Null { .. } => Some(None),
            _ => template(node, IMAGE_VALUE_VARIABLES).map(Some),
        };
        let images = entries.unwrap_or_default().iter();
        let images = images.map(|entry| Some((entry.key.parse().ok()?, image(&entry.node)?))).collect::<Option<_>>()?;
        Some(Self { values, images })
    }

    /// Lays an override over these values.
    pub(super) fn lay_over(&mut self, upper: &Self) {
        lay_over(&mut self.values, &upper.values);
        self.images.extend(upper.images.iter().map(|(path, template)| (path.clone(), template.clone())));
    }

    /// The values of a service without an image: nothing is said about one.
    #[must_use]
    pub fn without_image(self) -> Self {
        let images = self.image_values().map(|(path, _)| (path, None)).collect();
        Self { images, ..self }
    }

    /// These values with the image at other paths; `None` where `values` holds something else there.
    pub(super) fn in_style(&self, style: &[(&str, &str)]) -> Option<StyledValues> {
        let mut images = BTreeMap::new();
        let mut image_values = Vec::new();
        for (path, text) in style {
            let template = Template::new(text, IMAGE_VALUE_VARIABLES).expect("the style is a template");
            images.insert(ValuesPath::try_from(*path).expect("the style names a path"), Some(template));
            image_values.push(((*path).to_owned(), Some((*text).to_owned())));
        }
        for (path, template) in &self.images {
            if template.is_some() && !images.contains_key(path) {
                images.insert(path.clone(), None);
                image_values.push((path.to_string(), None));
            }
        }
        let values = Self { values: self.values.clone(), images };
        values.conflicts().is_empty().then_some(StyledValues { values, image_values })
    }

    fn image_values(&self) -> impl Iterator<Item = (ValuesPath, Template)> {
        let said = self.images.iter().filter_map(|(path, template)| Some((path.clone(), template.clone()?)));
        let default = DEFAULT_IMAGE_VALUES.iter().map(|(path, text)| {
            let path = ValuesPath::try_from(*path).expect("the constant is a path");
            (path, Template::new(text, IMAGE_VALUE_VARIABLES).expect("the constant is a template"))
        });
        let is_default = self.images.is_empty();
        said.chain(default.filter(move |_| is_default)).collect::<Vec<_>>().into_iter()
    }

    /// Fills the variables in. Text stays text, whatever it looks like.
    ///
    /// # Errors
    ///
    /// Where a value names the image of a service that has none.
    pub fn fill(&self, values: &Values) -> Result<Map<String, Json>, MissingValue> {
        let mut filled = fill_map(&self.values, values)?;
        for (path, template) in self.image_values() {
            put(&mut filled, path.as_str(), Json::String(template.expand(values)?));
        }
        Ok(filled)
    }

    /// The paths of images that a value stands at already, or below which or above which one stands.
    pub(super) fn conflicts(&self) -> Vec<String> {
        let paths: Vec<ValuesPath> = self.image_values().map(|(path, _)| path).collect();
        let beside_values = paths.iter().filter(|path| is_taken(&self.values, path.as_str())).map(|path| {
            format!("`{path}` is in `values` as well as in `image-values`, which is where the locked image is given")
        });
        let inside = |one: &ValuesPath, other: &ValuesPath| {
            other.as_str().strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let nested = paths.iter().flat_map(|one| {
            let below = paths.iter().filter(move |other| inside(one, other));
            below.map(move |other| format!("`{other}` cannot be a value beside `{one}`, which would be text"))
        });
        beside_values.chain(nested).collect()
    }
}

fn map(map: &NodeMap) -> Option<BTreeMap<String, ValueTemplate>> {
    map.entries.iter().map(|entry| Some((entry.key.clone(), value(&entry.node)?))).collect()
}

fn value(node: &Node) -> Option<ValueTemplate> {
    Some(match &node.value {
        Value::Null { .. } => ValueTemplate::Removed,
        Value::Boolean(boolean) => ValueTemplate::Boolean(*boolean),
        Value::Integer(number) => ValueTemplate::Integer(*number),
        Value::Text(_) | Value::Ambiguous { .. } => ValueTemplate::Text(template(node, VALUE_VARIABLES)?),
        Value::List(items) => ValueTemplate::List(items.iter().map(value).collect::<Option<_>>()?),
        Value::Map(entries) => ValueTemplate::Map(map(entries)?),
    })
}

/// Maps merge deeply, everything else replaces: as layers of the configuration do.
fn lay_over(lower: &mut BTreeMap<String, ValueTemplate>, upper: &BTreeMap<String, ValueTemplate>) {
    for (key, above) in upper {
        match (lower.get_mut(key), above) {
            (Some(ValueTemplate::Map(below)), ValueTemplate::Map(above)) => lay_over(below, above),
            (_, ValueTemplate::Removed) => {
                lower.remove(key);
            }
            (
                _,
                ValueTemplate::Boolean(_)
                | ValueTemplate::Integer(_)
                | ValueTemplate::Text(_)
                | ValueTemplate::List(_)
                | ValueTemplate::Map(_),
            ) => {
                lower.insert(key.clone(), above.clone());
            }
        }
    }
}

fn fill_map(map: &BTreeMap<String, ValueTemplate>, values: &Values) -> Result<Map<String, Json>, MissingValue> {
    map.iter().map(|(key, value)| Ok((key.clone(), fill(value, values)?))).collect()
}

fn fill(value: &ValueTemplate, values: &Values) -> Result<Json, MissingValue> {
    Ok(match value {
        ValueTemplate::Removed => Json::Null,
        ValueTemplate::Boolean(boolean) => Json::Bool(*boolean),
        ValueTemplate::Integer(number) => Json::from(*number),
        ValueTemplate::Text(template) => Json::String(template.expand(values)?),
        ValueTemplate::List(items) => items.iter().map(|item| fill(item, values)).collect::<Result<_, _>>()?,
        ValueTemplate::Map(map) => Json::Object(fill_map(map, values)?),
    })
}

/// Puts a value at a path, in maps that are made where they are missing.
fn put(map: &mut Map<String, Json>, path: &str, value: Json) {
    let Some((first, rest)) = path.split_once('.') else {
        map.insert(path.to_owned(), value);
        return;
    };
    let below = map.entry(first).or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(below) = below {
        put(below, rest, value);
    }
}

/// Whether something stands at a path, or text, a number or a list where the path leads through.
fn is_taken(map: &BTreeMap<String, ValueTemplate>, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (map.get(first), rest) {
        (None | Some(ValueTemplate::Removed), _) => false,
        (Some(ValueTemplate::Map(below)), Some(rest)) => is_taken(below, rest),
        (
            Some(
                ValueTemplate::Boolean(_)
                | ValueTemplate::Integer(_)
                | ValueTemplate::Text(_)
                | ValueTemplate::List(_)
                | ValueTemplate::Map(_),
            ),
            _,
        ) => true,
    }
}
