//! Why a chart does not run the images of the lock: what is wrong, the line of the chart that it comes from, and what to write.

use std::collections::BTreeSet;

use serde_json::Value;

use super::chart_lines::{ChartLine, find_image_lines, find_label, find_schema_key, first_image_line};
use crate::namespace::{ImageFault, ImageFaults, LabelFault};
use crate::problem::escaped;
use crate::request::{DeployRequest, DeployService};

/// A fault of a chart, found in what helm renders or where helm refuses to render.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ChartCause {
    /// What is wrong with what helm renders, or why it renders nothing.
    pub message: String,
    /// Where the chart says so, as in `templates/app.yaml:14`; absent where no line was found.
    pub line: Option<String>,
    /// The keys of `target` that would help, or the change of the chart.
    pub style: Option<String>,
    /// Whether it keeps the service's own image away, rather than another one.
    pub is_about_own: bool,
}

/// A label that no label may be.
pub(super) fn of_label(service: &DeployService, fault: &LabelFault) -> ChartCause {
    let line = find_label(&service.files, &fault.name);
    let value = line.as_ref().and_then(ChartLine::value_path).unwrap_or_else(|| "image.tag".to_owned());
    let digest = value.rsplit_once('.').map_or_else(|| "digest".to_owned(), |(map, _)| format!("{map}.digest"));
    let style = format!(
        "image-values: {{ {value}: \"{{image.tag}}\", {digest}: \"{{image.digest}}\" }}, and in the chart \
         `{{{{ with .Values.{digest} }}}}@{{{{ . }}}}{{{{ end }}}}` after the tag of the image, so that the label has the tag alone"
    );
    ChartCause { message: fault.message.clone(), line: shown(line.as_ref()), style: Some(style), is_about_own: true }
}

/// Containers whose image is not the locked one of its repository.
pub(super) fn of_images(request: &DeployRequest, service: &DeployService, faults: &[&ImageFault]) -> Vec<ChartCause> {
    let mut used = BTreeSet::new();
    let causes = faults.iter().map(|fault| {
        let lines = find_image_lines(&service.files, &fault.image, fault.repository.as_str());
        // Several parts of a chart can have the same image, each in a line of its own.
        let line = lines.iter().find(|line| !used.contains(&line.place())).or_else(|| lines.first()).cloned();
        used.extend(line.iter().map(ChartLine::place));
        let style = image_style(request, fault, line.as_ref());
        ChartCause { message: fault.message.clone(), line: shown(line.as_ref()), style, is_about_own: fault.is_own }
    });
    causes.collect()
}

/// What gives a container the locked image, where one service has that repository.
fn image_style(request: &DeployRequest, fault: &ImageFault, line: Option<&ChartLine>) -> Option<String> {
    let mut owners = request.services.iter().filter(|other| {
        let image = other.image.as_ref();
        image.is_some_and(|image| image.repository == fault.repository)
    });
    let (owner, is_alone) = (owners.next()?, owners.next().is_none());
    let name = if is_alone || fault.is_own { &owner.name } else { return None };
    let variable =
        |part: &str| if fault.is_own { format!("{{image.{part}}}") } else { format!("{{image:{name}.{part}}}") };
    let Some(line) = line.filter(|line| line.is_value) else {
        return line.map(|_| {
            format!("in the chart, take the image from a value, and give that value `{}`", variable("reference"))
        });
    };
    let path = line.keys.as_ref()?;
    if line.is_whole {
        return Some(values(fault, path, &variable("reference")));
    }
    // The tag stands beside the repository.
    let (_, map) = path.split_last()?;
    let tag = [map, &["tag".to_owned()]].concat();
    let pinned = format!("{}@{}", variable("tag"), variable("digest"));
    Some(format!("{} and {}", values(fault, path, &variable("repository")), values(fault, &tag, &pinned)))
}

/// `values: { cache: { image: "…" } }`, and for the service's own image `image-values: { cache.image: "…" }`.
fn values(fault: &ImageFault, path: &[String], text: &str) -> String {
    if fault.is_own {
        return format!("image-values: {{ {}: \"{text}\" }}", path.join("."));
    }
    let inner = path.iter().rev().fold(format!("\"{text}\""), |inner, key| format!("{{ {key}: {inner} }}"));
    format!("values: {inner}")
}

/// A chart with no container that runs the image of its service at all.
pub(super) fn of_none(service: &DeployService) -> Option<ChartCause> {
    let own = service.image.as_ref()?;
    let line = first_image_line(&service.files);
    let message = format!("no container of it runs `{}` by its locked digest", own.repository);
    let path = line.as_ref().and_then(ChartLine::value_path);
    let style = path.map(|path| {
        format!("image-values: {{ {path}: \"…\" }}, with the parts of the image that this line puts together")
    });
    Some(ChartCause { message, line: shown(line.as_ref()), style, is_about_own: true })
}

/// What a `values.schema.json` refuses, by helm's own words about it.
pub(super) fn of_schema(service: &DeployService, words: &str) -> Vec<ChartCause> {
    if !words.contains("meet the specifications of the schema") {
        return Vec::new();
    }
    let schema = service.files.iter().find(|(path, _)| path == "values.schema.json");
    let schema: Option<Value> = schema.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok());
    let refusals = words.split("at '").skip(1).filter_map(|part| {
        let (pointer, why) = part.split_once("': ")?;
        let why = why.trim_end_matches([' ', '-']).trim();
        (!why.starts_with("validation failed")).then(|| (pointer, why.to_owned()))
    });
    let causes = refusals.map(|(pointer, why)| {
        let keys: Vec<String> =
            pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
        let path = if keys.is_empty() { "the values".to_owned() } else { format!("`{}`", escaped(&keys.join("."))) };
        let extra = why.split_once("additional properties ").map(|(_, names)| names.replace(" not allowed", ""));
        let known = schema.as_ref().map(|schema| properties(schema, &keys)).unwrap_or_default();
        let style = match (&extra, known.is_empty()) {
            (Some(_), false) => Some(format!("{path} takes {}: name those in `image-values`", known.join(", "))),
            (Some(extra), true) => Some(format!("leave {} out of {path}", extra.replace('\'', "`"))),
            (None, _) => Some(format!("give {path} a value that this line takes, by `image-values` or `values`")),
        };
        let line = find_schema_key(&service.files, &keys);
        let message = format!("its `values.schema.json` refuses {path}: {why}");
        ChartCause { message, line: shown(line.as_ref()), style, is_about_own: true }
    });
    causes.collect()
}

/// The properties that a schema names for a map of the values; empty where it says nothing there.
fn properties(schema: &Value, keys: &[String]) -> Vec<String> {
    let at = keys.iter().try_fold(schema, |schema, key| schema.get("properties")?.get(key));
    let properties = at.and_then(|schema| schema.get("properties")?.as_object());
    properties.into_iter().flatten().map(|(key, _)| format!("`{}`", escaped(key))).collect()
}

/// All that is wrong with a rendering, the labels first.
pub(super) fn of_faults(request: &DeployRequest, service: &DeployService, faults: &ImageFaults) -> Vec<ChartCause> {
    let mut causes: Vec<ChartCause> = faults.labels.iter().map(|fault| of_label(service, fault)).collect();
    causes.extend(of_images(request, service, &faults.images.iter().collect::<Vec<_>>()));
    if !faults.runs_own && !faults.images.iter().any(|fault| fault.is_own) {
        causes.extend(of_none(service));
    }
    causes
}

fn shown(line: Option<&ChartLine>) -> Option<String> {
    line.map(ChartLine::place)
}
