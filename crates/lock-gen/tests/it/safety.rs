use std::os::unix::fs::PermissionsExt as _;

use lock_gen::{OpenError, Ownership, Superproject};
use lock_model::CommitId;
use process::{EnvVars, Invocation, Program};

use crate::world::{World, blob, commit, file, gitlink, id, kinds, raw_tree, scan, section, shop, tree};

#[test]
fn t9_hostile_gitmodules_are_problems_and_nothing_is_handed_on() {
    let world = World::new();
    let git = world.bare("shop.git");
    let path = "services/a";
    for (gitmodules, expected) in [
        (section("a", path, "-u./payload"), "unsafe-url services/a"),
        (section("a", path, "ext::sh -c canary"), "unsafe-url services/a"),
        (section("a", path, "https:///host"), "unsafe-url services/a"),
        (section("a", path, "https://h.example/a%0ahost=evil"), "unsafe-url services/a"),
        (section("a", path, "\"https://h.example/a\\nhost=evil\""), "unsafe-url services/a"),
        (section("a", path, "ssh://-oProxyCommand=canary/x"), "unsafe-url services/a"),
        (section("a", path, "../../../evil.example/a"), "unsafe-url services/a"),
        (section("../../x", path, "../a.git"), "unsafe-name ../../x"),
        (section("a", "\"services/a\r\"", "../a.git"), "unreadable-gitmodules .gitmodules"),
        (section("a", path, "../a.git\u{1b}[2J"), "unreadable-gitmodules .gitmodules"),
        (section("a", path, "../a.git") + "\tupdate = !canary\n", "update-command a"),
        (section("a", path, "../a.git") + "[include]\n\tpath = evil\n", "include .gitmodules"),
        (section("a", path, "../a.git") + &section("a", path, "../a.git"), "duplicate a"),
        (section("a", path, "../a.git") + &section("b", path, "../b.git"), "duplicate services/a"),
        (section("a", path, "../a.git") + "\turl = ../b.git\n", "duplicate a"),
    ] {
        let scan = scan(&git, &tree(&git, &[file(".gitmodules", &gitmodules), gitlink(path, &id("1"))]));
        assert_eq!(kinds(&scan.problems), [expected], "{gitmodules}");
        // A file that asks for an include has a harmless section besides; the problem still stops the lock.
        if !expected.starts_with("include") {
            assert_eq!(scan.submodules, [], "{gitmodules}");
        }
        let text: String = scan.problems.iter().map(|finding| finding.to_string() + &finding.hint).collect();
        assert!(!text.contains(char::is_control), "{text:?}");
    }

    let not_text = tree(&git, &[file(".gitmodules", b"[submodule \"\xff\"]\n"), gitlink(path, &id("1"))]);
    assert_eq!(kinds(&scan(&git, &not_text).problems), ["unreadable-gitmodules .gitmodules"]);
    let target = blob(&git, b"other");
    let linked = raw_tree(&git, &[("120000", b".gitmodules", &target), ("160000", b"a", &"1".repeat(40))]);
    assert_eq!(kinds(&scan(&git, &linked).problems), ["unreadable-gitmodules .gitmodules"]);
}

#[test]
fn t9_hostile_paths_in_the_tree_itself() {
    let world = World::new();
    let git = world.bare("shop.git");
    let one = "1".repeat(40);
    let empty = blob(&git, b"");
    let inner = raw_tree(&git, &[("160000", b"hooks", &one)]);
    let root = raw_tree(
        &git,
        &[
            ("160000", b"-option", &one),
            ("160000", b"..", &one),
            ("40000", b".GIT", inner.as_str()),
            ("160000", b"carriage\r", &one),
            ("160000", b"latin\xe9", &one),
            ("160000", b"zero", &"0".repeat(40)),
            ("100644", b"twice", &empty),
            ("160000", b"twice", &one),
        ],
    );
    let scan = scan(&git, &root);
    assert_eq!(
        kinds(&scan.problems),
        [
            "unsafe-path -option",
            "unsafe-path ..",
            "unsafe-path .GIT",
            "unsafe-path carriage\\r",
            "unsafe-path latin\\xe9",
            "duplicate twice",
            "undeclared twice",
            "undeclared zero",
        ]
    );
    assert_eq!(scan.submodules, []);

    let declared = raw_tree(
        &git,
        &[
            ("100644", b".gitmodules", &blob(&git, section("zero", "zero", "../zero.git").as_bytes())),
            ("160000", b"zero", &"0".repeat(40)),
        ],
    );
    assert_eq!(kinds(&crate::world::scan(&git, &declared).problems), ["incomplete zero"]);
}

