//! A disk that is really full: a small file system in memory, in a namespace of the command's own.

use std::fs;
use std::path::Path;

use test_support::{DockerRegistry, Finished, Sandbox, Skopeo, bench, built_binary};

use crate::cache::files;
use crate::flow::push_all;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::locked;

/// Mounts 64 KiB at the first argument, with `old` in `lock.yaml` and in `report.xml`, fills it, runs the others, and prints
/// what is there then.
const ON_FULL_DISK: &str = r#"
set -e
disk=$1; shift
mount -t tmpfs -o size=64k tmpfs "$disk"
cp "$disk/../before/lock.yaml" "$disk/lock.yaml"
echo old > "$disk/report.xml"
cat /dev/zero > "$disk/filler" 2>/dev/null || true
code=0; "$@" || code=$?
same=$(cmp "$disk/../before/lock.yaml" "$disk/lock.yaml" && echo as before)
echo "left: $(cd "$disk"; echo *) $same, $(cat "$disk/report.xml")"
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
    let (disk, before) = (shop.join("full"), shop.join("before"));
    fs::create_dir_all(&disk).unwrap();
    if !before.exists() {
        shop.ok("lock generate --rev dev --output ../before");
    }
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
        assert!(refused.stdout().contains("left: filler lock.yaml report.xml as before, old"), "{line}: {refused}");
    }
    // Manifests of services are fetched into the cache: without it nothing can be deployed, and nothing is.
    let before = files(&shop.join("forge")).len();
    let refused = with_full_disk(&shop, "--cache ../full/cache plan staging");
    assert!(refused.code() == Some(15) && refused.stderr().contains("full/cache"), "{refused}");
    assert_eq!(files(&shop.join("forge")).len(), before);
}

#[test]
fn f26_a_cache_that_cannot_be_written_is_a_warning() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &registry.url()));
    push_all(&shop, &skopeo, &registry);
    let lock = shop.ok("lock generate --rev dev").stdout().to_owned();
    fs::write(shop.join("file"), "").unwrap();
    let warns = |finished: Finished, place: &str| {
        let finished = finished.expect_code(0);
        let warnings = finished.stderr().matches("nothing is kept for the next command: ").count();
        assert!(warnings == 1 && finished.stderr().contains(place), "{place}: {finished}");
        finished
    };
    // A file in the way, and a file system in which nobody makes a folder, not even root.
    for place in ["../file/cache", "/sys/kernel/orchestrator-cache"] {
        let line = format!("--cache {place} lock generate --rev dev");
        let finished = warns(shop.orchestrator(&line).run(), place.trim_start_matches("../"));
        assert_eq!(finished.stdout(), lock, "{place}");
    }
    if can_mount() {
        let finished = warns(with_full_disk(&shop, "--cache ../full/cache lock generate --rev dev"), "full/cache");
        assert!(finished.stdout().starts_with(&lock) && finished.stderr().contains("No space left"), "{finished}");
    }
}

/// Makes `.git` of the present folder read-only for the command.
const IN_READ_ONLY_CLONE: &str = r#"
set -e
mount --bind .git .git
mount -o remount,bind,ro .git
exec "$@"
"#;

#[test]
fn f26_a_clone_that_cannot_be_written_is_named() {
    if !can_mount() {
        return;
    }
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    shop.ok("run staging");
    let binary = built_binary();
    let before = files(&shop.join("forge")).len();
    for line in ["status", "run staging"] {
        let script = ["-rm", "sh", "-c", IN_READ_ONLY_CLONE, "sh", binary.to_str().unwrap()];
        let refused = shop.program("/usr/bin/unshare", &script, line).run().expect_code(15);
        assert!(
            refused.stderr().contains("cannot be fetched into `") && refused.stderr().contains("/shop/.git`"),
            "{line}: {refused}"
        );
        assert!(refused.stderr().contains("Read-only file system"), "{line}: {refused}");
    }
    assert_eq!(files(&shop.join("forge")).len(), before);
}

/// As a user without rights, as root, and without a file system of one's own: what is no folder holds no memory.
#[test]
fn f26_a_file_in_place_of_the_clones_own_folder_is_named() {
    let shop = locked();
    let folder = shop.join("shop/.git/orchestrator");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::write(&folder, "no folder").unwrap();
    for line in ["status", "history staging"] {
        let finished = shop.orchestrator(line).run();
        assert!(finished.stderr().contains(".git/orchestrator"), "{line}: {finished}");
        assert!(!matches!(finished.code(), Some(70) | None), "{line}: {finished}");
    }
}
