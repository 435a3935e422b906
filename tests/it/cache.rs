//! The cache of manifests, shared by commands that run at the same time.

use std::fs;
use std::path::{Path, PathBuf};

use test_support::{DockerRegistry, Skopeo};

use crate::flow::push_all;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::locked;

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn f5_f24_processes_share_a_cache_and_damage_to_it_is_found() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &registry.url()));
    push_all(&shop, &skopeo, &registry);
    let cache = shop.join("cache");
    let line = "--cache ../cache lock generate --rev dev";

    let running: Vec<_> = (0..6).map(|_| shop.orchestrator(line).start()).collect();
    let locks: Vec<String> =
        running.into_iter().map(|running| running.wait().expect_code(0).stdout().to_owned()).collect();
    assert!(locks.iter().all(|lock| *lock == locks[0]), "{locks:#?}");

    // One byte of every document is another one now: nothing of it is believed.
    let documents: Vec<PathBuf> =
        files(&cache).into_iter().filter(|path| fs::read(path).is_ok_and(|bytes| bytes.contains(&b'{'))).collect();
    assert!(!documents.is_empty(), "{:?}", files(&cache));
    for path in &documents {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(shop.ok(line).stdout(), locks[0]);
    // What is known needs no document: the registry may have lost all but its tags' manifests.
    let blobs = registry.storage().join("docker/registry/v2/blobs");
    for path in files(&blobs) {
        let is_config = fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"{\"architecture\""));
        if is_config {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(shop.ok(line).stdout(), locks[0], "the second time costs one HEAD an image");
    fs::remove_dir_all(&cache).unwrap();
    shop.ends(line, 12);
}

/// It is the same for all services, and said once.
#[test]
fn a_cache_in_an_impossible_place_is_one_problem() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    let refused = shop.orchestrator("--cache /proc/cache run staging").run();
    let told = refused.stderr().matches("cache `/proc/cache` cannot be used").count();
    assert!(refused.code() != Some(0) && told == 1, "{refused}");
}
