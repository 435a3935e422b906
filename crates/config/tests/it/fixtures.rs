//! One file for each rule: `tests/fixtures/config/{valid,invalid}`, the expected words beside the invalid ones.

use std::path::{Path, PathBuf};

use config::{Config, config_schema};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap()
}

fn refused(path: &Path) -> String {
    let text = std::fs::read(path).unwrap();
    match Config::parse("orchestrator.yaml", &text) {
        Ok(_) => panic!("{} is not refused", path.display()),
        Err(errors) => format!("{errors}\n"),
    }
}

#[test]
fn valid_files_load() {
    for path in fixtures("valid") {
        let text = std::fs::read(&path).unwrap();
        if let Err(errors) = Config::parse(stem(&path), &text) {
            panic!("{errors}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a switch for people who change messages, not for the product")]
fn writes_expected() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

#[test]
fn invalid_files_are_refused_in_the_expected_words() {
    let mut wrong = Vec::new();
    for path in fixtures("invalid") {
        if writes_expected() {
            std::fs::write(path.with_extension("txt"), refused(&path)).unwrap();
        }
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let actual = refused(&path);
        if actual != expected {
            wrong.push(format!("== {}\n-- expected\n{expected}-- actual\n{actual}", stem(&path)));
        }
    }
    let wrong = wrong.concat();
    assert!(
        wrong.is_empty(),
        "{wrong}\n(with UPDATE_EXPECT=1 in the environment they are written anew: look at the difference)"
    );
}

/// A file says in its first line when the schema cannot see what is wrong with it.
#[test]
fn the_schema_judges_every_file_like_the_loader() {
    let mut wrong = Vec::new();
    let validator = jsonschema::draft202012::new(&config_schema()).unwrap();
    for path in fixtures("valid") {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", stem(&path));
    }
    for path in fixtures("invalid") {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // What is no YAML never reaches a schema.
        let Ok(value) = serde_saphyr::from_str::<serde_json::Value>(&text) else { continue };
        let blind = text.lines().take(2).any(|line| line == "# The schema cannot see this.");
        if validator.is_valid(&value) != blind {
            wrong.push(format!("{} is {}", stem(&path), if blind { "refused by the schema" } else { "not seen" }));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_schema_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/config.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let actual = serde_json::to_string_pretty(&config_schema()).unwrap() + "\n";
    assert!(committed == actual, "schemas/config.schema.json is not up to date: `cargo xtask generate` writes it anew");
}
