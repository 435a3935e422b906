use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;

use git::{Git, GitOptions};
use lock_gen::{Publication, PublicationCheck, PublicationQuery, PublicationReport, RefPolicy};
use lock_model::{CommitId, ErrorClass};

use crate::world::{World, child, commit, file, git_program, id, kinds};

fn folder(git: &Git) -> String {
    git.git_dir().to_str().unwrap().to_owned()
}

fn question(name: &str, url: &str, sha: &CommitId) -> PublicationQuery {
    PublicationQuery { path: format!("services/{name}").parse().unwrap(), url: url.to_owned(), commit: sha.clone() }
}

fn check(world: &World) -> PublicationCheck {
    PublicationCheck::new(&git_program(), world.options(), &world.path("cache"))
}

fn answer(report: &PublicationReport, name: &str) -> Publication {
    report.answers[format!("services/{name}").as_str()].as_ref().unwrap().clone()
}

fn on(branches: &[&str], tags: &[&str]) -> Publication {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Publication::On { branches: owned(branches), tags: owned(tags) }
}

fn served(pushed: &Publication) -> Option<bool> {
    match pushed {
        Publication::Nowhere { served, .. } => *served,
        Publication::On { .. } => panic!("{pushed:?}"),
    }
}

/// A remote that gives out every object that it has, as hosts do.
fn host(world: &World, name: &str) -> Git {
    let git = world.bare(name);
    for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        let _done = git.checked(["config", key, "true"]).unwrap();
    }
    git
}

