use git::{ABSENT, GitErrorKind, RefChange, RefUpdate, TreeChange};
use lock_model::{CommitId, ErrorClass};

use crate::sandbox::{Sandbox, commit, identity, tree, write};

#[test]
fn trees_are_written_without_touching_anything_else() {
    for sha256 in [false, true] {
        let sandbox = Sandbox::new();
        let git = if sha256 { sandbox.sha256("a.git") } else { sandbox.bare("a.git") };
        let empty = tree(&git, None, &[]);
        assert_eq!(git.list_files(empty.as_str(), None).unwrap(), []);
        let first = tree(&git, None, &[write("a", "1"), write("d/e", "2"), write("d/f", "3")]);
        let changes = [
            TreeChange::Remove { path: "d/e".to_owned() },
            TreeChange::Remove { path: "never/was".to_owned() },
            // A folder in place of a file, and the last of two writes.
            write("a/b", "x"),
            write("g", "1"),
            write("g", "2"),
        ];
        let second = tree(&git, Some(first.as_str()), &changes);
        let files: Vec<(String, Vec<u8>)> =
            git.read_files(second.as_str(), None).unwrap().into_iter().map(|file| (file.path, file.bytes)).collect();
        let expected = [("a/b", "x"), ("d/f", "3"), ("g", "2")];
        assert_eq!(files, expected.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())));
        // The same content is the same tree, and no scratch folder stays behind.
        assert_eq!(tree(&git, None, &[write("d/f", "3"), write("g", "2"), write("a/b", "x")]), second);
        let left: Vec<_> = std::fs::read_dir(git.common_dir().join("objects"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("tmp"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        assert!(!git.common_dir().join("index").exists());
    }
}

#[test]
fn t9_hostile_paths_are_not_written() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    for path in ["../x", "/x", "a/../b", "", "a//b", "./a", "a\0b", ".git/config", "a/.GIT/hooks/x", "git~1/x"] {
        let error = git.write_tree(None, &[write(path, "x")]).unwrap_err();
        assert!(error.kind() == GitErrorKind::Operand, "{path}: {error}");
    }
}

#[test]
fn commits_and_tags_are_the_same_bytes_each_time() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "subject\n\nbody", &[write("a", "1")]);
    assert_eq!(first, commit(&git, None, "subject\n\nbody", &[write("a", "1")]));
    assert_eq!(
        git.text(["cat-file", "commit", first.as_str()]).unwrap(),
        "tree ce1b6fbf8b2cd6eb20a0b5a3f0a7a2f5fa4ef2ba\n\
         author Tester <tester@shop.example> 1700000000 +0000\n\
         committer Tester <tester@shop.example> 1700000000 +0000\n\nsubject\n\nbody"
            .replace(
                "ce1b6fbf8b2cd6eb20a0b5a3f0a7a2f5fa4ef2ba",
                git.commit(first.as_str()).unwrap().unwrap().tree.as_str()
            )
    );
    let tag = git.write_tag("v1", &first, "release one\n\nid: x\n", &identity()).unwrap();
    assert_eq!(git.update_ref("refs/tags/v1", &tag, Some(ABSENT)).unwrap(), RefUpdate::Done);
    assert_eq!(git.tag_message("refs/tags/v1").unwrap().as_deref(), Some("release one\n\nid: x\n"));
    assert_eq!(git.tag_message("refs/tags/v2").unwrap(), None);
    assert_eq!(git.tag_message(first.as_str()).unwrap(), None);
    let refs = git.refs("refs/tags/").unwrap();
    assert_eq!(refs.len(), 1);
    assert_eq!((refs[0].id.as_str(), refs[0].peeled.as_deref()), (tag.as_str(), Some(first.as_str())));
    assert_eq!(git.commit("v1").unwrap().unwrap().id, first);

    let missing = CommitId::try_from("1".repeat(40)).unwrap();
    let tree = git.commit(first.as_str()).unwrap().unwrap().tree;
    let error = git.commit_tree(&tree, &[missing], "x", &identity()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
}

