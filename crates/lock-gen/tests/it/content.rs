use git::{Git, TreeChange};
use lock_gen::{ContentError, ContentLimits, ContentOrigin, Submodule, Superproject, fetch_url};
use lock_model::{CommitId, ErrorClass, TreePath};

use crate::world::{World, blob, commit, file, gitlink, id, kinds, link, raw_tree, section, shop};

fn submodule(name: &str, commit: &CommitId) -> Submodule {
    let url = format!("https://forge.example/shop/{name}.git").parse().unwrap();
    Submodule::new(name, format!("services/{name}").parse().unwrap(), url, commit.clone())
}

fn folder(git: &Git) -> String {
    git.git_dir().to_str().unwrap().to_owned()
}

fn path(text: &str) -> TreePath {
    text.parse().unwrap()
}

/// Points `main` to a commit of a tree that git would not write.
fn commit_raw(git: &Git, entries: &[(&str, &[u8], &str)]) -> CommitId {
    let tree = raw_tree(git, entries);
    let identity = git::CommitIdentity {
        name: "Mallory".to_owned(),
        email: "m@evil.example".to_owned(),
        time: lock_model::Timestamp::from_unix_seconds(1_700_000_000),
    };
    let commit = git.commit_tree(&tree, &[], "hostile", &identity).unwrap();
    git.update_ref("refs/heads/main", commit.as_str(), None).unwrap();
    commit
}

#[test]
fn one_commit_is_fetched_once() {
    for sha256 in [false, true] {
        let world = World::new();
        let cart = if sha256 { world.sha256("cart.git") } else { world.bare("cart.git") };
        commit(&cart, &[file("old", "x")]);
        let executable =
            TreeChange::Write { path: "deploy/run".to_owned(), mode: 0o100_755, bytes: b"#!/bin/sh\n".to_vec() };
        let sha = commit(&cart, &[file("deploy/a.yaml", "a\r\n"), file("deploy/b/c.yaml", "c"), executable]);
        commit(&cart, &[file("deploy/a.yaml", "newer")]);

        let store = world.store(&world.path("no-clone"));
        let wanted = submodule("cart", &sha);
        let content = store.content(&wanted, &folder(&cart)).unwrap();
        assert_eq!(content.origin(), ContentOrigin::Fetched);
        assert_eq!(content.commit().id, sha);
        assert_eq!(content.commit().time.to_string(), "2023-11-14T22:13:20Z");

        let files = content.files(Some(&path("deploy"))).unwrap();
        let ours: Vec<(&str, u32, &[u8])> =
            files.iter().map(|file| (file.path.as_str(), file.mode, file.bytes.as_slice())).collect();
        let theirs = cart.read_files(sha.as_str(), Some("deploy")).unwrap();
        let theirs: Vec<(&str, u32, &[u8])> =
            theirs.iter().map(|file| (file.path.as_str(), file.mode, file.bytes.as_slice())).collect();
        assert_eq!(ours, theirs);
        assert_eq!(content.files(None).unwrap().len(), 4);
        assert_eq!(content.files(Some(&path("deploy/a.yaml"))).unwrap().len(), 1);
        assert_eq!(content.files(Some(&path("nothing"))).unwrap(), []);
        assert_eq!(content.file(&path("deploy/a.yaml")).unwrap().unwrap().bytes, b"a\r\n");
        assert_eq!(content.file(&path("deploy")).unwrap(), None);

        // Again, with the remote gone.
        std::fs::remove_dir_all(cart.git_dir()).unwrap();
        let again = store.content(&wanted, &folder(&cart)).unwrap();
        assert_eq!(again.origin(), ContentOrigin::Cache);
        assert_eq!(again.files(None).unwrap(), content.files(None).unwrap());
    }
}

