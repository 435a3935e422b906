use std::collections::BTreeMap;
use std::fmt::Write as _;

use git::Git;
use lock_gen::{AllowedSources, Direction, History, HistoryQuery, Pins, SubmoduleChange, changes_to_review};
use lock_model::{CommitId, ErrorClass, GitSource};

use crate::world::{World, child, commit, file, gitlink, id, kinds, scan, section, tree};

fn moved(url: &Git, before: &CommitId, after: &CommitId) -> HistoryQuery {
    HistoryQuery {
        path: "services/cart".parse().unwrap(),
        name: "cart".to_owned(),
        url: url.git_dir().to_str().unwrap().to_owned(),
        before: before.clone(),
        after: after.clone(),
    }
}

/// What `git rev-list` says: how many commits were added and removed.
fn by_git(git: &Git, before: &CommitId, after: &CommitId) -> (usize, usize) {
    let range = format!("{before}...{after}");
    let text = git.text(["rev-list", "--left-right", "--count", &range]).unwrap();
    let (removed, added) = text.split_once('\t').unwrap();
    (added.parse().unwrap(), removed.parse().unwrap())
}

fn counts(history: &History) -> (usize, usize) {
    (history.added.count, history.removed.count)
}

#[test]
fn commits_between_two_locks_are_those_of_git() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let _done = cart.checked(["config", "uploadpack.allowFilter", "true"]).unwrap();
    let root = commit(&cart, &[file("a", "0")]);
    let mut commits = vec![root.clone()];
    for number in 1..8 {
        commits.push(child(&cart, commits.last().unwrap(), &format!("change {number}\n\nwith a body")));
    }
    let last = commits.last().unwrap().clone();
    cart.update_ref("refs/heads/main", last.as_str(), None).unwrap();
    let side = child(&cart, &commits[3], "on the side: \u{1b}[31m<b>");
    cart.update_ref("refs/heads/side", side.as_str(), None).unwrap();
    let alien = child_of_none(&cart);
    cart.update_ref("refs/heads/alien", alien.as_str(), None).unwrap();

    let store = world.store(&world.path("no-clone"));
    for (before, after, direction) in [
        (&root, &last, Direction::Forward),
        (&last, &root, Direction::Backward),
        (&side, &last, Direction::Diverged),
        (&alien, &last, Direction::Unrelated),
        (&last, &last, Direction::Same),
    ] {
        let history = store.history(&moved(&cart, before, after), 3).unwrap();
        assert_eq!(history.direction, direction);
        assert_eq!(counts(&history), by_git(&cart, before, after), "{direction:?}");
        assert!(history.added.newest.len() <= 3 && history.removed.newest.len() <= 3);
    }
    let history = store.history(&moved(&cart, &root, &last), 3).unwrap();
    let subjects: Vec<&str> = history.added.newest.iter().map(|line| line.subject.as_str()).collect();
    assert_eq!(subjects, ["change 7", "change 6", "change 5"]);
    assert_eq!((history.added.newest[0].id.clone(), history.added.newest[0].author.as_str()), (last.clone(), "Tester"));
    assert_eq!((history.added.count, history.added.newest[0].is_merge), (7, false));
    // Foreign text is handed on as it is: who shows it escapes it.
    let history = store.history(&moved(&cart, &last, &side), 3).unwrap();
    assert_eq!(history.added.newest[0].subject, "on the side: \u{1b}[31m<b>");

    // With the remote gone: everything is at hand. And several at once.
    let questions =
        [moved(&cart, &root, &last), HistoryQuery { path: "other".parse().unwrap(), ..moved(&cart, &last, &id("5")) }];
    let first = store.histories(&questions, 1, None);
    assert_eq!(first[&questions[0].path].as_ref().unwrap().direction, Direction::Forward);
    let error = first[&questions[1].path].as_ref().unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
    std::fs::remove_dir_all(cart.git_dir()).unwrap();
    assert_eq!(store.history(&questions[0], 1).unwrap().added.count, 7);
    store.history(&moved(&cart, &root, &id("5")), 1).unwrap_err();
}

fn child_of_none(git: &Git) -> CommitId {
    let tree = git.write_tree(None, &[file("alien", "x")]).unwrap();
    git.commit_tree(&tree, &[], "alien", &crate::world::identity()).unwrap()
}

