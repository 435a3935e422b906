//! A disk that is really full: a small file system in memory, in a namespace of the command's own.

use std::fs;
use std::path::Path;

use test_support::{Finished, Sandbox, bench, built_binary};

use crate::cache::files;
use crate::shop::Shop;
use crate::stops::locked;

/// Mounts 64 KiB at the first argument, with `old` in `lock.yaml` and in `report.xml`, fills it, runs the others, and prints
/// what is there then.
const ON_FULL_DISK: &str = r#"
set -e
disk=$1; shift
mount -t tmpfs -o size=64k tmpfs "$disk"
echo old > "$disk/lock.yaml"
echo old > "$disk/report.xml"
cat /dev/zero > "$disk/filler" 2>/dev/null || true
code=0; "$@" || code=$?
echo "left: $(cd "$disk"; echo *) $(cat "$disk/lock.yaml" "$disk/report.xml" | tr '\n' ' ')"
exit $code
"#;

/// Whether this machine lets us mount a file system of our own; otherwise the test is reported as skipped.
fn can_mount() -> bool {
    let sandbox = Sandbox::new();
    let probe = ["-rm", "mount", "-t", "tmpfs", "tmpfs", sandbox.path().to_str().unwrap()];
    let can = Path::new("/usr/bin/unshare").exists()
        && sandbox.orchestrator_at("/usr/bin/unshare").args(probe).run().code() == Some(0);
    if !can {
        bench::skip("`unshare -rm` may not mount a file system here");
    }
    can
}

/// Runs a command in the shop's clone, with a full disk at `../full`.
fn with_full_disk(shop: &Shop, line: &str) -> Finished {
    let disk = shop.join("full");
    fs::create_dir_all(&disk).unwrap();
    let (disk, binary) = (disk.to_str().unwrap().to_owned(), built_binary());
    let script = ["-rm", "sh", "-c", ON_FULL_DISK, "sh", &disk, binary.to_str().unwrap()];
    shop.program("/usr/bin/unshare", &script, line).run()
}

#[test]
fn f4_f26_on_a_full_disk_the_old_file_stays_and_the_path_is_named() {
    if !can_mount() {
        return;
    }
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    shop.ok("run staging");
    for (line, path) in [
        ("lock generate --rev dev --output ../full", "full/"),
        ("test run staging --suite system --junit ../full/report.xml", "full/report.xml"),
    ] {
        let refused = with_full_disk(&shop, line).expect_code(15);
        assert!(refused.stderr().contains(path), "{line}: {refused}");
        assert!(refused.stderr().contains("No space left"), "{line}: {refused}");
        assert!(refused.stdout().contains("left: filler lock.yaml report.xml old old"), "{line}: {refused}");
    }
    // Manifests of services are fetched into the cache: without it nothing can be deployed, and nothing is.
    let before = files(&shop.join("forge")).len();
    let refused = with_full_disk(&shop, "--cache ../full/cache plan staging");
    assert!(refused.code() == Some(15) && refused.stderr().contains("full/cache"), "{refused}");
    assert_eq!(files(&shop.join("forge")).len(), before);
}
