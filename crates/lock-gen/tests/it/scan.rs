use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use git::{Git, MODE_GITLINK};
use lock_gen::{ReadError, Scan, Superproject};
use lock_model::ErrorClass;

use crate::world::{World, commit, file, gitlink, id, kinds, scan, section, shop, tree};

fn three_services() -> String {
    [
        section("services/cart", "services/cart", "../cart.git"),
        section("catalog", "services/catalog", "git@github.example:shop/catalog.git"),
        section("infra/grafana", "infra/grafana", "https://github.example/shop/grafana.git"),
    ]
    .concat()
}

/// What the real git says: gitlinks by `ls-tree`, names and URLs by `config --blob`.
fn by_git(git: &Git, revision: &str) -> BTreeMap<String, (String, String, String)> {
    let gitlinks: BTreeMap<String, String> = git
        .list_files(revision, None)
        .unwrap()
        .into_iter()
        .filter(|entry| entry.mode == MODE_GITLINK)
        .map(|entry| (entry.path, entry.id))
        .collect();
    let blob = format!("--blob={revision}:.gitmodules");
    let listed = git.text(["config", &blob, "--null", "--list"]).unwrap();
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
        let (key, value) = entry.split_once('\n').unwrap();
        let (name, key) = key.strip_prefix("submodule.").unwrap().rsplit_once('.').unwrap();
        sections.entry(name.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
    }
    sections
        .into_iter()
        .filter_map(|(name, values)| {
            let path = values["path"].clone();
            let sha = gitlinks.get(&path)?.clone();
            Some((path, (name, values["url"].clone(), sha)))
        })
        .collect()
}

fn by_us(scan: &Scan) -> BTreeMap<String, (String, String, String)> {
    let facts = scan.submodules.iter().map(|one| {
        let facts = (one.name.clone(), one.declared_url.clone(), one.commit.to_string());
        (one.path.to_string(), facts)
    });
    facts.collect()
}

#[test]
fn p8_submodules_are_those_of_the_commits_tree() {
    let world = World::new();
    let git = world.work("shop");
    let changes = [
        file(".gitmodules", three_services()),
        file("README.md", "shop"),
        gitlink("services/cart", &id("1")),
        gitlink("services/catalog", &id("2")),
        gitlink("infra/grafana", &id("3")),
    ];
    let first = commit(&git, &changes);
    let second = commit(&git, &[gitlink("services/cart", &id("4"))]);
    let _done = git.checked(["reset", "--quiet", "--hard", "main"]).unwrap();

    // Everything that a checkout could say differently: the index, the work tree, the local configuration.
    let _done =
        git.checked(["update-index", "--cacheinfo", &format!("160000,{},services/cart", "9".repeat(40))]).unwrap();
    let top = git.work_tree().unwrap();
    std::fs::write(top.join(".gitmodules"), section("evil", "services/cart", "https://evil.example/x")).unwrap();
    let _done = git.checked(["config", "submodule.services/cart.url", "https://evil.example/cart"]).unwrap();
    let _done = git.checked(["config", "submodule.catalog.active", "false"]).unwrap();

    let superproject = Superproject::open(top).unwrap();
    for (revision, cart) in [(first.as_str(), "1"), ("HEAD", "4"), ("HEAD~1", "1"), ("main", "4")] {
        let info = superproject.commit(revision).unwrap();
        let scan = superproject.scan(&info.tree, &shop()).unwrap();
        assert_eq!((scan.problems.len(), scan.warnings.len()), (0, 0), "{:?}", scan.problems);
        assert_eq!(by_us(&scan), by_git(&git, revision), "{revision}");
        let urls: Vec<&str> = scan.submodules.iter().map(|one| one.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "https://github.example/shop/grafana.git",
                "https://forge.example/shop/cart.git",
                "https://github.example/shop/catalog.git",
            ]
        );
        assert_eq!(scan.submodules[1].commit, id(cart));
    }
    assert_eq!(superproject.work_tree().as_deref(), Some(top));
    assert_eq!(superproject.commit("HEAD").unwrap().parents, [first]);
    assert_eq!(superproject.commit("HEAD").unwrap().id, second);
}

#[test]
fn p7_only_commits_that_exist_are_named() {
    let world = World::new();
    let git = world.bare("shop.git");
    let first = commit(&git, &[file("a", "1")]);
    let superproject = Superproject::open(git.git_dir()).unwrap();
    assert!(superproject.has_commit(&first));
    assert!(!superproject.has_commit(&id("1")));
    let tree = superproject.commit("main").unwrap().tree;
    // A tree is no commit.
    assert!(!superproject.has_commit(&tree.as_str().parse().unwrap()));
    assert!(matches!(superproject.scan(&first.as_str().parse().unwrap(), &shop()), Err(ReadError::NotFound { .. })));
    for missing in ["HEAD~5", "nothing", "refs/pull/57/merge", &"1".repeat(40), "", "-x", "main:nothing"] {
        let error = superproject.commit(missing).unwrap_err();
        assert_eq!(error.class(), ErrorClass::NotFound, "{missing}: {error}");
    }
    let facts = superproject.commit("main").unwrap();
    assert_eq!(facts.time.to_string(), "2023-11-14T22:13:20Z");
    assert_eq!((facts.id, facts.tree.as_str()), (first, git.text(["rev-parse", "main^{tree}"]).unwrap().as_str()));
}

