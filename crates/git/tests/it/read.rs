use git::{Git, GitErrorKind, InitOptions, LineCount, MODE_GITLINK, MergeTree, TreeChange, TreeFile};
use lock_model::CommitId;

use crate::sandbox::{Sandbox, commit, program, write};

#[test]
fn commits_are_read_with_all_facts() {
    for format in ["sha1", "sha256"] {
        let sandbox = Sandbox::new();
        let git = if format == "sha1" { sandbox.bare("a.git") } else { sandbox.sha256("a.git") };
        let first = commit(&git, None, "first\n\nbody\n", &[write("a", "1")]);
        let second = commit(&git, Some(&first), "second", &[write("b", "2")]);
        git.update_ref("refs/heads/main", second.as_str(), None).unwrap();

        let facts = git.commit("main").unwrap().unwrap();
        assert_eq!((&facts.id, facts.parents.as_slice()), (&second, std::slice::from_ref(&first)));
        assert_eq!(facts.tree.as_str(), git.text(["rev-parse", "main^{tree}"]).unwrap());
        assert_eq!(facts.committer_time.to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(facts.author, "Tester <tester@shop.example>");
        let facts = git.commit(first.as_str()).unwrap().unwrap();
        assert_eq!((facts.subject.as_str(), facts.message.as_str()), ("first", "first\n\nbody\n"));

        for missing in ["nothing", "refs/heads/x", &"1".repeat(40), "main:a", "main~7"] {
            assert_eq!(git.commit(missing).unwrap(), None, "{missing}");
        }
        assert_eq!(git.rev_parse("main").unwrap().as_deref(), Some(second.as_str()));
        assert_eq!(git.rev_parse("nothing").unwrap(), None);
        assert_eq!(git.rev_parse("main:a^{commit}").unwrap(), None);
        assert_eq!(git.rev_list(&["main"]).unwrap(), [second.clone(), first.clone()]);
    }
}

#[test]
fn ancestry() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "first", &[write("a", "1")]);
    let left = commit(&git, Some(&first), "left", &[write("b", "2")]);
    let right = commit(&git, Some(&first), "right", &[write("c", "2")]);
    let alone = commit(&git, None, "alone", &[write("c", "2")]);
    let is_ancestor = |a: &CommitId, b: &CommitId| git.is_ancestor(a.as_str(), b.as_str()).unwrap();
    assert!(is_ancestor(&first, &left) && is_ancestor(&left, &left));
    assert!(!is_ancestor(&left, &first) && !is_ancestor(&left, &right));
    assert_eq!(git.merge_base(left.as_str(), right.as_str()).unwrap(), Some(first));
    assert_eq!(git.merge_base(left.as_str(), alone.as_str()).unwrap(), None);
    let error = git.is_ancestor(&"1".repeat(40), left.as_str()).unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` does not exist in the repository", "1".repeat(40)));
}

#[test]
fn files_are_read_as_git_stores_them() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let sub = CommitId::try_from("1".repeat(40)).unwrap();
    let head = commit(
        &git,
        None,
        "files",
        &[
            write("deploy/a.yaml", "a\r\n"),
            write("deploy/ü b\n\"c\".yaml", "odd"),
            write("deployment", "not below deploy"),
            TreeChange::Write { path: "deploy/bin".to_owned(), mode: 0o100_755, bytes: vec![0, 255, 10] },
            TreeChange::Write { path: "deploy/link".to_owned(), mode: 0o120_000, bytes: b"a.yaml".to_vec() },
            TreeChange::Gitlink { path: "deploy/sub".to_owned(), commit: sub.clone() },
            write("empty", ""),
        ],
    );
    let all = git.read_files(head.as_str(), None).unwrap();
    assert_eq!(all.len(), 7);
    let below = git.read_files(head.as_str(), Some("deploy")).unwrap();
    let shown: Vec<(&str, u32, &[u8])> = below.iter().map(|f| (f.path.as_str(), f.mode, f.bytes.as_slice())).collect();
    assert_eq!(
        shown,
        [
            ("deploy/a.yaml", 0o100_644, b"a\r\n".as_slice()),
            ("deploy/bin", 0o100_755, &[0, 255, 10]),
            ("deploy/link", 0o120_000, b"a.yaml"),
            ("deploy/sub", MODE_GITLINK, b""),
            ("deploy/ü b\n\"c\".yaml", 0o100_644, b"odd"),
        ]
    );
    let link: &TreeFile = below.iter().find(|file| file.mode == MODE_GITLINK).unwrap();
    assert_eq!(link.id, sub.as_str());

    let read = |path: &str| git.read_file(head.as_str(), path).unwrap();
    assert_eq!(read("deploy/a.yaml").as_deref(), Some(b"a\r\n".as_slice()));
    assert_eq!(read("deploy/ü b\n\"c\".yaml").as_deref(), Some(b"odd".as_slice()));
    assert_eq!(read("empty").as_deref(), Some(b"".as_slice()));
    for absent in ["deploy", "deploy/sub", "deploy/sub/x", "nothing", "deploy/*"] {
        assert_eq!(read(absent), None, "{absent}");
    }
    assert_eq!(git.read_files(head.as_str(), Some("nothing")).unwrap(), []);

    // No tree is no answer.
    let error = git.read_file("nothing", "a").unwrap_err();
    assert_eq!(error.to_string(), "`nothing` does not exist in the repository");
    assert!(git.read_files("nothing", None).unwrap_err().kind() == GitErrorKind::NotFound);
    assert!(git.diff_names("nothing", head.as_str()).unwrap_err().kind() == GitErrorKind::NotFound);
}

#[test]
fn t41_lines_are_counted_whatever_attributes_say() {
    let sandbox = Sandbox::new();
    let git = sandbox.init("shop", &InitOptions { bare: false, ..InitOptions::default() });
    let before = [write("a.yaml", "1\n2\n3\n"), write("b", "x\0y"), write("gone", "1\n2"), write("same", "s\n")];
    let first = commit(&git, None, "1", &before);
    let gone = TreeChange::Remove { path: "gone".to_owned() };
    let attributes = "* -diff -text binary\n";
    let after = [write("a.yaml", "1\n4\n5\n3\n"), write("b", "x\0z"), gone, write(".gitattributes", attributes)];
    let second = commit(&git, Some(&first), "2", &after);
    // As if it were checked out and staged.
    std::fs::write(git.work_tree().unwrap().join(".gitattributes"), attributes).unwrap();
    let _done = git.checked(["read-tree", second.as_str()]).unwrap();
    let counts = |paths: &[&str]| git.count_lines(first.as_str(), second.as_str(), paths).unwrap();
    let line = |added, removed| Some(LineCount { added, removed });
    let expected = [("a.yaml", line(2, 1)), ("b", None), ("gone", line(0, 2))];
    let expected = expected.map(|(path, count)| (path.to_owned(), count)).into();
    assert_eq!(counts(&["a.yaml", "b", "gone", "same", "nothing"]), expected);
    assert!(counts(&[]).is_empty(), "nothing is asked for");
    assert!(counts(&["*.yaml"]).is_empty(), "a path is no pattern");
    let error = git.count_lines("nothing", second.as_str(), &["a"]).unwrap_err();
    assert_eq!(error.kind(), GitErrorKind::NotFound);
}

#[test]
fn differences() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "1", &[write("a", "1"), write("b/c", "2"), write("same", "3")]);
    let remove = TreeChange::Remove { path: "a".to_owned() };
    let second = commit(&git, Some(&first), "2", &[remove, write("b/c", "3"), write("new", "1")]);
    let changes: Vec<String> = git
        .diff_names(first.as_str(), second.as_str())
        .unwrap()
        .into_iter()
        .map(|change| format!("{} {}", change.status, change.path))
        .collect();
    assert_eq!(changes, ["D a", "M b/c", "A new"]);
}

#[test]
fn merging_is_judged_by_the_exit_status() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let link = |digit: &str| TreeChange::Gitlink {
        path: "services/cart".to_owned(),
        commit: CommitId::try_from(digit.repeat(40)).unwrap(),
    };
    let base = commit(&git, None, "base", &[write("a", "1\n"), link("1")]);
    let ours = commit(&git, Some(&base), "ours", &[write("b", "2\n"), link("2")]);
    let theirs = commit(&git, Some(&base), "theirs", &[write("c", "3\n")]);
    let both = commit(&git, Some(&base), "both", &[link("3")]);

    let MergeTree::Clean(tree) = git.merge_tree(ours.as_str(), theirs.as_str()).unwrap() else { panic!("conflict") };
    let paths: Vec<String> = git.list_files(tree.as_str(), None).unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["a", "b", "c", "services/cart"]);

    let MergeTree::Conflict { paths, messages } = git.merge_tree(ours.as_str(), both.as_str()).unwrap() else {
        panic!("a gitlink that both sides moved is a conflict")
    };
    assert_eq!(paths, ["services/cart"]);
    assert!(messages.iter().any(|message| message.contains("services/cart")), "{messages:?}");

    let alone = commit(&git, None, "alone", &[write("c", "2")]);
    let merged = git.merge_tree(ours.as_str(), alone.as_str()).unwrap();
    assert!(matches!(merged, MergeTree::Conflict { .. }), "{merged:?}");
    let error = git.merge_tree(ours.as_str(), &"1".repeat(40)).unwrap_err();
    assert!(error.kind() == GitErrorKind::NotFound, "{error}");
}

#[test]
fn a_repository_is_found_from_inside() {
    let sandbox = Sandbox::new();
    let init = git::InitOptions { bare: false, ..git::InitOptions::default() };
    let git = sandbox.init("work", &init);
    let head = commit(&git, None, "first", &[write("a/b", "1")]);
    git.update_ref("refs/heads/main", head.as_str(), None).unwrap();
    let _done = git.checked(["checkout", "--quiet", "-f", "main"]).unwrap();
    let top = sandbox.path().join("work").canonicalize().unwrap();
    assert_eq!(git.work_tree(), Some(top.as_path()));
    assert_eq!(git.common_dir(), top.join(".git"));
    let inside = git.open_other(&top.join("a")).unwrap();
    assert_eq!((inside.work_tree(), inside.common_dir()), (git.work_tree(), git.common_dir()));

    // A second work tree shares what is common.
    let _done = git.checked(["worktree", "add", "--quiet", "--detach", "../second", "main"]).unwrap();
    let second = git.open_other(&sandbox.path().join("second")).unwrap();
    assert_eq!(second.common_dir(), git.common_dir());
    assert_ne!(second.git_dir(), git.git_dir());
    assert_eq!(second.rev_parse("HEAD").unwrap().as_deref(), Some(head.as_str()));

    let bare = sandbox.bare("bare.git");
    assert_eq!(bare.work_tree(), None);
    let outside = Git::open(&program("git"), &sandbox.path().join("nowhere"), sandbox.options()).unwrap_err();
    assert!(outside.kind() == GitErrorKind::NotARepository, "{outside}");
    let outside = Git::open(&program("git"), "/proc".as_ref(), sandbox.options()).unwrap_err();
    assert!(outside.kind() == GitErrorKind::NotARepository, "{outside}");
}

#[test]
fn a_name_that_is_no_text_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "1", &[write("a", "1")]);
    let stream = format!(
        "commit refs/heads/odd\ncommitter T <t@shop.example> 0 +0000\ndata 1\nx\nfrom {first}\n\
         M 100644 inline \"b\\377\"\ndata 1\n2\n"
    );
    let _done = git.invocation(["fast-import", "--quiet"]).stdin(stream).run().unwrap().checked().unwrap();
    let changes = git.diff_names(first.as_str(), "odd").unwrap();
    assert_eq!(changes.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["b\u{fffd}"]);
    let files = git.read_files("odd", None).unwrap();
    let files: Vec<(&str, &[u8])> = files.iter().map(|one| (one.path.as_str(), one.bytes.as_slice())).collect();
    assert_eq!(files, [("a", b"1".as_slice()), ("b\u{fffd}", b"2".as_slice())]);
}
