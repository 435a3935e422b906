//! One file a rule: what is read, and what is refused with which words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lock_model::{Lock, ParseError, ParseErrorKind};
use serde_json::Value;

/// Files that the parser refuses and a schema cannot: by the beginning of their names, with the reason.
const BEYOND_THE_SCHEMA: &[(&str, &str)] = &[
    ("canonical-", "the bytes are wrong, the values are right"),
    ("p3-", "the id is not that of the content: a schema does not hash"),
    ("t39-created-unquoted", "YAML 1.2 reads a string; the quotes are for readers of 1.1"),
    ("t39-tag-no-unquoted", "YAML 1.2 reads a string; the quotes are for readers of 1.1"),
    ("t39-tag-with-underscores-unquoted", "YAML 1.2 reads a string; the quotes are for readers of 1.1"),
    ("metadata-version-three-parts-unquoted", "YAML 1.2 reads a string; the quotes are for readers of 1.1"),
    ("service-name-is-a-number", "every key of a JSON object is a string"),
    ("path-of-two-services", "one part of the lock speaks about another"),
    ("path-inside-another", "one part of the lock speaks about another"),
    ("tag-with-two-digests", "one part of the lock speaks about another"),
    ("several-problems", "one part of the lock speaks about another"),
    ("manifests-of-no-service", "one part of the lock speaks about another"),
    ("api-file-twice", "the items differ, one of their fields does not"),
    ("exception-twice", "the items differ, some of their fields do not"),
];

/// Files that have no JSON form that a schema could judge, with the reason.
const WITHOUT_JSON: &[(&str, &str)] = &[
    ("t39-duplicate-", "JSON values have no duplicate keys: the converter refuses as well"),
    ("t39-anchor", "the converter is told to refuse anchors as well"),
    ("t39-alias", "the converter is told to refuse aliases as well"),
    ("t39-merge-key", "the converter is told to refuse merge keys as well"),
    ("t39-deep-nesting", "the converter has a depth limit as well"),
    ("yaml-syntax", "not YAML"),
    ("yaml-tab", "not YAML"),
    ("yaml-two-documents", "two values"),
    ("yaml-key-is-a-list", "a JSON key is a string"),
    ("yaml-directive", "syntax without a trace in the values"),
    ("yaml-tag", "syntax without a trace in the values"),
    ("not-utf-8", "not text"),
    ("p30-json-with-a-lost-quote", "not JSON"),
];

#[test]
fn p4_every_valid_file_is_read_written_alike_and_fits_the_schema() {
    let schema = schema();
    for file in files("valid") {
        let text = std::fs::read_to_string(&file).unwrap();
        let lock = Lock::parse(text.as_bytes(), &name(&file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lock.to_yaml(), text, "{}", file.display());
        let json = to_json(&text).unwrap();
        let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
        assert_eq!(json, serde_json::to_value(&lock).unwrap(), "{}: another reader", file.display());
    }
}

#[test]
fn p3_every_invalid_file_is_refused_with_its_place() {
    check_refusals("invalid");
}

#[test]
fn p30_locks_of_the_older_pipeline_are_refused_by_name() {
    check_refusals("legacy");
}

#[test]
fn p4_what_the_parser_refuses_the_schema_refuses() {
    let schema = schema();
    let mut unused: BTreeMap<&str, &str> = BEYOND_THE_SCHEMA.iter().chain(WITHOUT_JSON).copied().collect();
    for file in files("invalid").into_iter().chain(files("legacy")) {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let mut listed = |list: &'static [(&str, &str)]| {
            let entry = list.iter().find(|(start, _)| stem.starts_with(start));
            if let Some((start, _)) = entry {
                unused.remove(start);
            }
            entry.is_some()
        };
        let (beyond, without) = (listed(BEYOND_THE_SCHEMA), listed(WITHOUT_JSON));
        let json = String::from_utf8(std::fs::read(&file).unwrap()).ok().and_then(|text| to_json(&text));
        let refused = json.is_none_or(|json| !schema.is_valid(&json));
        if !without {
            assert_eq!(refused, !beyond, "{stem}: the schema and the parser disagree; is there a reason to list?");
        }
    }
    assert!(unused.is_empty(), "listed, but there is no such file: {unused:?}");
}

fn check_refusals(folder: &str) {
    let mut wrong = Vec::new();
    for file in files(folder) {
        let error = Lock::parse(&std::fs::read(&file).unwrap(), &name(&file)).expect_err(&file.display().to_string());
        let expected = std::fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        let actual = rendered(&error);
        assert_eq!(error.kind() == ParseErrorKind::TooLarge, error.line().is_none(), "{actual}");
        if actual != expected {
            wrong.push(format!("== {}\n-- expected\n{expected}-- actual\n{actual}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An error as the files beside the fixtures have it: the kind, the text, the hint.
fn rendered(error: &ParseError) -> String {
    let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    format!("{:?}\n{error}\n{hint}", error.kind())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

fn schema() -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(&lock_model::lock_schema()).unwrap()
}

/// YAML as another parser's other front end reads it, strictly and by the core schema of YAML 1.2.
fn to_json(text: &str) -> Option<Value> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    serde_saphyr::from_str_with_options(text, options).ok()
}