#[test]
fn p8_every_kind_of_clone_gives_the_same_answer() {
    let world = World::new();
    let origin = world.bare("shop.git");
    commit(&origin, &[file(".gitmodules", three_services()), gitlink("services/cart", &id("1"))]);
    let head = commit(&origin, &[gitlink("services/catalog", &id("2")), gitlink("infra/grafana", &id("3"))]);
    let folder = origin.git_dir().to_str().unwrap().to_owned();
    let expected = scan(&origin, &origin.commit("main").unwrap().unwrap().tree);
    assert_eq!(expected.submodules.len(), 3);

    let clone = |arguments: &[&str], name: &str| {
        let target = world.path(name);
        let url = format!("file://{folder}");
        let mut all = vec!["clone", "--quiet"];
        all.extend(arguments);
        all.extend([url.as_str(), target.to_str().unwrap()]);
        let _done = origin.checked(all).unwrap();
        target
    };
    let full = clone(&[], "full");
    let second = world.path("second");
    let _done = origin
        .open_other(&full)
        .unwrap()
        .checked(["worktree", "add", "--quiet", "--detach", second.to_str().unwrap()])
        .unwrap();
    let shallow = clone(&["--depth=1"], "shallow");
    let blobless = clone(&["--filter=blob:none", "--bare"], "blobless.git");
    let packed = clone(&["--mirror"], "packed.git");
    let _done = origin.open_other(&packed).unwrap().checked(["gc", "--quiet"]).unwrap();
    std::fs::create_dir_all(full.join("some/folder")).unwrap();

    for (folder, is_shallow, has_parent) in [
        (full.clone(), false, true),
        (full.join("some/folder"), false, true),
        (full.join(".git"), false, true),
        (second.clone(), false, true),
        (shallow, true, false),
        (packed, false, true),
    ] {
        let superproject = Superproject::open(&folder).unwrap();
        let info = superproject.commit(head.as_str()).unwrap();
        assert_eq!(superproject.scan(&info.tree, &shop()).unwrap(), expected, "{}", folder.display());
        assert_eq!(superproject.is_shallow(), is_shallow, "{}", folder.display());
        assert_eq!(superproject.has_commit(&info.parents[0]), has_parent, "{}", folder.display());
    }
    assert_eq!(Superproject::open(&second).unwrap().common_dir().canonicalize().unwrap(), full.join(".git"));

    // What a partial clone left out is said, not taken for absent.
    let superproject = Superproject::open(&blobless).unwrap();
    let info = superproject.commit(head.as_str()).unwrap();
    match superproject.scan(&info.tree, &shop()) {
        Err(error @ ReadError::Missing { .. }) => {
            assert!(error.to_string().ends_with("was left out of this partial clone"), "{error}");
            assert!(error.hint().unwrap().contains("--filter"));
        }
        // A server that does not filter sends everything.
        Ok(scan) => assert_eq!(scan, expected),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn p8_sha_256_repositories_are_read() {
    let world = World::new();
    let git = world.sha256("shop.git");
    let sha = "a".repeat(64).parse().unwrap();
    commit(&git, &[file(".gitmodules", section("cart", "services/cart", "../cart")), gitlink("services/cart", &sha)]);
    let superproject = Superproject::open(git.git_dir()).unwrap();
    let info = superproject.commit("main").unwrap();
    assert_eq!(info.id.as_str().len(), 64);
    let scan = superproject.scan(&info.tree, &shop()).unwrap();
    assert_eq!(by_us(&scan), by_git(&git, "main"));
    assert_eq!(scan.submodules[0].commit, sha);
    // An id of the other hash function is no id here.
    assert!(!superproject.has_commit(&id("1")));
    assert!(matches!(superproject.scan(&"1".repeat(40).parse().unwrap(), &shop()), Err(ReadError::NotFound { .. })));
}

#[test]
fn all_problems_of_a_tree_come_at_once_with_what_to_do() {
    let world = World::new();
    let git = world.bare("shop.git");
    let gitmodules = [
        section("fine", "services/fine", "../fine.git"),
        section("plain", "services/plain", "http://h.example/plain"),
        section("stale", "services/stale", "../stale.git"),
        section("local", "services/local", "/srv/local.git"),
        section("secret", "services/secret", "https://user:hunter2@h.example/secret"),
        section("one", "services/twice", "../one.git"),
        section("two", "services/twice", "../two.git"),
        "[submodule \"no-url\"]\n\tpath = services/no-url\n".to_owned(),
        "[submodule \"no-path\"]\n\turl = ../x.git\n".to_owned(),
        "[core]\n\tfsmonitor = canary\n".to_owned(),
    ]
    .concat();
    let mut changes = vec![file(".gitmodules", gitmodules)];
    for name in ["fine", "plain", "local", "secret", "twice", "no-url", "undeclared"] {
        changes.push(gitlink(&format!("services/{name}"), &id("1")));
    }
    let scan = scan(&git, &tree(&git, &changes));
    assert_eq!(
        kinds(&scan.problems),
        [
            "incomplete no-path",
            "unsafe-url services/local",
            "incomplete services/no-url",
            "unsafe-url services/secret",
            "duplicate services/twice",
            "undeclared services/undeclared",
        ]
    );
    assert_eq!(kinds(&scan.warnings), ["ignored [core]", "plain-http services/plain", "stale services/stale"]);
    let paths: Vec<&str> = scan.submodules.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["services/fine", "services/plain"]);
    for finding in scan.problems.iter().chain(&scan.warnings) {
        assert!(!finding.hint.is_empty() && !finding.to_string().contains("hunter2"), "{finding:?}");
    }
    assert_eq!(
        scan.problems[2].to_string(),
        "`services/no-url` has no `url` in `.gitmodules` (submodule `no-url`) (.gitmodules:22)"
    );
    assert_eq!(
        scan.problems[4].to_string(),
        "`services/twice` is the path of 2 submodules: `one` (line 16), `two` (line 19) (.gitmodules:19)",
        "{:?}",
        scan.problems
    );
    // `git submodule add` alone refuses a path that is in the index already.
    assert!(scan.problems[5].hint.contains("`git submodule add --force URL PATH`"), "{:?}", scan.problems[5]);
    assert_eq!(scan.warnings[2].line, Some(7), "{:?}", scan.warnings);

    // Without the file every gitlink says so, and one hint fits all.
    changes.remove(0);
    let scan = self::scan(&git, &tree(&git, &changes));
    let said: BTreeSet<(&str, &str)> =
        scan.problems.iter().map(|problem| (problem.message.as_str(), problem.hint.as_str())).collect();
    assert_eq!((scan.problems.len(), said.len()), (7, 1), "{said:?}");
    let (message, hint) = said.first().unwrap();
    assert_eq!(*message, "is a submodule, and the tree has no `.gitmodules`");
    assert!(hint.contains("`git checkout COMMIT^ -- .gitmodules` brings it back"), "{hint}");
}

#[test]
fn a_tree_without_submodules_is_fine() {
    let world = World::new();
    let git = world.bare("shop.git");
    assert_eq!(scan(&git, &tree(&git, &[file("README.md", "x")])), Scan::default());
    assert_eq!(scan(&git, &tree(&git, &[])), Scan::default());
}

#[test]
fn odd_spellings_are_read_as_git_reads_them() {
    let world = World::new();
    let git = world.bare("shop.git");
    let gitmodules = "\
# a comment\r
[Submodule \"Cart Service\"]\r
\tPATH = \"services/cart\" ; why\r
\tUrl = ../ca\\\r
rt.git\r
[submodule \"b\"] path = services/b\n  url=https://h.example/b
[submodule \"quoted \\\"c\\\"\"]
path = services/c
url = \"https://h.example/c\"
[submodule \"d\"]
path = services/with space
branch = main
shallow
url = ../d.git
";
    let mut changes = vec![file(".gitmodules", gitmodules)];
    for path in ["services/cart", "services/b", "services/c", "services/with space"] {
        changes.push(gitlink(path, &id("1")));
    }
    let revision = commit(&git, &changes);
    let scan = scan(&git, &git.commit(revision.as_str()).unwrap().unwrap().tree);
    assert_eq!(kinds(&scan.problems), Vec::<String>::new());
    let blob = format!("--blob={revision}:.gitmodules");
    for submodule in &scan.submodules {
        for (key, ours) in [("path", submodule.path.as_str()), ("url", &submodule.declared_url)] {
            let key = format!("submodule.{}.{key}", submodule.name);
            assert_eq!(git.text(["config", &blob, "--get", &key]).unwrap(), ours, "{key}");
        }
    }
    assert_eq!(scan.submodules.len(), 4);
}

#[test]
fn b14_p8_what_a_partial_clone_left_out_is_named_with_what_to_do() {
    let world = World::new();
    let origin = world.bare("shop.git");
    let _done = origin.checked(["config", "uploadpack.allowFilter", "true"]).unwrap();
    let head = commit(
        &origin,
        &[
            file(".gitmodules", section("cart", "nested/folder/cart", "ssh://git@forge.example:2222/shop/cart.git")),
            gitlink("nested/folder/cart", &id("1")),
        ],
    );
    let expected = scan(&origin, &origin.commit("main").unwrap().unwrap().tree);
    assert_eq!(expected.submodules[0].url.as_str(), "https://forge.example/shop/cart.git");
    let url = format!("file://{}", origin.git_dir().display());
    for (filter, left_out) in [("tree:0", "tree"), ("blob:none", "blob")] {
        let clone = world.path(left_out);
        let filter = format!("--filter={filter}");
        let arguments = ["clone", "--quiet", "--no-checkout", &filter, &url, clone.to_str().unwrap()];
        let _done = origin.checked(arguments).unwrap();
        // Whatever git itself would do about it: reading fetches nothing and runs nothing.
        let canary = world.path("canary");
        let evil = world.path("evil");
        std::fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", canary.display())).unwrap();
        let git = origin.open_other(&clone).unwrap();
        let _done = git.checked(["config", "remote.origin.uploadpack", evil.to_str().unwrap()]).unwrap();

        let superproject = Superproject::open(&clone).unwrap();
        let info = superproject.commit(head.as_str()).unwrap();
        let error = superproject.scan(&info.tree, &shop()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::NotFound);
        let ReadError::Missing { kind, partial, .. } = &error else { panic!("{error}") };
        assert_eq!((*kind, *partial), (left_out, true));
        assert!(error.to_string().ends_with("was left out of this partial clone"), "{error}");
        assert!(!canary.exists());

        // What the hint says helps.
        let _done = git.checked(["config", "--unset", "remote.origin.uploadpack"]).unwrap();
        let hint = error.hint().unwrap();
        assert!(hint.contains("git -c remote.origin.partialclonefilter= fetch --refetch"), "{hint}");
        let _done = git.checked(["-c", "remote.origin.partialclonefilter=", "fetch", "--quiet", "--refetch"]).unwrap();
        let superproject = Superproject::open(&clone).unwrap();
        assert_eq!(superproject.scan(&info.tree, &shop()).unwrap(), expected);
    }
}

#[test]
fn p8_objects_of_alternates_are_found_and_lost_ones_named() {
    let world = World::new();
    let origin = world.bare("shop.git");
    let head = commit(&origin, &[file(".gitmodules", section("cart", "cart", "../cart")), gitlink("cart", &id("1"))]);
    let expected = scan(&origin, &origin.commit("main").unwrap().unwrap().tree);
    let clone = world.path("borrows");
    let url = origin.git_dir().to_str().unwrap();
    let _done = origin.checked(["clone", "--quiet", "--shared", url, clone.to_str().unwrap()]).unwrap();
    let superproject = Superproject::open(&clone).unwrap();
    let info = superproject.commit(head.as_str()).unwrap();
    assert_eq!(superproject.scan(&info.tree, &shop()).unwrap(), expected);

    // A whole clone that lost a file says so, and does not blame a filter.
    let lost = origin.text(["rev-parse", "main:.gitmodules"]).unwrap();
    let (folder, rest) = lost.split_at(2);
    std::fs::remove_file(origin.git_dir().join("objects").join(folder).join(rest)).unwrap();
    let error = Superproject::open(origin.git_dir()).unwrap().scan(&info.tree, &shop()).unwrap_err();
    assert_eq!(error.to_string(), format!("blob `{lost}` is missing from this clone"));
    assert!(error.hint().unwrap().contains("git fsck"));
}

#[test]
fn ten_thousand_submodules_are_not_too_many() {
    let world = World::new();
    let git = world.bare("shop.git");
    let mut gitmodules = String::new();
    let mut stream = String::new();
    for number in 0..10_000 {
        let path = format!("services/group-{:02}/shop-service-with-a-long-name-{number:05}", number % 50);
        gitmodules += &section(&path, &path, &format!("../shop-service-with-a-long-name-{number:05}.git"));
        writeln!(stream, "M 160000 {} {path}", id("1")).unwrap();
    }
    let size = gitmodules.len();
    let head = "commit refs/heads/main\ncommitter T <t@x> 1700000000 +0000\ndata 1\nx\n";
    let stream = format!("{head}M 100644 inline .gitmodules\ndata {size}\n{gitmodules}\n{stream}");
    let _done = git.invocation(["fast-import", "--quiet"]).stdin(stream).run().unwrap().checked().unwrap();
    let scan = scan(&git, &git.commit("main").unwrap().unwrap().tree);
    assert_eq!((scan.submodules.len(), scan.problems.len(), scan.warnings.len()), (10_000, 0, 0));
}
