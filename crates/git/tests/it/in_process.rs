//! What is read in this process is what the git program reads, whatever lies beside the objects.

use std::fmt::Write as _;
use std::path::Path;

use git::{CommitFacts, Git, GitErrorKind, InitOptions, MODE_EXECUTABLE, MODE_SYMLINK, TreeChange};
use lock_model::CommitId;

use crate::sandbox::{Sandbox, commit, program, write};

fn gone(path: &str) -> TreeChange {
    TreeChange::Remove { path: path.to_owned() }
}

fn special(path: &str, mode: u32) -> TreeChange {
    TreeChange::Write { path: path.to_owned(), mode, bytes: b"x".to_vec() }
}

/// Imports a history that no clock of ours would write.
fn import(git: &Git, stream: &str) {
    drop(git.invocation(["fast-import", "--quiet", "--force"]).stdin(stream).run().unwrap().checked().unwrap());
}

#[test]
fn trees_and_differences_are_those_of_git() {
    for format in ["sha1", "sha256"] {
        let sandbox = Sandbox::new();
        let git = if format == "sha1" { sandbox.bare("a.git") } else { sandbox.sha256("a.git") };
        let link = |digit: &str| TreeChange::Gitlink {
            path: "services/cart".to_owned(),
            commit: CommitId::try_from(digit.repeat(if format == "sha1" { 40 } else { 64 })).unwrap(),
        };
        // Names around the slash, by which git sorts a folder: `a-b`, `a/`, `a0`.
        let base =
            [write("a", "1"), write("a-b", "1"), write("a0", "1"), write("d/e/f", "1"), write("d-", "1"), link("1")];
        let steps: Vec<Vec<TreeChange>> = vec![
            vec![write("a", "2"), link("2")],
            vec![gone("a"), write("a/x", "1"), write("a/y", "1")],
            vec![special("a-b", MODE_EXECUTABLE), special("a0", MODE_SYMLINK)],
            vec![gone("d/e/f"), write("d/e", "a file now")],
            vec![gone("services/cart"), write("services/cart", "no submodule now")],
            vec![gone("a/x"), gone("a/y"), write("a", "1"), write("d.e", "1"), write("d0", "1")],
        ];
        let mut line = vec![commit(&git, None, "0", &base)];
        for (number, changes) in steps.iter().enumerate() {
            line.push(commit(&git, line.last(), &number.to_string(), changes));
        }
        for before in &line {
            for after in &line {
                let all = ["diff-tree", "-r", "--raw", "--no-renames", "--abbrev=64", "--ignore-submodules=none"];
                let text = git.text(all.into_iter().chain([before.as_str(), after.as_str()])).unwrap();
                let ours: Vec<String> = git
                    .diff_names(before.as_str(), after.as_str())
                    .unwrap()
                    .iter()
                    .map(|one| format!("{:06o} {} {}\t{}", one.mode, one.id, one.status, one.path))
                    .collect();
                // `:OLDMODE NEWMODE OLDID NEWID STATUS<tab>PATH`
                let theirs: Vec<String> = text
                    .lines()
                    .map(|line| {
                        let parts: Vec<&str> = line.splitn(4, ' ').collect();
                        format!("{} {}", parts[1], parts[3])
                    })
                    .collect();
                assert_eq!(ours, theirs, "{before} {after}");
            }
            let text = git.text(["ls-tree", "-r", before.as_str()]).unwrap();
            let ours: Vec<String> = git
                .list_files(before.as_str(), None)
                .unwrap()
                .iter()
                .map(|one| format!("{:06o} {}\t{}", one.mode, one.id, one.path))
                .collect();
            let theirs: Vec<String> =
                text.lines().map(|line| line.replacen(" blob ", " ", 1).replacen(" commit ", " ", 1)).collect();
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn t10_no_name_stands_for_another_and_packed_refs_are_refs() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "first", &[write("a", "1")]);
    let second = commit(&git, Some(&first), "second", &[write("a", "2")]);
    let tag = git.write_tag("v1", &first, "one", &crate::sandbox::identity()).unwrap();
    for (name, id) in [
        ("refs/heads/main", first.as_str()),
        ("refs/heads/main-2", second.as_str()),
        ("refs/heads/main/", ""),
        ("refs/tags/refs/heads/gone", second.as_str()),
        ("refs/heads/refs/heads/gone", second.as_str()),
        ("refs/tags/v1", tag.as_str()),
    ] {
        if !id.is_empty() {
            git.update_ref(name, id, None).unwrap();
        }
    }
    let check = |state: &str| {
        let id = |name: &str| git.rev_parse(name).unwrap();
        assert_eq!(id("refs/heads/main").as_deref(), Some(first.as_str()), "{state}");
        assert_eq!(id("refs/heads/gone"), None, "a tag or branch that is called like a ref is none: {state}");
        assert_eq!(git.commit("refs/tags/v1").unwrap().unwrap().id, first, "{state}");
        let all = git.refs("refs").unwrap();
        let text = git.text(["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"]).unwrap();
        let ours: Vec<String> = all
            .iter()
            .map(|one| format!("{} {} {}", one.name, one.id, one.peeled.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(ours, text.lines().collect::<Vec<_>>(), "{state}");
        let names = |prefix: &str| git.refs(prefix).unwrap().into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names("refs/heads/main"), ["refs/heads/main"], "{state}");
        assert_eq!(names("refs/tags/"), ["refs/tags/refs/heads/gone", "refs/tags/v1"], "{state}");
        assert_eq!(names("refs/nothing/"), Vec::<String>::new());
    };
    check("loose");
    let _done = git.checked(["pack-refs", "--all"]).unwrap();
    check("packed");
    // A loose one wins, and a file that git is just writing is none.
    git.update_ref("refs/heads/main-2", first.as_str(), None).unwrap();
    std::fs::write(git.git_dir().join("refs/heads/other.lock"), "").unwrap();
    check("both");
    let _done = git.checked(["symbolic-ref", "refs/heads/alias", "refs/heads/main"]).unwrap();
    check("with a symbolic one");
    let _done = git.checked(["symbolic-ref", "refs/heads/alias", "refs/heads/nothing"]).unwrap();
    assert_eq!(git.rev_parse("refs/heads/alias").unwrap(), None);
    assert!(git.refs("refs/heads/alias").unwrap().is_empty(), "it leads nowhere");
    // What cannot be read is no answer.
    std::fs::write(git.git_dir().join("refs/heads/torn"), "").unwrap();
    for error in [git.rev_parse("refs/heads/torn").unwrap_err(), git.refs("refs/heads").unwrap_err()] {
        assert_eq!(error.kind(), GitErrorKind::Unreadable, "{error}");
    }
}

#[test]
fn t10_replaced_grafted_and_shallow_commits_are_what_they_are() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let first = commit(&git, None, "first", &[write("a", "1")]);
    let second = commit(&git, Some(&first), "second", &[write("a", "2")]);
    let evil = commit(&git, None, "evil", &[write("a", "evil")]);
    git.update_ref(&format!("refs/replace/{second}"), evil.as_str(), None).unwrap();
    std::fs::create_dir_all(git.common_dir().join("info")).unwrap();
    std::fs::write(git.common_dir().join("info/grafts"), format!("{second} {evil}\n")).unwrap();
    assert_eq!(git.commit(second.as_str()).unwrap().unwrap().subject, "second");
    assert_eq!(git.read_file(second.as_str(), "a").unwrap().as_deref(), Some(b"2".as_slice()));
    assert_eq!(git.first_parents(second.as_str()).unwrap(), [second.clone(), first.clone()]);
    assert!(git.is_ancestor(first.as_str(), second.as_str()).unwrap());
    assert!(!git.is_ancestor(evil.as_str(), second.as_str()).unwrap());
    std::fs::write(git.common_dir().join("shallow"), format!("{second}\n")).unwrap();
    assert_eq!(git.first_parents(second.as_str()).unwrap().len(), 1, "the clone ends there");
    std::fs::remove_file(git.common_dir().join("shallow")).unwrap();
    // A commit that was lost is no end of a history.
    let (folder, file) = first.as_str().split_at(2);
    std::fs::remove_file(git.common_dir().join("objects").join(folder).join(file)).unwrap();
    let again = Git::open(&program("git"), git.git_dir(), sandbox.options()).unwrap();
    let error = again.first_parents(second.as_str()).unwrap_err();
    assert_eq!(error.to_string(), format!("`{first}` does not exist in the repository"));
    drop(again.is_ancestor(evil.as_str(), second.as_str()).unwrap_err());
}

#[test]
fn histories_do_not_trust_clocks() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    // Each commit is older than its parent, and two lines cross: `left` and `right` both merge `one` and `two`.
    let mut stream = String::new();
    for (mark, name, time, parents) in [
        (1, "root", 900, ""),
        (2, "one", 800, "from :1\n"),
        (3, "two", 850, "from :1\n"),
        (4, "left", 100, "from :2\nmerge :3\n"),
        (5, "right", 50, "from :3\nmerge :2\n"),
        (6, "tip", 999, "from :5\n"),
    ] {
        write!(
            stream,
            "commit refs/heads/{name}\nmark :{mark}\nauthor A <a@x> {time} +0000\ncommitter C <c@x> {time} +0000\ndata 1\nx\n{parents}"
        )
        .unwrap();
    }
    import(&git, &stream);
    let id = |name: &str| CommitId::try_from(git.rev_parse(&format!("refs/heads/{name}")).unwrap().unwrap()).unwrap();
    let (root, one, two, left, right, tip) = (id("root"), id("one"), id("two"), id("left"), id("right"), id("tip"));
    assert!(git.is_ancestor(root.as_str(), tip.as_str()).unwrap());
    assert!(git.is_ancestor(one.as_str(), right.as_str()).unwrap());
    assert!(!git.is_ancestor(left.as_str(), tip.as_str()).unwrap());
    assert_eq!(git.merge_base(left.as_str(), tip.as_str()).unwrap(), Some(two.clone()), "the newest of the best");
    assert_eq!(git.first_parents(tip.as_str()).unwrap(), [tip.clone(), right.clone(), two.clone(), root.clone()]);
    let heads = [&root, &one, &left, &right];
    assert_eq!(git.containing(&two, &heads).unwrap(), [left.clone(), right.clone()].into());
    assert_eq!(git.containing(&root, &heads).unwrap().len(), 4);
    let mails = |heads: &[&CommitId], without| -> Vec<(CommitId, String, String)> {
        let commits = git.commits_without(heads, without).unwrap();
        let row = |one: &CommitFacts| (one.id.clone(), one.mails()[0].to_owned(), one.mails()[1].to_owned());
        commits.iter().map(row).collect()
    };
    let of = |commit: &CommitId| (commit.clone(), "a@x".to_owned(), "c@x".to_owned());
    assert_eq!(mails(&[&tip], &left), [of(&tip), of(&right)]);
    assert_eq!(mails(&[&left], &tip), [of(&left)]);
    assert_eq!(mails(&[&one], &tip), []);
}

