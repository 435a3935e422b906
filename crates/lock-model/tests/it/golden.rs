use crate::sample::golden;

const GOLDEN: &str = include_str!("../fixtures/valid/golden.yaml");

#[test]
fn the_golden_file_is_written_byte_for_byte() {
    assert_eq!(golden().to_yaml(), GOLDEN);
}

#[test]
fn the_golden_file_is_read() {
    assert_eq!(lock_model::Lock::parse(GOLDEN.as_bytes(), "golden.yaml").unwrap(), golden());
}

#[test]
fn the_json_form_has_the_files_keys_in_its_order() {
    let json = serde_json::to_string(&golden()).unwrap();
    assert!(json.starts_with(r#"{"version":1,"id":"sha256:faa0e272113ea046"#), "{json}");
    assert!(json.contains(r#""kind":"configuration","path":"infra/grafana","git":{"url":"#), "{json}");
    assert!(!json.contains("exceptions") && !json.contains("null"), "{json}");
}
