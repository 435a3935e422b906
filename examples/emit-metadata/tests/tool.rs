//! The tool, run as CI would run it.

#![expect(clippy::disallowed_methods, reason = "the test starts the tool as CI would start it")]

use std::fs;
use std::process::Command;

use lock_model::{Digest, METADATA_FILE, ServiceMetadata};

#[test]
fn the_metadata_file_names_the_build_and_its_interface() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("openapi.yaml"), "openapi: 3.1.0\n").unwrap();
    let (commit, image) = ("1".repeat(40), format!("ghcr.io/shop/cart:main-1111111@sha256:{}", "2".repeat(64)));
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_emit-metadata")).args(arguments).current_dir(&folder).output().unwrap()
    };
    let output = run(&["cart", &commit, &image, "1.4.0", "openapi.yaml"]);
    assert!(output.status.success(), "{output:?}");

    let text = fs::read(folder.path().join(METADATA_FILE)).unwrap();
    let metadata = ServiceMetadata::parse(&text, METADATA_FILE).unwrap();
    assert_eq!((metadata.name().as_str(), metadata.commit().as_str()), ("cart", commit.as_str()));
    assert_eq!(metadata.image().reference().to_string(), image);
    assert_eq!(metadata.api_files()[0].digest, Digest::of(b"openapi: 3.1.0\n"));

    let output = run(&["cart", &commit, "ghcr.io/shop/cart:main", "1.4.0", "openapi.yaml"]);
    assert!(!output.status.success(), "an image without a digest is no build: {output:?}");
}