#[test]
fn what_a_partial_clone_left_out_is_for_git_to_bring() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let first = commit(&remote, None, "first", &[write("a", "1"), write("b/c", "2")]);
    remote.update_ref("refs/heads/main", first.as_str(), None).unwrap();
    let _done = remote.checked(["config", "uploadpack.allowFilter", "true"]).unwrap();
    let _done = remote.checked(["config", "uploadpack.allowAnySHA1InWant", "true"]).unwrap();
    let url = format!("file://{}", remote.git_dir().display());
    let _done = remote.checked(["clone", "--quiet", "--bare", "--filter=tree:0", &url, "../partial.git"]).unwrap();
    let partial = remote.open_other(&sandbox.path().join("partial.git")).unwrap();
    assert_eq!(partial.read_file("HEAD", "b/c").unwrap().as_deref(), Some(b"2".as_slice()));
    assert_eq!(partial.commit(&"1".repeat(40)).unwrap(), None);
    std::fs::rename(remote.git_dir(), sandbox.path().join("moved.git")).unwrap();
    drop(partial.read_file("HEAD", "a").expect_err("what cannot be brought is not absent"));
}

#[test]
fn t30_folders_of_others_are_judged_by_git() {
    let sandbox = Sandbox::new();
    let git = sandbox.init("work", &InitOptions { bare: false, ..InitOptions::default() });
    let head = commit(&git, None, "first", &[write("a", "1")]);
    git.update_ref("refs/heads/main", head.as_str(), None).unwrap();
    let top = git.work_tree().unwrap().to_owned();
    let open = |folder: &Path| Git::open(&program("git"), folder, sandbox.options());
    for (folder, what) in [(top.clone(), "the work tree"), (top.join(".git"), "the git folder")] {
        if std::os::unix::fs::chown(&folder, Some(12345), Some(12345)).is_err() {
            // Only root can give a folder away.
            return;
        }
        assert_eq!(open(&top).unwrap_err().kind(), GitErrorKind::ForeignOwner, "{what}");
        std::fs::write(sandbox.path().join(".gitconfig"), format!("[safe]\n\tdirectory = {}\n", top.display()))
            .unwrap();
        let vouched = open(&top).unwrap();
        assert_eq!(vouched.rev_parse("refs/heads/main").unwrap().as_deref(), Some(head.as_str()), "{what}");
        std::fs::remove_file(sandbox.path().join(".gitconfig")).unwrap();
        std::os::unix::fs::chown(&folder, Some(0), Some(0)).unwrap();
    }
    open(&top).unwrap();
}

