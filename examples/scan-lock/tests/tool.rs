//! The tool, with a superproject made by script and the images of an OCI layout folder.

#![expect(clippy::disallowed_methods, reason = "the test starts the tool as a user would start it")]

use std::fs;
use std::process::{Command, Output};

use lock_model::{LOCK_FILE, Lock};
use registry::layout::{ImageContent, LayoutWriter};
use test_support::Repository;

#[test]
fn a_lock_is_made_and_the_next_one_is_compared_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (images, shop) = (folder.path().join("images"), Repository::init(folder.path().join("shop")));
    let mut writer = LayoutWriter::create(&images).unwrap();
    let mut publish = |name: &str, tag: &str| {
        let content = ImageContent::new("linux/amd64".parse().unwrap()).file("tag", tag);
        let repository = format!("ghcr.io/shop/{name}").parse().unwrap();
        writer.add_image(&repository, &tag.parse().unwrap(), &content).unwrap()
    };
    let run = || -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scan-lock"));
        command.arg("--layout").arg(&images).arg(shop.path());
        command.args(["https://github.com/shop/shop", "ghcr.io/shop"]).output().unwrap()
    };

    shop.submodule("services/cart", "https://github.com/shop/cart.git", &"1".repeat(40)).commit("a cart");
    publish("cart", "main-1111111");
    let output = run();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");

    shop.gitlink("services/cart", &"2".repeat(40));
    shop.submodule("services/web", "https://github.com/shop/web.git", &"3".repeat(40)).commit("a shop window");
    let output = run();
    assert!(!output.status.success(), "an image that is not there: {output:?}");

    let cart = publish("cart", "main-2222222");
    publish("web", "main-3333333");
    let output = run();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("cart: image.tag main-1111111 → main-2222222\n"), "{text}");
    assert!(text.ends_with("web: added\n"), "{text}");

    let lock = Lock::parse(&fs::read(shop.path().join(LOCK_FILE)).unwrap(), LOCK_FILE).unwrap();
    assert_eq!(lock.services().keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["cart", "web"]);
    assert_eq!(lock.services().values().next().unwrap().content.image().unwrap().digest, cart);
}