#[test]
fn p19_t8_a_commit_is_pushed_when_a_branch_or_tag_has_it() {
    let world = World::new();
    let cart = host(&world, "cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    let second = commit(&cart, &[file("a", "2")]);
    let third = commit(&cart, &[file("a", "3")]);
    let tagged = child(&cart, &first, "tagged");
    let tag = cart.write_tag("v1", &tagged, "one", &crate::world::identity()).unwrap();
    cart.update_ref("refs/tags/v1", &tag, None).unwrap();
    // A tag need not be one of a commit.
    let tree = cart.text(["rev-parse", "main^{tree}"]).unwrap();
    cart.update_ref("refs/tags/a-tree", &tree, None).unwrap();
    cart.update_ref("refs/tags/a-file", &crate::world::blob(&cart, b"a key"), None).unwrap();
    let tag_of = ["-c", "user.name=T", "-c", "user.email=t@shop.example", "tag", "-m", "x", "of-a-file", "a-file"];
    let _done = cart.checked(tag_of).unwrap();
    cart.update_ref("refs/heads/release/1", second.as_str(), None).unwrap();
    // What only a pull request has; what nothing has; what never was.
    let proposed = child(&cart, &third, "proposed");
    cart.update_ref("refs/pull/1/head", proposed.as_str(), None).unwrap();
    let unreachable = child(&cart, &third, "unreachable");

    let url = folder(&cart);
    let questions = [
        question("tip", &url, &third),
        question("older", &url, &first),
        question("two", &url, &second),
        question("tagged", &url, &tagged),
        question("proposed", &url, &proposed),
        question("unreachable", &url, &unreachable),
        question("never", &url, &id("2")),
    ];
    // A fetch by its id succeeds, and proves nothing.
    let own = world.bare("own.git");
    own.fetch(&url, &[unreachable.as_str()], Some(1)).unwrap();

    for round in ["fresh", "again"] {
        let report = check(&world).check(&questions);
        assert_eq!(answer(&report, "tip"), on(&["main"], &[]), "{round}");
        assert_eq!(answer(&report, "older"), on(&["main", "release/1"], &["v1"]), "{round}");
        assert_eq!(answer(&report, "tagged"), on(&[], &["v1"]), "{round}");
        assert_eq!(answer(&report, "two"), on(&["release/1"], &[]), "the newest commit of a branch needs no fetch");
        assert_eq!(served(&answer(&report, "proposed")), Some(true), "{round}");
        assert_eq!(served(&answer(&report, "unreachable")), Some(true), "{round}");
        assert_eq!(served(&answer(&report, "never")), Some(false), "{round}");
        assert_eq!(report.errors().count(), 0);
        let problems = report.findings();
        assert_eq!(
            kinds(&problems),
            ["not-pushed services/never", "not-pushed services/proposed", "not-pushed services/unreachable",]
        );
        let (short, url) = ("222222222222", &url);
        assert_eq!(
            problems[0].to_string(),
            format!("`services/never` is at {short}, which is on no branch of `{url}`: it was never pushed")
        );
        assert!(problems[2].message.contains("though the remote has it"), "{}", problems[2]);
    }

    // Only what counts, counts; also when an earlier check brought more.
    let accepted = RefPolicy::new(["main", "gone", "refs/tags/v*"]).unwrap();
    let report = check(&world).accepting(accepted).check(&questions);
    assert_eq!(answer(&report, "older"), on(&["main"], &["v1"]));
    assert_eq!(answer(&report, "two"), on(&["main"], &[]));
    let report = check(&world).accepting(RefPolicy::new(["gone"]).unwrap()).check(&questions[..1]);
    assert_eq!(served(&answer(&report, "tip")), Some(true));

    // The branch is rewritten: what was pushed is no longer.
    cart.update_ref("refs/heads/main", second.as_str(), Some(third.as_str())).unwrap();
    let report = check(&world).check(&questions[..1]);
    assert_eq!(served(&answer(&report, "tip")), Some(true));
}

#[test]
fn t8_a_commit_of_a_fork_is_served_by_its_id_and_not_pushed() {
    let world = World::new();
    let cart = host(&world, "cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    // A host keeps the objects of a repository and its forks in one place.
    let fork = host(&world, "fork.git");
    std::fs::write(fork.git_dir().join("objects/info/alternates"), format!("{}/objects\n", folder(&cart))).unwrap();
    let imposter = child(&fork, &first, "imposter");
    fork.update_ref("refs/heads/main", imposter.as_str(), None).unwrap();
    let shared = format!("{}/objects\n", folder(&fork));
    std::fs::write(fork.git_dir().join("objects/info/alternates"), "").unwrap();
    let _done = fork.checked(["fetch", "--quiet", &folder(&cart), "main"]).unwrap();
    std::fs::write(cart.git_dir().join("objects/info/alternates"), shared).unwrap();

    let report = check(&world).check(&[
        question("cart", &folder(&cart), &imposter),
        question("fork", &folder(&fork), &imposter),
        question("fine", &folder(&cart), &first),
    ]);
    assert_eq!(served(&answer(&report, "cart")), Some(true));
    assert_eq!(answer(&report, "fork"), on(&["main"], &[]));
    assert_eq!(answer(&report, "fine"), on(&["main"], &[]));
}

#[test]
fn p19_sha_256_remotes_and_remotes_that_leave_nothing_out() {
    let world = World::new();
    let cart = world.sha256("cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    let _second = commit(&cart, &[file("a", "2")]);
    let lost = child(&cart, &first, "lost");
    let url = folder(&cart);
    let report = check(&world).check(&[question("cart", &url, &first), question("lost", &url, &lost)]);
    assert_eq!(answer(&report, "cart"), on(&["main"], &[]));
    served(&answer(&report, "lost"));
    // The question is about another hash function than the remote's: no answer.
    let report = check(&world).check(&[question("cart", &url, &id("1"))]);
    assert!(!matches!(report.answers.values().next().unwrap(), Ok(Publication::On { .. })));
}

#[test]
fn p19_many_remotes_are_asked_at_once_and_every_problem_comes() {
    let world = World::new();
    let mut questions = Vec::new();
    for number in 0..6 {
        let git = host(&world, &format!("s{number}.git"));
        let first = commit(&git, &[file("a", number.to_string())]);
        commit(&git, &[file("a", "x")]);
        let sha = if number % 2 == 0 { first } else { id("3") };
        questions.push(question(&format!("s{number}"), &folder(&git), &sha));
    }
    questions.push(question("gone", world.path("gone.git").to_str().unwrap(), &id("1")));
    questions.push(question("down", "https://127.0.0.1:1/x.git", &id("1")));
    questions.push(question("hostile", "ext::sh -c canary", &id("1")));
    let report = check(&world).at_once(NonZeroUsize::new(3).unwrap()).check(&questions);
    assert_eq!(report.answers.len(), 9);
    assert_eq!(report.findings().len(), 3);
    let errors: Vec<(String, ErrorClass)> =
        report.errors().map(|(path, error)| (path.to_string(), error.class())).collect();
    assert_eq!(
        errors,
        [
            ("services/down".to_owned(), ErrorClass::Temporary),
            ("services/gone".to_owned(), ErrorClass::NotFound),
            ("services/hostile".to_owned(), ErrorClass::Invalid),
        ]
    );
    assert_eq!(check(&world).check(&[]).answers.len(), 0);
}

#[test]
fn p19_a_temporary_check_leaves_nothing_behind() {
    let world = World::new();
    let cart = host(&world, "cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    commit(&cart, &[file("a", "2")]);
    let parent = world.path("tmp");
    std::fs::create_dir(&parent).unwrap();
    let check = PublicationCheck::temporary(&git_program(), world.options(), &parent).unwrap();
    let report = check.check(&[question("cart", &folder(&cart), &first)]);
    assert_eq!(answer(&report, "cart"), on(&["main"], &[]));
    assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 1);
    drop(check);
    assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 0);
    let nowhere = PublicationCheck::temporary(&git_program(), world.options(), &world.path("nothing"));
    assert_eq!(nowhere.unwrap_err().class(), ErrorClass::Invalid);
}

#[test]
fn what_a_killed_run_left_in_the_cache_is_made_anew() {
    let world = World::new();
    let cart = host(&world, "cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    commit(&cart, &[file("a", "2")]);
    let questions = [question("cart", &folder(&cart), &first)];
    let ask = || answer(&check(&world).check(&questions), "cart");
    assert_eq!(ask(), on(&["main"], &[]));
    let kept = std::fs::read_dir(world.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    // A lock file of a ref, in the way for ever, once there is something new.
    commit(&cart, &[file("a", "3")]);
    std::fs::write(kept.join("refs/orchestrator/on/heads/main.lock"), "").unwrap();
    assert_eq!(ask(), on(&["main"], &[]));
    std::fs::write(kept.join("config"), "[core\n").unwrap();
    assert_eq!(ask(), on(&["main"], &[]));
    std::fs::write(kept.join("HEAD"), "nonsense").unwrap();
    assert_eq!(ask(), on(&["main"], &[]));
}

#[test]
fn two_checks_share_a_cache() {
    let world = World::new();
    let cart = host(&world, "cart.git");
    let first = commit(&cart, &[file("a", "1")]);
    commit(&cart, &[file("a", "2")]);
    let questions = [question("cart", &folder(&cart), &first)];
    let (world, questions) = (&world, &questions);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                assert_eq!(answer(&check(world).check(questions), "cart"), on(&["main"], &[]));
            });
        }
    });
    // One that never ends its work is not waited for without end.
    let lock = std::fs::read_dir(world.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_file())
        .unwrap();
    let held = std::fs::File::open(lock).unwrap();
    held.lock().unwrap();
    let options = GitOptions { deadline: std::time::Duration::from_millis(50), ..world.options() };
    let report = PublicationCheck::new(&git_program(), options, &world.path("cache")).check(questions);
    let (_, error) = report.errors().next().unwrap();
    assert_eq!((error.class(), error.is_deadline()), (ErrorClass::Temporary, true), "{error}");
}