#[test]
fn a_tree_without_files_is_the_one_that_git_would_write() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let files = ["a", "locks/lock.yaml", "locks/x/y", "locks-2", "locks.d/z", "z"].map(|path| write(path, "1"));
    let head = commit(&git, None, "first", &files);
    for paths in [
        vec!["locks/lock.yaml"],
        vec!["locks/lock.yaml", "locks/x/y"],
        vec!["locks/x/y", "z", "locks-2"],
        vec![],
        vec!["nothing", "locks/nothing", "locks"],
        vec!["a", "locks/lock.yaml", "locks/x/y", "locks-2", "locks.d/z", "z"],
    ] {
        let changes: Vec<TreeChange> = paths.iter().map(|path| gone(path)).collect();
        let written = git.write_tree(Some(head.as_str()), &changes).unwrap();
        assert_eq!(git.tree_without(head.as_str(), &paths).unwrap(), written, "{paths:?}");
    }
}

#[test]
fn a_folder_as_remote_is_read_where_it_lies_and_fetched_from_only_for_what_is_new() {
    let sandbox = Sandbox::new();
    let (remote, git) = (sandbox.bare("remote.git"), sandbox.bare("own.git"));
    let url = remote.git_dir().to_str().unwrap();
    let first = commit(&remote, None, "first", &[write("a", "1")]);
    let specs = ["+refs/heads/*:refs/orchestrator/heads/*", "+refs/tags/*:refs/orchestrator/tags/*"];
    let mirrored = || -> Vec<(String, String)> {
        let refs = git.refs("refs/orchestrator").unwrap();
        refs.into_iter().map(|one| (one.name.replace("refs/orchestrator/", ""), one.id)).collect()
    };
    let id = first.to_string();
    let mut expected = Vec::new();
    for (name, new) in
        [("heads/a", true), ("heads/b", true), ("tags/v1", true), ("heads/a", false), ("heads/a/c", true)]
    {
        let value = if new { first.as_str() } else { git::ABSENT };
        remote.update_ref(&format!("refs/{name}"), value, None).unwrap();
        expected.retain(|(other, _)| other != name);
        if new {
            expected.push((name.to_owned(), id.clone()));
        }
        expected.sort();
        git.fetch_mirror(url, &specs).unwrap();
        assert_eq!(mirrored(), expected);
        assert_eq!(git.remote_ref(url, &format!("refs/{name}")).unwrap().is_some(), new);
    }
    // Nothing is new: no child is needed any more, not even one that could not be started.
    let broken = git::GitOptions { deadline: std::time::Duration::ZERO, ..sandbox.options() };
    let stuck = git.with_options(broken);
    stuck.fetch_mirror(url, &specs).unwrap();
    assert!(stuck.remote_ref(url, "refs/heads/b").unwrap().is_some());
    // A folder inside of a repository is none, and a remote may be refused.
    let inside = remote.git_dir().join("objects");
    drop(git.remote_ref(inside.to_str().unwrap(), "refs/heads/b").unwrap_err());
    let refusing = git.with_options(git::GitOptions::new(sandbox.environment()));
    drop(refusing.remote_ref(url, "refs/heads/b").unwrap_err());
    let second = commit(&remote, Some(&first), "second", &[write("a", "2")]);
    remote.update_ref("refs/heads/b", second.as_str(), None).unwrap();
    drop(stuck.fetch_mirror(url, &specs).expect_err("now it is needed"));
}
