use std::collections::BTreeMap;

use lock_gen::{LockDrift, lock_drift};
use lock_model::{Content, GitSource, Lock, LockParts, Service, Source};

use crate::world::{World, file, gitlink, id, scan, section, shop, tree};

/// A lock of services given as path, URL and the digit of their commit.
fn lock(services: &[(&str, &str, &str)]) -> Lock {
    let services: BTreeMap<_, _> = services
        .iter()
        .map(|(path, url, digit)| {
            let name = path.rsplit('/').next().unwrap().parse().unwrap();
            let git = GitSource::new(url.parse().unwrap(), id(digit));
            (name, Service::new(path.parse().unwrap(), git, Content::Configuration))
        })
        .collect();
    let source = Source::new(shop(), id("a"), id("b"), "c".repeat(40).parse().unwrap());
    Lock::new(LockParts::new(source).with_services(services)).unwrap()
}

#[test]
fn p8_a_lock_belongs_to_the_tree_whose_gitlinks_and_urls_it_has() {
    let world = World::new();
    let git = world.bare("shop.git");
    let gitmodules =
        section("cart", "services/cart", "../cart.git") + &section("catalog", "services/catalog", "../catalog.git");
    let mut changes = vec![
        file(".gitmodules", gitmodules),
        gitlink("services/cart", &id("1")),
        gitlink("services/catalog", &id("2")),
    ];
    let cart = ("services/cart", "https://forge.example/shop/cart.git", "1");
    let catalog = ("services/catalog", "https://forge.example/shop/catalog.git", "2");
    let now = scan(&git, &tree(&git, &changes));
    assert_eq!(lock_drift(&lock(&[cart, catalog]), &now), []);

    // Another file of the superproject changes nothing: the lock commit itself is one.
    changes.push(file("locks/lock.yaml", "x"));
    assert_eq!(lock_drift(&lock(&[cart, catalog]), &scan(&git, &tree(&git, &changes))), []);

    let moved = ("services/cart", "https://forge.example/fork/cart.git", "3");
    let gone = ("services/gone", "https://forge.example/shop/gone.git", "4");
    let drifts = lock_drift(&lock(&[moved, gone]), &now);
    let paths: Vec<&str> = drifts.iter().map(LockDrift::path).collect();
    assert_eq!(paths, ["services/cart", "services/cart", "services/catalog", "services/gone"]);
    let texts: Vec<String> = drifts.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`cart` is locked at 333333333333, but `services/cart` is at 111111111111",
            "`cart` is locked from `https://forge.example/fork/cart.git`, but `services/cart` comes from \
             `https://forge.example/shop/cart.git`",
            "`services/catalog` is a submodule at 222222222222, but not locked",
            "`gone` is locked, but `services/gone` is no submodule of the tree",
        ]
    );
}

#[test]
fn a_tree_with_problems_has_no_lock_that_belongs_to_it() {
    let world = World::new();
    let git = world.bare("shop.git");
    let broken = scan(&git, &tree(&git, &[gitlink("services/cart", &id("1"))]));
    let drifts = lock_drift(&lock(&[("services/cart", "https://forge.example/shop/cart.git", "1")]), &broken);
    assert!(matches!(drifts.as_slice(), [LockDrift::Tree(finding)] if finding.subject == "services/cart"));
    assert_eq!(drifts[0].path(), "services/cart");
    assert_eq!(drifts[0].to_string(), format!("`services/cart` {}", broken.problems[0].message));
}
