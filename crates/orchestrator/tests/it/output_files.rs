//! Files that a caller asks for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use orchestrator::lock::{
    ComposeRequest, LockGenerateRequest, LockMigrateRequest, compose_override, generate_lock, migrate_lock,
};
use orchestrator::{ErrorKind, TestRequest, check_output, run_tests, save_plan, write_output};
use test_support::Sandbox;

use crate::shop::{Shop, environment, fails};

fn kind(work_tree: Option<&Path>, path: &Path) -> ErrorKind {
    let before = check_output(work_tree, path).unwrap_err();
    let error = write_output(work_tree, path, b"new").unwrap_err();
    assert_eq!((before.kind(), before.to_string()), (error.kind(), error.to_string()), "it was said before");
    assert!(error.message().contains(path.to_str().unwrap()), "{error} names the path");
    error.kind()
}

#[test]
fn t50_no_output_follows_a_link() {
    let sandbox = Sandbox::new();
    let top = sandbox.join("clone");
    fs::create_dir_all(top.join("real")).unwrap();
    fs::create_dir(sandbox.join("outside")).unwrap();
    fs::write(sandbox.join("victim"), "precious").unwrap();
    symlink("../victim", top.join("report.xml")).unwrap();
    symlink("../nowhere", top.join("dangling.xml")).unwrap();
    symlink("../outside", top.join("out")).unwrap();
    symlink("real", top.join("inside")).unwrap();
    symlink("../../victim", top.join("real/lock.yaml")).unwrap();
    fs::create_dir(top.join("folder.xml")).unwrap();
    fs::write(top.join("file"), "").unwrap();
    for path in [
        "report.xml",
        "dangling.xml",
        "out/x.xml",
        "out/new/x.xml",
        "inside/x.xml",
        "real/lock.yaml",
        "folder.xml",
        "file/x.xml",
        "real/../out/x.xml",
    ] {
        assert_eq!(kind(Some(&top), &top.join(path)), ErrorKind::Usage, "{path}");
    }
    assert_eq!(fs::read_to_string(sandbox.join("victim")).unwrap(), "precious");
    assert_eq!(fs::read_dir(sandbox.join("outside")).unwrap().count(), 0);
    assert!(!sandbox.join("nowhere").exists());
    assert!(
        fs::read_dir(top.join("real")).unwrap().all(|entry| entry.unwrap().file_name() == "lock.yaml"),
        "no leftovers"
    );

    // The folders on the way to a work tree are the caller's own.
    symlink(&top, sandbox.join("linked-clone")).unwrap();
    let linked = sandbox.join("linked-clone");
    for path in [linked.join("deep/er/x.xml"), sandbox.join("linked-clone/deep/y.xml"), top.join("real/x.xml")] {
        for work_tree in [Some(linked.as_path()), Some(top.as_path()), None] {
            check_output(work_tree, &path).unwrap();
        }
    }
    assert!(!top.join("deep").exists(), "a look makes nothing");
    assert_eq!(fs::read_dir(top.join("real")).unwrap().count(), 1, "and leaves nothing");
    write_output(Some(&linked), &linked.join("deep/er/x.xml"), b"new").unwrap();
    assert_eq!(fs::read_to_string(top.join("deep/er/x.xml")).unwrap(), "new");
    write_output(None, &sandbox.join("linked-clone/y.xml"), b"new").unwrap();
    write_output(Some(&top), &top.join("deep/er/x.xml"), b"newer").unwrap();
    assert_eq!(fs::read_to_string(top.join("deep/er/x.xml")).unwrap(), "newer");
    assert_eq!(fs::read_dir(top.join("deep/er")).unwrap().count(), 1, "no leftovers");
}

#[test]
fn f26_a_place_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.join("file"), "").unwrap();
    let no_folder = sandbox.join("file/x.xml");
    let error = write_output(None, &no_folder, b"new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    // Nobody makes a file there, not even root.
    for place in ["/sys/kernel/orchestrator.xml", "/proc/self/task/orchestrator.xml"] {
        let before = check_output(None, Path::new(place)).unwrap_err();
        let error = write_output(None, Path::new(place), b"new").unwrap_err();
        assert_eq!((before.kind(), before.message()), (error.kind(), error.message()));
        if error.kind() == ErrorKind::Storage {
            assert!(error.message().contains(place) && !error.hints().is_empty(), "{error}");
            return;
        }
    }
    panic!("no place of this machine refuses to be written to");
}

/// The rest of each request is wrong as well, and would be said if work had begun.
#[tokio::test]
async fn an_output_that_cannot_be_written_is_noticed_before_the_work() {
    let shop = Shop::new();
    let place = shop.join("taken");
    fs::write(&place, "").unwrap();
    let mut generate = LockGenerateRequest::new("no-such-branch");
    generate.output = Some(place.join("locks"));
    let mut migrate = LockMigrateRequest::new("no-such-file.json");
    migrate.output = Some(place.clone());
    let no_environment = environment("no-such-environment");
    let mut test = TestRequest::new(no_environment.clone());
    test.junit = Some(place.join("report.xml"));
    let mut compose = ComposeRequest::new("no-such-file.yml");
    compose.output = Some(place.join("locked.yml"));
    let bot = shop.bot();
    for (error, path) in [
        (fails(generate_lock(&bot, &generate).await.map(drop), ErrorKind::Usage), "taken/locks/lock.yaml"),
        (fails(migrate_lock(&bot, &migrate).await.map(drop), ErrorKind::Usage), "taken/lock.yaml"),
        (fails(run_tests(&bot, &test).await.map(drop), ErrorKind::Usage), "taken/report.xml"),
        (
            fails(save_plan(&bot, &no_environment, None, &place.join("plan.json")).await.map(drop), ErrorKind::Usage),
            "taken/plan.json",
        ),
        (
            fails(compose_override(&shop.join("shop.git"), &compose, &shop.surroundings()).map(drop), ErrorKind::Usage),
            "taken/locked.yml",
        ),
    ] {
        assert!(error.message().ends_with(&format!("{path}` cannot be written")), "{error}");
    }
}

/// The folders on the way to a file are made, the same for each command.
#[tokio::test]
async fn an_output_makes_the_folders_that_are_missing() {
    let shop = Shop::new();
    let (lock, override_file) = (shop.join("new/locks"), shop.join("new/compose/locked.yml"));
    let mut generate = LockGenerateRequest::new("dev");
    generate.output = Some(lock.clone());
    generate_lock(&shop.bot(), &generate).await.unwrap();
    fs::write(shop.join("compose.yml"), "services: { shop-web: { image: web } }\n").unwrap();
    let mut compose = ComposeRequest::new(shop.join("compose.yml"));
    compose.lock = lock.join("lock.yaml").display().to_string();
    compose.output = Some(override_file.clone());
    compose.service = "no-{name}".to_owned();
    let made = compose_override(&shop.join("shop.git"), &compose, &shop.surroundings());
    assert!(made.is_err() && !override_file.parent().unwrap().exists(), "what fails makes no folder");
    compose.service = "{name}".to_owned();
    compose_override(&shop.join("shop.git"), &compose, &shop.surroundings()).unwrap();
    assert!(override_file.is_file());
    let mut test = TestRequest::new(environment("pull-request"));
    test.junit = Some(shop.join("new/reports/junit.xml"));
    test.pull_request = Some(shop.open_pull_request("dev", "staging").await);
    run_tests(&shop.bot(), &test).await.unwrap();
    assert!(shop.join("new/reports/junit.xml").is_file());
}