#[test]
fn objects_of_the_clone_are_used_where_they_are_at_hand() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let sha = commit(&cart, &[file("deploy/a.yaml", "a")]);
    let origin = world.bare("shop.git");
    commit(
        &origin,
        &[file(".gitmodules", section("cart", "services/cart", "../cart.git")), gitlink("services/cart", &sha)],
    );
    let clone = world.path("clone");
    let _done = origin.checked(["clone", "--quiet", &folder(&origin), clone.to_str().unwrap()]).unwrap();
    let git = origin.open_other(&clone).unwrap();
    let _done = git.checked(["submodule", "--quiet", "update", "--init"]).unwrap();

    let superproject = Superproject::open(&clone).unwrap();
    let scan = superproject.scan(&superproject.commit("HEAD").unwrap().tree, &shop()).unwrap();
    let remote = git.remote_url("origin").unwrap().unwrap();
    let url = fetch_url(&scan.submodules[0].declared_url, &remote).unwrap();
    assert_eq!(url, folder(&cart));

    let store = world.store(&superproject.common_dir());
    let content = store.content(&scan.submodules[0], &url).unwrap();
    assert_eq!(content.origin(), ContentOrigin::Clone);
    assert_eq!(content.files(None).unwrap().len(), 1);
    assert!(!world.path("cache").exists(), "nothing was fetched");

    // A commit that only the clone has is content, but not published content.
    let module = origin.open_other(&clone.join(".git/modules/cart")).unwrap();
    let unpushed = commit(&module, &[file("secret-plan", "x")]);
    let mut wanted = scan.submodules[0].clone();
    wanted.commit = unpushed;
    assert_eq!(store.content(&wanted, &url).unwrap().origin(), ContentOrigin::Clone);
    let error = store.published_content(&wanted, &url).unwrap_err();
    assert!(matches!(error, ContentError::NotPublished { .. }), "{error}");
    assert_eq!(store.published_content(&scan.submodules[0], &url).unwrap().origin(), ContentOrigin::Fetched);
}

#[test]
fn p19_a_commit_that_was_never_pushed_is_named() {
    let world = World::new();
    let cart = world.bare("cart.git");
    commit(&cart, &[file("a", "1")]);
    let store = world.store(&world.path("no-clone"));
    let error = store.content(&submodule("cart", &id("2")), &folder(&cart)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("commit `{}` of `services/cart` is not at `{}`", "2".repeat(40), folder(&cart))
    );
    assert_eq!(error.class(), ErrorClass::NotFound);
    let error = store.content(&submodule("cart", &id("2")), "https://user:hunter2@127.0.0.1:1/cart.git").unwrap_err();
    assert!(matches!(error, ContentError::Fetch { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Temporary);
    for url in ["ext::sh -c canary", "-u./x", "ssh://-oProxyCommand=canary/x", "git://127.0.0.1:1/x"] {
        let error = store.content(&submodule("cart", &id("2")), url).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
    }
}

#[test]
fn t9_a_forged_name_reads_no_other_folder() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let sha = commit(&cart, &[file("a", "1")]);
    let clone = world.work("clone");
    // `modules/../../cart.git` is a repository that has the commit.
    std::fs::create_dir_all(clone.common_dir().join("modules")).unwrap();
    let mut wanted = submodule("cart", &sha);
    "../../../cart.git".clone_into(&mut wanted.name);
    let store = world.store(clone.common_dir());
    assert_eq!(store.content(&wanted, &folder(&cart)).unwrap().origin(), ContentOrigin::Fetched);
}

#[test]
fn t27_links_resolve_inside_or_not_at_all() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let sha = commit(
        &cart,
        &[
            file("common/values.yaml", "x"),
            link("deploy/inside", "../common/values.yaml"),
            link("deploy/chain", "./inside"),
            link("deploy/folder/deep", "../../deploy/../linked/values.yaml"),
            link("linked", "common"),
        ],
    );
    let store = world.store(&world.path("no-clone"));
    let files = store.content(&submodule("cart", &sha), &folder(&cart)).unwrap().files(Some(&path("deploy"))).unwrap();
    assert_eq!(files.len(), 3);
    for file in &files {
        assert_eq!((file.bytes.as_slice(), file.mode), (b"x".as_slice(), 0o100_644), "{}", file.path);
        assert_eq!(file.link, Some(path("common/values.yaml")));
    }

    let sha = commit(
        &cart,
        &[
            link("deploy/a", ".."),
            link("deploy/absolute", "/etc/passwd"),
            link("deploy/circle", "circle"),
            link("deploy/escape", "../../outside"),
            link("deploy/escape-later", "folder/../../../x"),
            link("deploy/folder-link", "../common"),
            link("deploy/git", "../.git/config"),
            link("deploy/nowhere", "nothing"),
            link("deploy/through-file", "../common/values.yaml/x"),
            gitlink("deploy/nested", &id("1")),
        ],
    );
    let content = store.content(&submodule("cart", &sha), &folder(&cart)).unwrap();
    let error = content.files(Some(&path("deploy"))).unwrap_err();
    let ContentError::Unsafe { problems, .. } = &error else { panic!("{error}") };
    let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "`deploy/a` is a symbolic link that leads to a folder",
            "`deploy/absolute` is a symbolic link that leads out of the tree",
            "`deploy/circle` is a symbolic link that leads in a circle",
            "`deploy/escape` is a symbolic link that leads out of the tree",
            "`deploy/escape-later` is a symbolic link that leads out of the tree",
            "`deploy/folder-link` is a symbolic link that leads to a folder",
            "`deploy/git` is a symbolic link that leads nowhere",
            "`deploy/nested` is a submodule of a submodule, whose files are not read",
            "`deploy/nowhere` is a symbolic link that leads nowhere",
            "`deploy/through-file` is a symbolic link that leads nowhere",
        ]
    );
    assert!(error.to_string().starts_with("10 of the files in `services/cart at "), "{error}");
    // What is not asked for does not matter.
    assert_eq!(content.files(Some(&path("common"))).unwrap().len(), 1);
}