#[test]
fn a_shallow_clone_says_nothing_about_history() {
    let world = World::new();
    let cart = world.bare("cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    commit(&cart, &[file("a", "2")]);
    let third = commit(&cart, &[file("a", "3")]);
    let url = format!("file://{}", cart.git_dir().display());
    let shop = world.path("shop.git");
    let modules = shop.join("modules/cart");
    std::fs::create_dir_all(modules.parent().unwrap()).unwrap();
    let clone = |depth: &str| {
        let _done = cart.checked(["clone", "--quiet", "--bare", depth, &url, modules.to_str().unwrap()]).unwrap();
    };
    clone("--depth=1");
    let shallow = cart.open_other(&modules).unwrap();
    // Both commits are there; what lies between is not.
    let _done = shallow.checked(["fetch", "--quiet", "--depth=1", "origin", first.as_str()]).unwrap();
    let store = world.store(&shop);
    let question = moved(&cart, &first, &third);
    assert_eq!(store.history(&question, 9).unwrap().direction, Direction::Forward);
    assert!(world.path("cache").exists(), "the remote was asked");

    // A whole clone is enough, and knows commits that nobody pushed.
    std::fs::remove_dir_all(&modules).unwrap();
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    clone("--no-hardlinks");
    let whole = cart.open_other(&modules).unwrap();
    let unpushed = child(&whole, &third, "unpushed");
    let history = store.history(&moved(&cart, &first, &unpushed), 9).unwrap();
    assert_eq!((history.direction, history.added.count), (Direction::Forward, 3));
    assert!(!world.path("cache").exists(), "nothing was fetched");
}

/// Graphs with merges and clocks that go wrong, against git's own counting.
#[test]
fn odd_graphs_are_counted_as_git_counts_them() {
    let world = World::new();
    let git = world.bare("cart.git");
    let shop = world.path("shop.git");
    let mut seed: u64 = 7;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut stream = String::new();
    for number in 1_u64..=120 {
        let time = 1_000_000 + random(2000);
        writeln!(stream, "commit refs/heads/b{number}\nmark :{number}\ncommitter T <t@x> {time} +0000\ndata 1\nx")
            .unwrap();
        if number > 3 && random(12) != 0 {
            let parent = number - 1 - random(3);
            writeln!(stream, "from :{parent}").unwrap();
            if random(3) == 0 {
                writeln!(stream, "merge :{}", 1 + random(parent)).unwrap();
            }
        }
        stream.push('\n');
    }
    let import = git.invocation(["fast-import", "--quiet"]).stdin(stream).run().unwrap().checked();
    let _done = import.unwrap();
    let commits: Vec<CommitId> = git.refs("refs/heads/").unwrap().iter().map(|one| one.id.parse().unwrap()).collect();
    std::fs::create_dir_all(shop.join("modules")).unwrap();
    std::os::unix::fs::symlink(git.git_dir(), shop.join("modules/cart")).unwrap();
    let store = world.store(&shop);
    for _ in 0..60 {
        let pick = |at: u64| commits[usize::try_from(at).unwrap()].clone();
        let (before, after) = (pick(random(120)), pick(random(120)));
        let history = store.history(&moved(&git, &before, &after), 0).unwrap();
        assert_eq!(counts(&history), by_git(&git, &before, &after), "{before} {after}");
        let base = git.merge_base(before.as_str(), after.as_str()).unwrap();
        let expected = match base {
            Some(_) if before == after => Direction::Same,
            Some(base) if base == before => Direction::Forward,
            Some(base) if base == after => Direction::Backward,
            Some(_) => Direction::Diverged,
            None => Direction::Unrelated,
        };
        assert_eq!(history.direction, expected, "{before} {after}");
    }
    assert!(!world.path("cache").exists(), "everything was at hand");
}

#[test]
fn t8_changed_repositories_and_backward_gitlinks_are_risks() {
    let pins = |entries: &[(&str, &str, &str)]| -> Pins {
        let pin = |&(path, url, sha): &(&str, &str, &str)| {
            (path.parse().unwrap(), GitSource::new(url.parse().unwrap(), id(sha)))
        };
        entries.iter().map(pin).collect()
    };
    let before = pins(&[
        ("a", "https://h.example/shop/a.git", "1"),
        ("b", "https://h.example/shop/b.git", "1"),
        ("c", "https://h.example/shop/c.git", "1"),
        ("d", "https://h.example/shop/d.git", "1"),
        ("e", "https://h.example/shop/e.git", "1"),
        ("f", "https://h.example/shop/f.git", "1"),
        ("gone", "https://h.example/shop/gone.git", "1"),
    ]);
    let after = pins(&[
        ("a", "https://h.example/shop/a.git", "2"),
        ("b", "https://h.example/sh0p/b.git", "1"),
        ("c", "https://h.example/shop/c2.git", "2"),
        ("d", "https://h.example/shop/d.git", "2"),
        ("e", "https://h.example/shop/e.git", "2"),
        ("f", "https://h.example/shop/f.git", "2"),
        ("new", "https://h.example/shop/new.git", "2"),
    ]);
    let directions: BTreeMap<_, _> = [
        ("a", Direction::Forward),
        ("c", Direction::Backward),
        ("d", Direction::Diverged),
        ("e", Direction::Unrelated),
    ]
    .map(|(path, direction)| (path.parse().unwrap(), direction))
    .into();
    let found = changes_to_review(&before, &after, &directions);
    let words: Vec<String> = found.iter().map(|risk| format!("{} {}", risk.path(), risk.as_str())).collect();
    assert_eq!(
        words,
        ["b owner-changed", "c repository-changed", "c backward", "d diverged", "e unrelated", "f unknown-direction"]
    );
    assert_eq!(
        found[0].to_string(),
        "`b` comes from `https://h.example/sh0p/b.git`, of another owner, and came from `https://h.example/shop/b.git`"
    );
    assert_eq!(found[2].to_string(), "`c` goes back from 111111111111 to 222222222222");
    assert!(matches!(found[5], SubmoduleChange::UnknownDirection { .. }));
    assert_eq!(changes_to_review(&after, &after, &BTreeMap::new()), []);
}

#[test]
fn t8_foreign_sources_of_a_tree_are_problems() {
    let world = World::new();
    let git = world.bare("shop.git");
    let gitmodules = [
        section("a", "a", "../a.git"),
        section("b", "b", "git@github.example:shop/b.git"),
        section("c", "c", "https://github.example/shop-evil/c.git"),
    ]
    .concat();
    let links = ["a", "b", "c"].map(|path| gitlink(path, &id("1")));
    let tree = tree(&git, &[vec![file(".gitmodules", gitmodules)], links.to_vec()].concat());
    let scan = scan(&git, &tree);
    let allowed = AllowedSources::new(["forge.example/shop", "github.example/shop"]).unwrap();
    let problems = allowed.findings(&scan);
    assert_eq!(kinds(&problems), ["foreign-source c"]);
    assert!(problems[0].message.contains("https://github.example/shop-evil/c.git"));
    assert_eq!(scan.pins().len(), 3);
}
