use lock_model::{ErrorClass, ReadErrorKind, ServiceMetadata};
use serde_json::{Value, json};

fn valid() -> Value {
    json!({
        "version": 1,
        "name": "cart",
        "commit": "1".repeat(40),
        "image": {
            "repository": "ghcr.io/shop/cart",
            "tag": "main-1111111",
            "digest": format!("sha256:{}", "2".repeat(64)),
        },
        "service_version": "1.4.0",
        "api": [{ "kind": "openapi", "path": "openapi.yaml", "digest": format!("sha256:{}", "8".repeat(64)) }],
    })
}

fn read(value: &Value) -> Result<ServiceMetadata, lock_model::ReadError> {
    ServiceMetadata::read(value.to_string().as_bytes(), "metadata.json")
}

#[test]
fn it_is_read_and_written_and_fits_its_schema() {
    let metadata = read(&valid()).unwrap();
    let schema = jsonschema::validator_for(&lock_model::metadata_schema()).unwrap();
    let written = metadata.write();
    assert!(schema.is_valid(&serde_json::from_str(&written).unwrap()));
    assert_eq!(ServiceMetadata::read(written.as_bytes(), "again").unwrap(), metadata);
    assert_eq!(metadata.locked().version.as_str(), "1.4.0");
}

#[test]
fn p4_what_is_refused_is_refused_by_the_schema_too() {
    let schema = jsonschema::validator_for(&lock_model::metadata_schema()).unwrap();
    let cases: [(&str, Value, &str); 14] = [
        ("/version", json!("1"), "version"),
        ("/version", json!(null), ""),
        ("/version", json!(2), "version"),
        ("/name", json!("Cart"), "name"),
        ("/name", json!(null), "name"),
        ("/commit", json!("1111111"), "commit"),
        ("/image", json!("ghcr.io/shop/cart"), "image"),
        ("/image/tag", json!(2_286_238), "image.tag"),
        ("/image/tag", json!("main\""), "image.tag"),
        ("/image/digest", json!("sha256:22"), "image.digest"),
        ("/service_version", json!(1.4), "service_version"),
        ("/service_version", json!("1\n2"), "service_version"),
        ("/api", json!(null), "api"),
        ("/api/0/path", json!("../x"), "api.0.path"),
    ];
    for (pointer, value, path) in cases {
        let mut changed = valid();
        *changed.pointer_mut(pointer).unwrap() = value;
        let error = read(&changed).expect_err(pointer);
        assert_eq!(error.path(), path, "{error}");
        assert!(error.line().is_some() && error.class() == ErrorClass::Invalid);
        assert!(!schema.is_valid(&changed), "the schema accepts {changed}");
    }
    for field in ["version", "name", "commit", "image", "service_version"] {
        let mut changed = valid();
        drop(changed.as_object_mut().unwrap().remove(field));
        assert!(read(&changed).is_err() && !schema.is_valid(&changed), "`{field}` is optional");
    }
    let mut unknown = valid();
    unknown["built_by"] = json!("ci");
    assert_eq!(read(&unknown).unwrap_err().path(), "built_by");
    assert!(!schema.is_valid(&unknown));
}

#[test]
fn the_version_is_judged_before_the_shape() {
    let error = ServiceMetadata::read(br#"{"version": 2, "wagons": []}"#, "m.json").unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::UnknownVersion);
    assert!(error.hint().is_some());
    assert_eq!((error.line(), error.column()), (Some(1), Some(13)));
}

#[test]
fn p30_metadata_is_json_and_never_yaml() {
    let text = valid().to_string().replace("\"main-1111111\"", "main-1111111\"");
    let error = ServiceMetadata::read(text.as_bytes(), "metadata.json").unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::Unreadable);
    let yaml = ServiceMetadata::read(b"version: 1\nname: cart\n", "metadata.json").unwrap_err();
    assert_eq!(yaml.kind(), ReadErrorKind::Unreadable);
}

#[test]
fn t39_duplicate_keys_trailing_text_and_size_are_refused() {
    let text = valid().to_string();
    let twice = text.replacen("\"name\":", "\"name\":\"catalog\",\"name\":", 1);
    assert_eq!(ServiceMetadata::read(twice.as_bytes(), "m").unwrap_err().kind(), ReadErrorKind::Invalid);
    let trailing = format!("{text} {{}}");
    assert_eq!(ServiceMetadata::read(trailing.as_bytes(), "m").unwrap_err().kind(), ReadErrorKind::Unreadable);
    let deep = format!("{{\"version\":1,\"x\":{}", "[".repeat(100_000));
    assert_eq!(ServiceMetadata::read(deep.as_bytes(), "m").unwrap_err().kind(), ReadErrorKind::Unreadable);
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(ServiceMetadata::read(&large, "m").unwrap_err().kind(), ReadErrorKind::TooLarge);
    assert_eq!(ServiceMetadata::read(b"\xff", "m").unwrap_err().kind(), ReadErrorKind::NotText);
}

#[test]
fn an_api_file_is_listed_once() {
    let mut twice = valid();
    let first = twice["api"][0].clone();
    twice["api"].as_array_mut().unwrap().push(first);
    let error = read(&twice).unwrap_err();
    assert!(error.to_string().contains("`openapi.yaml` is listed twice"), "{error}");
}

#[test]
fn an_error_shows_the_line() {
    let text = "{\n  \"version\": 1,\n  \"name\": \"Cart\"\n}\n";
    let error = ServiceMetadata::read(text.as_bytes(), "metadata.json").unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata.json:3:11: `name`: `Cart` is not a valid service name: lower-case letters, digits, `.`, `_`, `-`, \
         starting with a letter or digit, at most 128\n  |\n3 |   \"name\": \"Cart\"\n  |           ^"
    );
}