#[test]
fn t27_entries_that_cannot_be_written_safely_are_refused() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let text = blob(&cart, b"x");
    let target = blob(&cart, b"..");
    let inner = raw_tree(&cart, &[("100644", b"config", &text)]);
    let sha = commit_raw(
        &cart,
        &[
            ("40000", b"..", inner.as_str()),
            ("40000", b".GIT", inner.as_str()),
            ("40000", b".git ", inner.as_str()),
            ("40000", b"GIT~1", inner.as_str()),
            ("100644", b"Values.yaml", &text),
            ("120000", b"a", &target),
            ("40000", b"a", inner.as_str()),
            ("100644", b"back\\slash", &text),
            ("100644", b"escape\x1b[2J", &text),
            ("100644", b"fine", &text),
            ("100644", b"latin\xe9", &text),
            ("100644", b"sl/ash", &text),
            ("100644", b"values.yaml", &text),
        ],
    );
    // As if it were in the clone: git's own fetch may refuse some of it already.
    let modules = world.path("clone/modules");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::rename(cart.git_dir(), modules.join("cart")).unwrap();
    let store = world.store(&world.path("clone"));
    let content = store.content(&submodule("cart", &sha), "https://127.0.0.1:1/x").unwrap();
    let error = content.files(None).unwrap_err();
    let ContentError::Unsafe { problems, .. } = &error else { panic!("{error}") };
    assert_eq!(
        kinds(problems),
        [
            "unsafe-path ..",
            "unsafe-path .GIT",
            "unsafe-path .git ",
            "unsafe-path GIT~1",
            "duplicate a",
            "unsafe-link a",
            "unsafe-path back\\slash",
            "unsafe-path escape\\u{1b}[2J",
            "unsafe-path latin\\xe9",
            "unsafe-path sl/ash",
            "duplicate values.yaml",
        ]
    );
}

#[test]
fn t28_content_is_capped() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let sha = commit(&cart, &[file("a", "12345"), file("b", "12345"), file("c", "1234567")]);
    let store = world.store(&world.path("no-clone"));
    let files = |limits: ContentLimits| {
        store.content(&submodule("cart", &sha), &folder(&cart)).unwrap().with_limits(limits).files(None)
    };
    let fitting = ContentLimits { files: 3, file_bytes: 7, total_bytes: 17 };
    assert_eq!(files(fitting).unwrap().len(), 3);
    for (limits, expected) in [
        (ContentLimits { files: 2, ..fitting }, "holds more than 2 files"),
        (ContentLimits { file_bytes: 6, ..fitting }, "has 7 bytes, more than the 6 that are read"),
        (ContentLimits { total_bytes: 16, ..fitting }, "is where the files exceed 16 bytes together"),
    ] {
        let error = files(limits).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(error.class(), ErrorClass::Invalid);
    }
}

