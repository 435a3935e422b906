//! Lines of a chart's files: where an image, a label or a key of the values stands.

use crate::manifest;

/// Paths below the chart's folder, and what the files hold.
type Files = [(String, Vec<u8>)];

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChartLine {
    file: String,
    /// The first line of a file is 1.
    number: usize,
    text: String,
    /// Whether it is a line of `values.yaml`, also of a chart that this one depends on.
    pub(super) is_value: bool,
    /// Whether the value of the line is all that was looked for.
    pub(super) is_whole: bool,
    /// The keys that lead to the value; none in a list.
    pub(super) keys: Option<Vec<String>>,
}

impl ChartLine {
    /// `templates/app.yaml:14`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", crate::problem::escaped(&self.file), self.number)
    }

    /// The first value that a template's line takes: `image.tag` of `{{ .Values.image.tag }}`.
    pub(super) fn value_path(&self) -> Option<String> {
        let (_, rest) = self.text.split_once(".Values.")?;
        let path = rest.split(|sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_'))).next()?;
        let path = path.trim_end_matches('.');
        (!path.is_empty()).then(|| path.to_owned())
    }
}

fn lines<'a>(files: &'a Files, of: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (&'a str, usize, String)> + 'a {
    files.iter().filter(move |(path, _)| of(path)).flat_map(|(path, bytes)| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.into_iter().enumerate().map(move |(index, line)| (path.as_str(), index + 1, line))
    })
}

fn is_template(path: &str) -> bool {
    path.starts_with("templates/") || path.contains("/templates/")
}

fn is_values(path: &str) -> bool {
    path == "values.yaml" || path.ends_with("/values.yaml")
}

fn template_line(file: &str, number: usize, text: String) -> ChartLine {
    ChartLine { file: file.to_owned(), number, text, is_value: false, is_whole: false, keys: None }
}

/// The line of a template that writes a label.
pub(super) fn find_label(files: &Files, name: &str) -> Option<ChartLine> {
    first_template_line(files, |key, value| key == name && value.contains("{{"))
}

/// The first line of a template that writes an image.
pub(super) fn first_image_line(files: &Files) -> Option<ChartLine> {
    first_template_line(files, |key, value| key == "image" && !value.is_empty())
}

fn first_template_line(files: &Files, is_it: impl Fn(&str, &str) -> bool) -> Option<ChartLine> {
    let mut found = lines(files, is_template)
        .filter(|(_, _, line)| key_and_value(line).is_some_and(|(key, value)| is_it(key, value)));
    found.next().map(|(file, number, line)| template_line(file, number, line))
}

/// The lines that an image comes from: values that are all of it, values that are its repository, templates that name that.
pub(super) fn find_image_lines(files: &Files, image: &str, repository: &str) -> Vec<ChartLine> {
    let values = |wanted: &str, is_whole: bool| -> Vec<ChartLine> {
        let found = lines(files, is_values)
            .filter(|(_, _, line)| key_and_value(line).is_some_and(|(_, value)| value == wanted));
        let found = found.map(|(file, number, text)| {
            let keys = keys_of(files, file, number);
            ChartLine { file: file.to_owned(), number, text, is_value: true, is_whole, keys }
        });
        found.collect()
    };
    let whole = values(image, true);
    if !whole.is_empty() {
        return whole;
    }
    let parts = values(repository, false);
    if !parts.is_empty() {
        return parts;
    }
    let named = lines(files, is_template).filter(|(_, _, line)| line.contains(repository));
    named.map(|(file, number, line)| template_line(file, number, line)).collect()
}

/// The line of the top chart's schema that describes a key of the values.
pub(super) fn find_schema_key(files: &Files, keys: &[String]) -> Option<ChartLine> {
    let all: Vec<_> = lines(files, |path| path == "values.schema.json").collect();
    let mut at = 0;
    for key in keys {
        let wanted = format!("\"{key}\"");
        let is_key = |line: &str| line.split_once(&wanted).is_some_and(|(_, rest)| rest.trim_start().starts_with(':'));
        at += all.get(at..)?.iter().position(|(_, _, line)| is_key(line))?;
    }
    let (file, number, line) = all.get(at)?;
    Some(template_line(file, *number, line.clone()))
}

/// Key and value of a line such as `- image: "a:1"  # comment`.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("- ").unwrap_or(line);
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    Some((key.trim().trim_matches(['"', '\'']), value.trim().trim_matches(['"', '\''])))
}