#[test]
fn t29_hostile_names_are_shown_escaped_and_never_used() {
    let world = World::new();
    let git = world.bare("shop.git");
    for name in ["$(id)", "--post-renderer=x", "a;DROP", "zzz;echo${IFS}x;#"] {
        let path = format!("services/{name}");
        let gitmodules = section(name, &format!("\"{path}\""), "../a.git");
        let scan = scan(&git, &tree(&git, &[file(".gitmodules", gitmodules), gitlink(&path, &id("1"))]));
        if name.starts_with('-') {
            assert_eq!(kinds(&scan.problems), [format!("unsafe-name {name}")]);
        } else {
            // Odd, but only text: no service can be named so, and every program gets it as one argument.
            assert_eq!(scan.submodules[0].path.as_str(), path);
            lock_model::ServiceName::try_from(scan.submodules[0].path.file_name()).unwrap_err();
        }
    }
}

#[test]
fn t30_hostile_configuration_of_a_clone_changes_nothing_and_runs_nothing() {
    let world = World::new();
    let git = world.work("shop");
    let first = commit(&git, &[file(".gitmodules", section("a", "a", "../a.git")), gitlink("a", &id("1"))]);
    let canary = world.path("canary");
    let evil = world.path("evil");
    std::fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", canary.display())).unwrap();
    std::fs::set_permissions(&evil, std::fs::Permissions::from_mode(0o755)).unwrap();
    let expected = scan(&git, &git.commit("main").unwrap().unwrap().tree);
    for key in ["core.fsmonitor", "core.sshCommand", "core.hooksPath", "filter.x.smudge", "core.alternateRefsCommand"] {
        let _done = git.checked(["config", key, evil.to_str().unwrap()]).unwrap();
    }
    let _done = git.checked(["config", "submodule.a.update", "!touch canary"]).unwrap();
    // Git would show another commit in place of this one.
    let other = git.write_tree(None, &[file("b", "x")]).unwrap();
    let identity = git::CommitIdentity {
        name: "Mallory".to_owned(),
        email: "m@evil.example".to_owned(),
        time: lock_model::Timestamp::from_unix_seconds(1),
    };
    let forged: CommitId = git.commit_tree(&other, &[], "forged", &identity).unwrap();
    git.update_ref(&format!("refs/replace/{first}"), forged.as_str(), None).unwrap();

    let superproject = Superproject::open(git.git_dir()).unwrap();
    let info = superproject.commit("main").unwrap();
    assert_eq!(info.id, first);
    assert_ne!(info.tree, other);
    assert_eq!(superproject.scan(&info.tree, &shop()).unwrap(), expected);
    assert!(!canary.exists());
}

#[test]
fn t30_repository_of_another_user_is_refused() {
    let world = World::new();
    let git = world.bare("shop.git");
    commit(&git, &[file("a", "1")]);
    if std::os::unix::fs::chown(git.git_dir(), Some(12345), Some(12345)).is_err() {
        // Only root can give a folder away.
        return;
    }
    let error = Superproject::open(git.git_dir()).unwrap_err();
    assert!(matches!(error, OpenError::ForeignOwner { .. }), "{error}");
    let vouched = Superproject::open_as(git.git_dir(), Ownership::Vouched).unwrap();
    assert!(vouched.commit("main").is_ok_and(|info| info.parents.is_empty()));
}

#[test]
fn a_folder_that_is_no_repository_is_named() {
    let error = Superproject::open("/proc".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "`/proc` is not a git repository");
}

/// In a folder with this file, [`child_reads_the_repository_that_it_is_in`] knows that it is the child.
const MARKER: &str = "read-me-as-a-child";

/// Does its work in a child of the next test, in the folder of a repository.
#[test]
fn child_reads_the_repository_that_it_is_in() {
    if !std::path::Path::new(MARKER).exists() {
        return;
    }
    let superproject = Superproject::open(".".as_ref()).unwrap();
    let tree = superproject.commit("HEAD").unwrap().tree;
    let scan = superproject.scan(&tree, &shop()).unwrap();
    assert_eq!(scan.submodules.len(), 1);
    assert_eq!(scan.submodules[0].path.as_str(), "own");
}

#[test]
fn t30_git_variables_of_ours_are_not_read() {
    let world = World::new();
    let own = world.work("own");
    commit(&own, &[file(".gitmodules", section("own", "own", "../a.git")), gitlink("own", &id("1"))]);
    std::fs::write(own.work_tree().unwrap().join(MARKER), "").unwrap();
    let other = world.bare("other.git");
    commit(&other, &[file(".gitmodules", section("other", "other", "../a.git")), gitlink("other", &id("1"))]);
    let environment = EnvVars::new()
        .set("GIT_DIR", other.git_dir())
        .set("GIT_COMMON_DIR", other.git_dir())
        .set("GIT_OBJECT_DIRECTORY", other.git_dir().join("objects"))
        .set("GIT_INDEX_FILE", "/nonexistent")
        .set("GIT_CONFIG_GLOBAL", "/nonexistent");
    let output = Invocation::new(&Program::at(std::env::current_exe().unwrap()))
        .args(["--exact", "safety::child_reads_the_repository_that_it_is_in"])
        .envs(&environment)
        .current_dir(own.work_tree().unwrap())
        .run()
        .unwrap();
    assert!(output.success() && output.stdout_text().contains("1 passed"), "{}", output.stdout_text());
}
