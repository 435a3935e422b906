use lock_model::{ErrorClass, METADATA_FILE, MetadataError, ParseErrorKind, ServiceMetadata};
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

fn parse(value: &Value) -> Result<ServiceMetadata, lock_model::ParseError> {
    ServiceMetadata::parse(value.to_string().as_bytes(), "metadata.json")
}

#[test]
fn it_is_read_and_written_and_fits_its_schema() {
    let metadata = parse(&valid()).unwrap();
    let schema = jsonschema::validator_for(&lock_model::metadata_schema()).unwrap();
    let written = metadata.to_json();
    assert!(schema.is_valid(&serde_json::from_str(&written).unwrap()));
    assert_eq!(ServiceMetadata::parse(written.as_bytes(), "again").unwrap(), metadata);
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
        let error = parse(&changed).expect_err(pointer);
        assert_eq!(error.path(), path, "{error}");
        assert!(error.line().is_some() && error.class() == ErrorClass::Invalid);
        assert!(!schema.is_valid(&changed), "the schema accepts {changed}");
    }
    for field in ["version", "name", "commit", "image", "service_version"] {
        let mut changed = valid();
        drop(changed.as_object_mut().unwrap().remove(field));
        assert!(parse(&changed).is_err() && !schema.is_valid(&changed), "`{field}` is optional");
    }
    let mut unknown = valid();
    unknown["built_by"] = json!("ci");
    assert_eq!(parse(&unknown).unwrap_err().path(), "built_by");
    assert!(!schema.is_valid(&unknown));
}

#[test]
fn the_version_is_judged_before_the_shape() {
    let error = ServiceMetadata::parse(br#"{"version": 2, "wagons": []}"#, "m.json").unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::UnknownVersion);
    assert_eq!(error.file(), "m.json");
    assert!(error.hint().is_some());
    assert_eq!((error.line(), error.column()), (Some(1), Some(13)));
}

#[test]
fn p30_metadata_is_json_and_never_yaml() {
    let text = valid().to_string().replace("\"main-1111111\"", "main-1111111\"");
    let error = ServiceMetadata::parse(text.as_bytes(), "metadata.json").unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::Unreadable);
    let yaml = ServiceMetadata::parse(b"version: 1\nname: cart\n", "metadata.json").unwrap_err();
    assert_eq!(yaml.kind(), ParseErrorKind::Unreadable);
}

#[test]
fn t39_duplicate_keys_trailing_text_and_size_are_refused() {
    let text = valid().to_string();
    let twice = text.replacen("\"name\":", "\"name\":\"catalog\",\"name\":", 1);
    assert_eq!(ServiceMetadata::parse(twice.as_bytes(), "m").unwrap_err().kind(), ParseErrorKind::Invalid);
    let trailing = format!("{text} {{}}");
    assert_eq!(ServiceMetadata::parse(trailing.as_bytes(), "m").unwrap_err().kind(), ParseErrorKind::Unreadable);
    let deep = format!("{{\"version\":1,\"x\":{}", "[".repeat(100_000));
    assert_eq!(ServiceMetadata::parse(deep.as_bytes(), "m").unwrap_err().kind(), ParseErrorKind::Unreadable);
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(ServiceMetadata::parse(&large, "m").unwrap_err().kind(), ParseErrorKind::TooLarge);
    assert_eq!(ServiceMetadata::parse(b"\xff", "m").unwrap_err().kind(), ParseErrorKind::NotText);
}

#[test]
fn an_api_file_is_listed_once() {
    let mut twice = valid();
    let first = twice["api"][0].clone();
    twice["api"].as_array_mut().unwrap().push(first);
    let error = parse(&twice).unwrap_err();
    assert!(error.to_string().contains("`openapi.yaml` is listed twice"), "{error}");
}

#[test]
fn an_error_shows_the_line() {
    let text = "{\n  \"version\": 1,\n  \"name\": \"Cart\"\n}\n";
    let error = ServiceMetadata::parse(text.as_bytes(), "metadata.json").unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata.json:3:11: `name`: `Cart` is not a valid service name: lower-case letters, digits, `.`, `_`, `-`, \
         starting with a letter or digit, at most 128\n  |\n3 |   \"name\": \"Cart\"\n  |           ^"
    );
}

fn built() -> ServiceMetadata {
    let image = lock_model::MetadataImage::new(
        "ghcr.io/shop/cart".parse().unwrap(),
        "main-1111111".parse().unwrap(),
        lock_model::Digest::of(b""),
    );
    ServiceMetadata::new("cart".parse().unwrap(), "1".repeat(40).parse().unwrap(), image, "1.4.0".parse().unwrap())
}

fn with(metadata: ServiceMetadata, path: &str) -> Result<ServiceMetadata, MetadataError> {
    metadata.api("openapi".parse().unwrap(), path.parse().unwrap(), path.as_bytes())
}

#[test]
fn what_is_built_is_sorted_and_can_be_parsed() {
    let metadata = with(with(with(built(), "b.yaml").unwrap(), "c.yaml").unwrap(), "a.yaml").unwrap();
    let paths: Vec<&str> = metadata.api_files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(metadata.api_files()[0].digest, lock_model::Digest::of(b"a.yaml"));
    let parsed = ServiceMetadata::parse(metadata.to_json().as_bytes(), METADATA_FILE).unwrap();
    assert_eq!(parsed, metadata);
    assert_eq!(parsed.name().as_str(), "cart");
    assert_eq!(parsed.commit().as_str(), "1".repeat(40));
    assert_eq!(parsed.service_version().as_str(), "1.4.0");
    assert_eq!(parsed.locked().api, metadata.api_files());
    assert_eq!(parsed.image().reference().to_string(), built().image().reference().to_string());
}

#[test]
fn a_path_is_listed_once_and_the_file_stays_small() {
    let twice = with(with(built(), "a.yaml").unwrap(), "a.yaml").unwrap_err();
    assert_eq!(twice.to_string(), "`a.yaml` is listed twice");
    assert_eq!(twice.class(), ErrorClass::Invalid);
    let mut metadata = built();
    let error = loop {
        let path = format!("{}/{}", metadata.api_files().len(), "x".repeat(4000));
        metadata = match with(metadata.clone(), &path) {
            Ok(larger) => larger,
            Err(error) => break error,
        };
    };
    assert!(matches!(error, MetadataError::TooLarge { bytes, .. } if bytes > 1 << 20), "{error}");
    let text = metadata.to_json();
    assert!(text.len() > (1 << 20) - 5000 && ServiceMetadata::parse(text.as_bytes(), METADATA_FILE).is_ok());
}

#[test]
fn an_image_is_made_of_a_reference_with_tag_and_digest() {
    let whole = built().image().reference();
    assert_eq!(lock_model::MetadataImage::try_from(whole.clone()).unwrap(), *built().image());
    let error = lock_model::MetadataImage::try_from(whole.without_digest()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ghcr.io/shop/cart:main-1111111` is not a valid pushed image: a reference with tag and digest"
    );
}
