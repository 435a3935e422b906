//! The tool, with the images of an OCI layout folder.

#![expect(clippy::disallowed_methods, reason = "the test starts the tool as a user would start it")]

use std::process::{Command, Output};

use registry::layout::{ImageContent, LayoutWriter};
use registry::lock_model::ImageReference;

#[test]
fn five_images_are_resolved_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let names: Vec<String> =
        ["cart", "web", "orders", "stock", "search"].map(|name| format!("ghcr.io/shop/{name}:main")).into();
    let expected: Vec<String> = names
        .iter()
        .map(|name| {
            let ImageReference { repository, tag, .. } = name.parse().unwrap();
            let content = ImageContent::new("linux/amd64".parse().unwrap()).file("name", name.as_str());
            let digest = writer.add_image(&repository, &tag.unwrap(), &content).unwrap();
            format!("{name}@{digest}")
        })
        .collect();
    let run = |images: &[String]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_resolve-images"));
        command.arg("--layout").arg(folder.path()).args(images).output().unwrap()
    };
    let output = run(&names);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), expected);

    let output = run(&["ghcr.io/shop/nothing:main".to_owned()]);
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("ghcr.io/shop/nothing:main"));
}