#[test]
fn t30_the_users_credential_helpers_are_asked_and_the_clones_are_not() {
    let world = World::new();
    let home = world.path("home");
    std::fs::create_dir_all(&home).unwrap();
    let helper = |name: &str| {
        let path = world.path(name);
        let script = format!("#!/bin/sh\ntouch {}\n", world.path(&format!("{name}-ran")).display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let rewrite = host(&world, "real.git");
    let first = commit(&rewrite, &[file("a", "1")]);
    commit(&rewrite, &[file("a", "2")]);
    // The user's own configuration counts: here a rewritten address stands for all of it.
    let config = format!(
        "[url \"{}\"]\n\tinsteadOf = https://forge.example/shop/cart.git\n[credential]\n\thelper = {}\n",
        folder(&rewrite),
        helper("users-helper").display(),
    );
    std::fs::write(home.join(".gitconfig"), config).unwrap();
    let report = check(&world).check(&[question("cart", "https://forge.example/shop/cart.git", &first)]);
    assert_eq!(answer(&report, "cart"), on(&["main"], &[]));

    // And nothing of the folder in which we are run.
    let clone = world.work("clone");
    let _done = clone.checked(["config", "credential.helper", helper("clones-helper").to_str().unwrap()]).unwrap();
    let _report = check(&world).check(&[question("x", "https://127.0.0.1:1/x.git", &first)]);
    assert!(!world.path("clones-helper-ran").exists());
}