#[test]
fn f10_refs_change_only_from_the_expected_value() {
    for sha256 in [false, true] {
        let sandbox = Sandbox::new();
        let git = if sha256 { sandbox.sha256("a.git") } else { sandbox.bare("a.git") };
        let first = commit(&git, None, "1", &[write("a", "1")]);
        let second = commit(&git, Some(&first), "2", &[write("a", "2")]);
        let (one, two) = (first.as_str(), second.as_str());
        let main = "refs/heads/main";
        let moved = |actual: Option<&CommitId>| RefUpdate::Moved { actual: actual.cloned() };

        assert_eq!(git.update_ref(main, one, Some(two)).unwrap(), moved(None));
        assert_eq!(git.update_ref(main, one, Some(ABSENT)).unwrap(), RefUpdate::Done);
        assert_eq!(git.update_ref(main, two, Some(ABSENT)).unwrap(), moved(Some(&first)));
        assert_eq!(git.update_ref(main, two, Some(two)).unwrap(), moved(Some(&first)));
        assert_eq!(git.update_ref(main, two, Some(one)).unwrap(), RefUpdate::Done);
        assert_eq!(git.update_ref(main, one, None).unwrap(), RefUpdate::Done);

        // All or none.
        let change = |name: &str, new: &str, old: Option<&str>| RefChange {
            name: name.to_owned(),
            new: new.to_owned(),
            old: old.map(str::to_owned),
        };
        let changes = [change("refs/pull/1/head", two, Some(ABSENT)), change(main, two, Some(two))];
        assert_eq!(git.update_refs(&changes).unwrap(), moved(Some(&first)));
        assert_eq!(git.rev_parse("refs/pull/1/head").unwrap(), None);
        let changes = [change("refs/pull/1/head", two, Some(ABSENT)), change(main, two, Some(one))];
        assert_eq!(git.update_refs(&changes).unwrap(), RefUpdate::Done);
        assert_eq!(git.refs("refs/").unwrap().len(), 2);

        // Removal, with and without an expectation.
        assert_eq!(git.update_ref(main, ABSENT, Some(one)).unwrap(), moved(Some(&second)));
        assert_eq!(git.update_ref(main, ABSENT, Some(two)).unwrap(), RefUpdate::Done);
        assert_eq!(git.update_ref("refs/pull/1/head", ABSENT, None).unwrap(), RefUpdate::Done);
        assert_eq!(git.refs("refs/").unwrap(), []);

        let missing = "1".repeat(if sha256 { 64 } else { 40 });
        let error = git.update_ref(main, &missing, None).unwrap_err();
        assert!(error.kind() == GitErrorKind::Process, "{error}");
    }
}

#[test]
fn t29_names_never_pass_for_options_or_lines() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "1", &[write("a", "1")]);
    for name in [
        "main",
        "refs/heads/",
        "refs/heads/a\nb",
        "refs/heads/a b",
        "-x",
        "refs/../x",
        "refs/a.lock",
        "refs/@{x",
        "refs/heads/-x",
    ] {
        let error = git.update_ref(name, first.as_str(), None).unwrap_err();
        assert!(error.kind() == GitErrorKind::Operand, "{name}: {error}");
    }
    for revision in ["--all", "-h", "", "a\nb", "main\0x"] {
        assert!(git.rev_parse(revision).unwrap_err().kind() == GitErrorKind::Operand, "{revision}");
        assert!(git.commit(revision).unwrap_err().kind() == GitErrorKind::Operand, "{revision}");
        assert!(git.read_files(revision, None).unwrap_err().kind() == GitErrorKind::Operand, "{revision}");
    }
    for remote in ["--upload-pack=touch x", "-u", "", "a\nb", "ssh://-oProxyCommand=x/y"] {
        assert!(git.fetch(remote, &["main"], None).unwrap_err().kind() == GitErrorKind::Operand, "{remote}");
        assert!(git.ls_remote(remote, &[]).unwrap_err().kind() == GitErrorKind::Operand, "{remote}");
        assert!(
            git.push(remote, "main", "refs/heads/main", None).unwrap_err().kind() == GitErrorKind::Operand,
            "{remote}"
        );
    }
}