#[test]
fn t41_only_listed_files_are_read_and_count() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let large = file("deploy/model.bin", "x".repeat(100));
    let sha = commit(&cart, &[file("deploy/a.yaml", "1234"), file("deploy/b.yaml", "12345"), large, file("c", "c")]);
    let store = world.store(&world.path("no-clone"));
    let limits = |files, file_bytes, total_bytes| ContentLimits { files, file_bytes, total_bytes };
    let read = |limits| {
        let content = store.content(&submodule("cart", &sha), &folder(&cart)).unwrap().with_limits(limits);
        let mut listed = content.list(Some(&path("deploy"))).unwrap();
        assert_eq!((listed.len(), content.list(None).unwrap().len()), (3, 4));
        listed.retain(|entry| entry.path.ends_with(b".yaml"));
        content.read(&listed)
    };
    assert_eq!(read(limits(2, 5, 9)).unwrap(), [b"1234".to_vec(), b"12345".to_vec()]);
    for (limits, expected) in [
        (limits(1, 5, 9), "`deploy/b.yaml` is one of more than 1 files"),
        (limits(2, 4, 9), "`deploy/b.yaml` has 5 bytes, more than the 4 that are read"),
        (limits(2, 5, 8), "`deploy/b.yaml` is where the files exceed 8 bytes together"),
    ] {
        let error = read(limits).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn files_of_the_superproject_leave_submodules_out() {
    let world = World::new();
    let git = world.bare("shop.git");
    commit(&git, &[file("orchestrator.yaml", "version: 1\n"), file("tests/a", "1"), gitlink("tests/sub", &id("1"))]);
    let superproject = Superproject::open(git.git_dir()).unwrap();
    let tree = superproject.commit("main").unwrap().tree;
    let file = superproject.read_file(&tree, &path("orchestrator.yaml")).unwrap().unwrap();
    assert_eq!((file.bytes.as_slice(), file.mode), (b"version: 1\n".as_slice(), 0o100_644));
    assert_eq!(superproject.read_file(&tree, &path("tests")).unwrap(), None);
    assert_eq!(superproject.read_file(&tree, &path("tests/sub")).unwrap(), None);
    assert_eq!(superproject.files(&tree, Some(&path("tests"))).unwrap().len(), 1);
    assert_eq!(superproject.files(&tree, None).unwrap().len(), 2);
    let error = superproject.files(&"1".repeat(40).parse().unwrap(), None).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
}

#[test]
fn t41_what_stands_at_a_path_is_listed_and_no_link_is_followed() {
    let world = World::new();
    let git = world.bare("shop.git");
    let executable = TreeChange::Write { path: "ops/run".to_owned(), mode: 0o100_755, bytes: b"x".to_vec() };
    let changes = [
        file("ops/a.yaml", "a"),
        file("ops/in/b.yaml", "b"),
        file("ops-other", "c"),
        executable,
        link("ops/to-b", "in/b.yaml"),
        link("away", "ops"),
        gitlink("services/cart", &"1".repeat(40).parse().unwrap()),
    ];
    let commit = commit(&git, &changes);
    let superproject = Superproject::open(git.git_dir()).unwrap();
    let tree = superproject.commit(commit.as_str()).unwrap().tree;
    let list = |paths: &[&str]| -> Vec<String> {
        let paths: Vec<TreePath> = paths.iter().map(|text| path(text)).collect();
        let entries = superproject.list(&tree, &paths).unwrap();
        entries.iter().map(|it| format!("{} {:?}", String::from_utf8_lossy(&it.path), it.kind)).collect()
    };
    let below = ["ops/a.yaml File", "ops/in/b.yaml File", "ops/run Executable", "ops/to-b Link"];
    assert_eq!(list(&["ops"]), below);
    assert_eq!(list(&["ops/in", "ops", "ops/a.yaml"]), below, "each once");
    assert_eq!(list(&["ops/a.yaml", "nothing", "ops/nothing"]), ["ops/a.yaml File"]);
    let in_the_way = ["away Link", "ops/a.yaml File", "services/cart Gitlink"];
    assert_eq!(list(&["away/in/b.yaml", "ops/a.yaml/x", "services/cart/deploy"]), in_the_way);
    let id = &superproject.list(&tree, [&path("ops/a.yaml")]).unwrap()[0].id;
    assert_eq!(git.read_blobs(&[id]).unwrap(), [b"a"]);
}

#[test]
fn t41_what_a_broken_tree_has_twice_is_listed_twice() {
    let world = World::new();
    let git = world.bare("shop.git");
    let (one, other) = (blob(&git, b"1"), blob(&git, b"2"));
    let commit = commit_raw(&git, &[("100644", b"a", &one), ("100644", b"a", &other)]);
    let superproject = Superproject::open(git.git_dir()).unwrap();
    let tree = superproject.commit(commit.as_str()).unwrap().tree;
    assert_eq!(superproject.list(&tree, [&path("a")]).unwrap().len(), 2);
}
