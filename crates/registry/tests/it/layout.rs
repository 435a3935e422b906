//! Layout folders: written, read, damaged.

use std::fs;

use lock_model::{Digest, ErrorClass, ImageRepository, Platform, Tag, Timestamp};
use registry::layout::{Blob, ImageContent, IndexContent, LayoutErrorKind, LayoutReader, LayoutWriter};

fn cart() -> ImageRepository {
    ImageRepository::try_from("registry.example/shop/cart").unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::try_from(text).unwrap()
}

fn image(platform: &str) -> ImageContent {
    ImageContent::new(Platform::try_from(platform).unwrap())
        .created(Timestamp::from_unix_seconds(1_763_673_247))
        .label("org.opencontainers.image.revision", "1".repeat(40))
        .file("service/readme.txt", "cart\n")
}

#[test]
fn the_same_calls_write_the_same_bytes() {
    let digests: Vec<(Digest, Digest, Vec<u8>)> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = LayoutWriter::create(folder.path()).unwrap();
            let single = writer.add_image(&cart(), &tag("main-1111111"), &image("linux/amd64")).unwrap();
            let index = IndexContent::new([image("linux/amd64"), image("linux/arm64/v8")]).attestations();
            let several = writer.add_index(&cart(), &tag("main-2222222"), &index).unwrap();
            (single, several, fs::read(folder.path().join("index.json")).unwrap())
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
    // Frozen: the demo's transcript and other tests hold digests of images made this way.
    assert_eq!(digests[0].0.as_str(), "sha256:a304ecec72eec50850908da3368e63493b63a3b46f9936818a3b4725705a4252");
    assert_eq!(digests[0].1.as_str(), "sha256:79db3d29193ab7593a036345b214d591a7e3a925495bbb24f540a4c77a21fc69");
}

#[test]
fn a_tag_moves_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let first = writer.add_image(&cart(), &tag("a"), &image("linux/amd64")).unwrap();
    let second = writer.add_image(&cart(), &tag("b"), &image("linux/arm64")).unwrap();
    writer.set_tag(&cart(), &tag("a"), &second).unwrap();
    let reader = LayoutReader::open(folder.path()).unwrap();
    assert_eq!(reader.entry(&cart(), &tag("a")).unwrap().digest, second);
    assert!(reader.blob(&first, 1 << 20).unwrap().is_some(), "what the tag left is still there");
    assert!(writer.remove_tag(&cart(), &tag("a")).unwrap());
    assert!(!writer.remove_tag(&cart(), &tag("a")).unwrap());
    assert!(LayoutReader::open(folder.path()).unwrap().entry(&cart(), &tag("a")).is_none());
    let nowhere = Digest::of(b"nowhere");
    let error = writer.set_tag(&cart(), &tag("a"), &nowhere).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::Missing { digest } if *digest == nowhere), "{error}");
}

#[test]
fn a_folder_that_is_there_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    LayoutWriter::create(folder.path()).unwrap().add_image(&cart(), &tag("a"), &image("linux/amd64")).unwrap();
    let mut again = LayoutWriter::create(folder.path()).unwrap();
    again.add_document(&cart(), &tag("b"), &Blob::new("text/html", b"<html>".to_vec())).unwrap();
    let names: Vec<String> = again.reader().entries().keys().cloned().collect();
    assert_eq!(names, ["registry.example/shop/cart:a", "registry.example/shop/cart:b"]);
}

#[test]
fn names_that_stand_twice_are_all_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    writer.add_image(&cart(), &tag("a"), &image("linux/amd64")).unwrap();
    writer.add_image(&cart(), &tag("b"), &image("linux/amd64")).unwrap();
    let path = folder.path().join("index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    entries.extend(entries.clone());
    fs::write(&path, index.to_string()).unwrap();
    let names = LayoutReader::open(folder.path()).unwrap().entries().len();
    assert_eq!(names, 2, "the same entry twice is one");
    for entry in index["manifests"].as_array_mut().unwrap().iter_mut().skip(2) {
        entry["digest"] = Digest::of(b"another").as_str().into();
    }
    fs::write(&path, index.to_string()).unwrap();
    let error = LayoutReader::open(folder.path()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    let text = error.to_string();
    assert!(
        text.ends_with("more than one entry is named `registry.example/shop/cart:a`, `registry.example/shop/cart:b`"),
        "{text}"
    );
}

#[test]
fn a_folder_of_docker_or_buildx_is_read_by_its_full_names() {
    let folder = tempfile::tempdir().unwrap();
    let digest =
        LayoutWriter::create(folder.path()).unwrap().add_image(&cart(), &tag("a"), &image("linux/amd64")).unwrap();
    let path = folder.path().join("index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["manifests"][0]["annotations"] = serde_json::json!({
        "io.containerd.image.name": "registry.example/shop/cart:main-1",
        "org.opencontainers.image.ref.name": "main-1",
    });
    fs::write(&path, index.to_string()).unwrap();
    let reader = LayoutReader::open(folder.path()).unwrap();
    assert_eq!(reader.entry(&cart(), &tag("main-1")).map(|entry| &entry.digest), Some(&digest));
}

#[test]
fn t33_a_blob_with_other_bytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let digest = writer.add_image(&cart(), &tag("a"), &image("linux/amd64")).unwrap();
    fs::write(folder.path().join("blobs/sha256").join(digest.hex()), "{}").unwrap();
    let error = writer.reader().blob(&digest, 1 << 20).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::Corrupt { hashed, .. } if *hashed == Digest::of(b"{}")), "{error}");
}

#[test]
fn t40_a_blob_is_read_up_to_the_cap() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let digest = writer.put_blob(&[0; 100]).unwrap();
    assert_eq!(writer.reader().blob(&digest, 100).unwrap().unwrap().len(), 100);
    let error = writer.reader().blob(&digest, 99).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::TooLarge { limit: 99, .. }), "{error}");
}

#[test]
fn folders_that_are_no_layout_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for missing in ["nowhere", "file"] {
        let error = LayoutReader::open(&folder.path().join(missing)).unwrap_err();
        assert!(matches!(error.kind(), LayoutErrorKind::NoFolder), "{error}");
    }
    let error = LayoutReader::open(folder.path()).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::NotALayout), "{error}");
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    let error = LayoutReader::open(folder.path()).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::Version { version } if version == "2.0.0"), "{error}");
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    assert_eq!(LayoutReader::open(folder.path()).unwrap_err().class(), ErrorClass::NotFound);
    fs::write(folder.path().join("index.json"), "<html>").unwrap();
    let error = LayoutReader::open(folder.path()).unwrap_err();
    assert!(matches!(error.kind(), LayoutErrorKind::Json { .. }), "{error}");
}

#[test]
fn a_file_name_that_would_leave_the_layer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    for name in ["../x", "/x", "", "a//b", &"x".repeat(101)] {
        let error = writer.add_image(&cart(), &tag("a"), &image("linux/amd64").file(name, "")).unwrap_err();
        assert!(matches!(error.kind(), LayoutErrorKind::Content { .. }), "{name}: {error}");
    }
}