/// One child writes what five write: the ids say that all bytes are the same.
#[test]
fn a_commit_of_changes_is_the_commit_that_git_makes_of_them() {
    for sha256 in [false, true] {
        let sandbox = Sandbox::new();
        let git = if sha256 { sandbox.sha256("a.git") } else { sandbox.bare("a.git") };
        let remove = |path: &str| TreeChange::Remove { path: path.to_owned() };
        let file = |path: &str, mode: u32, bytes: &[u8]| TreeChange::Write {
            path: path.to_owned(),
            mode,
            bytes: bytes.to_vec(),
        };
        let first = [write("a", "1"), write("d/e", "2"), write("d/f", "3"), write("d.txt", ""), write("d-", "4")];
        let long: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let changes: [Vec<TreeChange>; 9] = [
            first.to_vec(),
            vec![
                write("d/e", "5"),
                file("run", git::MODE_EXECUTABLE, b"#!/bin/sh\n"),
                file("long", git::MODE_FILE, &long),
            ],
            // A folder in place of a file, a file in place of a folder, and the last of two writes.
            vec![write("a/b/c", "x"), write("d", "y"), write("g", "1"), write("g", "2")],
            vec![remove("a"), remove("d"), remove("never/was"), remove("g/h")],
            vec![write("a/b/é", "6"), remove("a/b/c"), write("z/z", "1"), remove("z/z")],
            // Left to git, which knows what it takes.
            vec![file("link", git::MODE_SYMLINK, b"g"), write("h", "7")],
            vec![TreeChange::Gitlink { path: "sub".to_owned(), commit: CommitId::try_from("2".repeat(40)).unwrap() }],
            vec![remove("sub"), remove("link")],
            vec![write("last", "")],
        ];
        let mut tip: Option<CommitId> = None;
        for (number, changes) in changes.iter().enumerate() {
            if sha256 && changes.iter().any(|change| matches!(change, TreeChange::Gitlink { .. })) {
                continue;
            }
            for message in ["subject", "subject\n", "subject\n\nbody ünd\n\n", "  indented"] {
                let base = tip.as_ref().map(CommitId::as_str);
                let tree = git.write_tree(base, changes).unwrap();
                let parents: Vec<CommitId> = tip.iter().cloned().collect();
                let expected = git.commit_tree(&tree, &parents, message, &identity()).unwrap();
                // In a repository that has none of the objects but those of the commit before.
                let other = sandbox.copy(&git, &format!("copy-{number}-{}.git", message.len()), base);
                let made = other.commit_changes(tip.as_ref(), changes, message, &identity()).unwrap();
                assert_eq!(made.as_ref(), Some(&expected), "{number} {message:?}");
                let _sound = other.checked(["fsck", "--strict", "--no-dangling"]).unwrap();
                let files = |git: &git::Git| git.read_files(expected.as_str(), None).unwrap();
                assert_eq!(files(&other), files(&git));
            }
            let parents: Vec<CommitId> = tip.iter().cloned().collect();
            let tree = git.write_tree(tip.as_ref().map(CommitId::as_str), changes).unwrap();
            tip = Some(git.commit_tree(&tree, &parents, "next", &identity()).unwrap());
            assert_eq!(git.commit_changes(tip.as_ref(), &[remove("not/there")], "x", &identity()).unwrap(), None);
        }
        let left: Vec<TreeChange> = git
            .list_files(tip.as_ref().unwrap().as_str(), None)
            .unwrap()
            .iter()
            .map(|file| remove(&file.path))
            .collect();
        let empty = git.commit_changes(tip.as_ref(), &left, "x", &identity()).unwrap().unwrap();
        assert_eq!(git.list_files(empty.as_str(), None).unwrap(), []);
    }
}

#[test]
fn t9_hostile_paths_are_in_no_commit_of_changes() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    for path in ["../x", "/x", "a/../b", "", "a//b", "./a", "a\0b", ".git/config", "a/.GIT/hooks/x", "git~1/x", "a/"] {
        let error = git.commit_changes(None, &[write(path, "x")], "x", &identity()).unwrap_err();
        assert!(error.kind() == GitErrorKind::Operand, "{path}: {error}");
    }
    let missing = CommitId::try_from("1".repeat(40)).unwrap();
    let error = git.commit_changes(Some(&missing), &[write("a", "1")], "x", &identity()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
    // What git leaves out of names is left to git.
    let odd = git::CommitIdentity::new(". \"Tester\" ", "tester@shop.example", identity().time);
    let made = git.commit_changes(None, &[write("a", "1")], "x", &odd).unwrap().unwrap();
    assert_eq!(git.commit(made.as_str()).unwrap().unwrap().author, "Tester <tester@shop.example>");
}