/// The keys that lead to a line of a `values.yaml`, from the values of the top chart.
fn keys_of(files: &Files, file: &str, number: usize) -> Option<Vec<String>> {
    let mut stack: Vec<(usize, String)> = Vec::new();
    for (_, at, line) in lines(files, |path| path == file).take(number) {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let indent = line.len() - text.len();
        if text.starts_with("- ") && at == number {
            return None;
        }
        let Some((key, _)) = key_and_value(text) else { continue };
        while stack.last().is_some_and(|(depth, _)| *depth >= indent) {
            stack.pop();
        }
        stack.push((indent, key.to_owned()));
    }
    let keys: Vec<String> = stack.into_iter().map(|(_, key)| key).collect();
    if keys.iter().any(|key| key.contains('.')) {
        return None;
    }
    Some([of_chart(files, file), keys].concat())
}

/// The keys below which a chart in `charts/` has its values: its alias, or the name of its folder.
fn of_chart(files: &Files, file: &str) -> Vec<String> {
    let (mut folder, mut keys) = (String::new(), Vec::new());
    let mut rest = file;
    while let Some(below) = rest.strip_prefix("charts/") {
        let Some((name, further)) = below.split_once('/') else { break };
        keys.push(alias(files, &folder, name).unwrap_or_else(|| name.to_owned()));
        folder.push_str("charts/");
        folder.push_str(name);
        folder.push('/');
        rest = further;
    }
    keys
}

/// What the `Chart.yaml` in a folder calls a chart that it depends on.
fn alias(files: &Files, folder: &str, name: &str) -> Option<String> {
    let (_, bytes) = files.iter().find(|(path, _)| *path == format!("{folder}Chart.yaml"))?;
    let chart = manifest::parse_map(bytes).ok()?;
    let mut dependencies = chart.get("dependencies")?.as_array()?.iter();
    let found = dependencies.find(|one| one.get("name").and_then(serde_json::Value::as_str) == Some(name))?;
    Some(found.get("alias")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn images_are_found_in_values_with_their_keys_and_else_in_templates() {
        let chart = files(&[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\ndependencies:\n- { name: worker, alias: mailer }\n- { name: cache }\n",
            ),
            ("charts/cache/values.yaml", "# first\nimage: r.io/plain:1  # of today\n"),
            ("charts/worker/values.yaml", "main:\n  image: 'r.io/plain:1'\n"),
            ("templates/a.yaml", "      - image: r.io/only/here:2\n"),
            (
                "values.yaml",
                "a:\n  b: 1\n\n  side:\n    repository: \"r.io/side\"\n    tag: x\nlist:\n- image: r.io/listed:1\n",
            ),
        ]);
        let found = |image: &str, repository: &str| -> Vec<(String, bool, Option<String>)> {
            let lines = find_image_lines(&chart, image, repository);
            lines
                .iter()
                .map(|line| (line.place(), line.is_whole, line.keys.as_ref().map(|keys| keys.join("."))))
                .collect()
        };
        let keys = |text: &str| Some(text.to_owned());
        assert_eq!(
            found("r.io/plain:1", "r.io/plain"),
            [
                ("charts/cache/values.yaml:2".to_owned(), true, keys("cache.image")),
                ("charts/worker/values.yaml:2".to_owned(), true, keys("mailer.main.image")),
            ]
        );
        assert_eq!(found("r.io/side:x", "r.io/side"), [("values.yaml:5".to_owned(), false, keys("a.side.repository"))]);
        assert_eq!(found("r.io/only/here:2", "r.io/only/here"), [("templates/a.yaml:1".to_owned(), false, None)]);
        assert_eq!(found("r.io/listed:1", "r.io/listed"), [("values.yaml:8".to_owned(), true, None)]);
        assert_eq!(found("r.io/none:1", "r.io/none"), []);
    }

    #[test]
    fn labels_and_keys_of_a_schema_are_found() {
        let chart = files(&[
            (
                "templates/a.yaml",
                "labels:\n  app: fixed\n  app: {{ .Values.image.tag | quote }}\nimage: {{ .Values.one }}\n",
            ),
            (
                "values.schema.json",
                "{ \"properties\": {\n  \"tag\": {},\n  \"image\": { \"properties\": {\n    \"tag\": {} } } } }\n",
            ),
        ]);
        let label = find_label(&chart, "app").unwrap();
        assert_eq!((label.place().as_str(), label.value_path().as_deref()), ("templates/a.yaml:3", Some("image.tag")));
        assert_eq!(find_label(&chart, "other"), None);
        assert_eq!(first_image_line(&chart).unwrap().value_path().as_deref(), Some("one"));
        let key = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            find_schema_key(&chart, &keys).map(|line| line.place())
        };
        assert_eq!(key(&["image", "tag"]).as_deref(), Some("values.schema.json:4"));
        assert_eq!(key(&["tag"]).as_deref(), Some("values.schema.json:2"));
        assert_eq!(key(&["image", "none"]), None);
    }
}
