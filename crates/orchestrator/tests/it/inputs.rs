//! What a release reads of the superproject is part of its id: manifests that lie there, for every service and environment.

use git::TreeChange;
use ledger::{Step, StepResult};
use lock_model::{CommitId, LOCK_FILE, Lock, ReleaseId};
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::report::v1::{ChangeKind, InputChange, Lines, PublishedLock, Report as _};
use orchestrator::{Error, ErrorKind, RunRequest, plan, run};

use crate::shop::{
    BOT, CONFIGURATION, Shop, branch, executable, fails, manifest, production, staging, step_words, write,
};

/// Manifests in the superproject, a folder for each environment and service. Staging leaves one service out for a time.
fn configuration() -> String {
    let left_out =
        "    mode: staging\n    not-deployed: { shop-web: { reason: r, owner: o, until: \"2030-01-01\" } }\n";
    CONFIGURATION.replace("{path}/deploy", "manifests/{mode}/{short}").replace("    mode: staging\n", left_out)
}

fn replicas(service: &str, number: u32) -> String {
    manifest(service).replace("spec:\n  selector", &format!("spec:\n  replicas: {number}\n  selector"))
}

/// The first commit with manifests on `dev`.
fn shop() -> Shop {
    let shop = Shop::with(&configuration());
    let mut changes = vec![write("manifests/README.md", "# Manifests\n"), write("tests/notes", "nothing\n")];
    for mode in ["staging", "production"] {
        for service in ["cart", "web"] {
            let text = replicas(&format!("shop-{service}"), 3);
            changes.push(write(&format!("manifests/{mode}/{service}/app.yaml"), &text));
        }
    }
    let settings = "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"cart\"}}\n";
    changes.push(write("manifests/staging/cart/settings.json", settings));
    changes.push(write("manifests/staging/cart/README.md", "# Cart\n"));
    shop.commit("dev", &changes, "manifests");
    shop
}

/// The same, proven in staging, and its release.
async fn staged() -> (Shop, ReleaseId) {
    let shop = shop();
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let release = shop.newest(&staging(), Step::Proof).release.unwrap();
    (shop, release)
}

/// Opens a pull request with these changes alone.
async fn propose(shop: &Shop, changes: &[TreeChange]) -> u64 {
    let name = format!("change-{}", shop.forge(BOT).pull_requests(None).unwrap().len());
    shop.force(&name, &shop.head("dev").unwrap());
    shop.commit(&name, changes, "a change");
    shop.open_pull_request(&name, "staging").await
}

async fn published(shop: &Shop, changes: &[TreeChange]) -> PublishedLock {
    let number = propose(shop, changes).await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap().published.unwrap()
}

/// The error of a pull request whose lock cannot be made.
async fn refused(shop: &Shop, changes: &[TreeChange], kind: ErrorKind) -> Error {
    let number = propose(shop, changes).await;
    fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, kind)
}

fn remove(path: &str) -> TreeChange {
    TreeChange::Remove { path: path.into() }
}

fn link(path: &str, target: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: git::MODE_SYMLINK, bytes: target.into() }
}

fn shown(files: &[InputChange]) -> Vec<String> {
    let lines = |lines: Option<Lines>| lines.map_or("binary".to_owned(), |l| format!("+{} -{}", l.added, l.removed));
    files
        .iter()
        .map(|file| {
            let services: Vec<&str> = file.services.iter().map(lock_model::ServiceName::as_str).collect();
            format!("{} {:?} {services:?} {} {:?}", file.path, file.change, lines(file.lines), file.executable)
        })
        .collect()
}

#[tokio::test]
async fn t41_a_change_of_manifests_alone_is_a_release_that_staging_proves() {
    let shop = shop();
    shop.release_next().await;
    let before = shop.newest(&production(), Step::Proof);
    let nine = ["staging", "production"]
        .map(|mode| write(&format!("manifests/{mode}/cart/app.yaml"), &replicas("shop-cart", 9)));
    shop.commit("dev", &nine, "more of it");
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let comment = report.markdown().unwrap();
    let report = report.published.unwrap();
    assert_eq!(Some(&report.lock), before.lock.as_ref(), "no image and no commit of a service changes");
    assert_ne!(Some(&report.release), before.release.as_ref(), "what is deployed changes");
    assert!(report.summary.ends_with(": 0 of 3 services change, and 2 files that it reads"), "{}", report.summary);
    assert!(comment.contains("No service changes.\n\n3 services are unchanged.\n\n###"), "{comment}");
    let table = "\n### Changed files that the release reads\n\n\
                 | file | services | lines |  |\n| --- | --- | --- | --- |\n\
                 | `manifests/production/cart/app.yaml` | `shop-cart` | +1 −1 |  |\n\
                 | `manifests/staging/cart/app.yaml` | `shop-cart` | +1 −1 |  |\n";
    assert!(comment.contains(table), "{comment}");
    shop.check(number).await;
    shop.merge("dana", number).await;

    let deployed = |name: &str| shop.file(&format!("deploy/{name}"), "services/shop-cart/app.yaml").unwrap();
    let report = shop.run_ok(&staging()).await;
    assert!(step_words(&report).iter().any(|(step, _)| *step == "deploy"), "staging runs it first: {report:#?}");
    assert!(deployed("staging").contains("replicas: 9"));
    assert!(deployed("production").contains("replicas: 3"));
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    assert!(
        promotion.body.contains("| `manifests/production/cart/app.yaml` | `shop-cart` | +1 −1 |  |"),
        "{}",
        promotion.body
    );
    shop.approve_and_merge(promotion.number).await;
    shop.run_ok(&production()).await;
    assert!(deployed("production").contains("replicas: 9"));
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Ok), 2);
}

#[tokio::test]
async fn t41_every_way_to_change_what_is_read_makes_another_release() {
    let (shop, before) = staged().await;
    let cart = |file: &str| format!("manifests/staging/cart/{file}");
    let web = replicas("shop-web", 9);
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: once }\n";
    let check = shop.file("dev", "tests/check").unwrap();
    let settings = shop.file("dev", "manifests/staging/cart/settings.json").unwrap();
    let changes: [(&str, Vec<TreeChange>, &[&str]); 9] = [
        (
            "JSON",
            vec![write(&cart("settings.json"), &settings.replace("\"cart\"", "\"basket\""))],
            &["manifests/staging/cart/settings.json Changed [\"shop-cart\"] +1 -1 None"],
        ),
        (
            "added",
            vec![write(&cart("jobs/once.yml"), job)],
            &["manifests/staging/cart/jobs/once.yml Added [\"shop-cart\"] +3 -0 None"],
        ),
        (
            "deleted",
            vec![remove(&cart("settings.json"))],
            &["manifests/staging/cart/settings.json Removed [\"shop-cart\"] +0 -1 None"],
        ),
        (
            "moved to another service",
            vec![remove(&cart("settings.json")), write("manifests/staging/web/settings.json", &settings)],
            &[
                "manifests/staging/cart/settings.json Removed [\"shop-cart\"] +0 -1 None",
                "manifests/staging/web/settings.json Added [\"shop-web\"] +1 -0 None",
            ],
        ),
        (
            "of production alone",
            vec![write("manifests/production/web/app.yaml", &web)],
            &["manifests/production/web/app.yaml Changed [\"shop-web\"] +1 -1 None"],
        ),
        (
            "of a service that is left out",
            vec![write("manifests/staging/web/app.yaml", &web)],
            &["manifests/staging/web/app.yaml Changed [\"shop-web\"] +1 -1 None"],
        ),
        ("not executable", vec![write("tests/check", &check)], &["tests/check Changed [] +0 -0 Some(false)"]),
        (
            "executable",
            vec![executable(&cart("app.yaml"), &replicas("shop-cart", 3))],
            &["manifests/staging/cart/app.yaml Changed [\"shop-cart\"] +0 -0 Some(true)"],
        ),
        (
            "binary",
            vec![write(&cart("x.yaml"), "a\0b")],
            &["manifests/staging/cart/x.yaml Added [\"shop-cart\"] binary None"],
        ),
    ];
    let mut releases = std::collections::BTreeSet::from([before.clone()]);
    for (what, changes, expected) in changes {
        let report = published(&shop, &changes).await;
        assert!(releases.insert(report.release), "{what}: a release of its own");
        assert_eq!(shown(&report.inputs.files), expected, "{what}");
    }
    for (what, change) in [
        ("a page", write("README.md", "# Another shop\n")),
        ("a page beside manifests", write(&cart("README.md"), "# Basket\n")),
        ("a link beside manifests", link(&cart("LICENCE"), "../../../README.md")),
        ("a file that no suite names", write("tests/notes", "something\n")),
        ("a folder of no service", write("manifests/staging/other/app.yaml", job)),
        ("a file beside the folders", write("manifests/staging/app.yaml", job)),
    ] {
        let report = published(&shop, &[change]).await;
        assert_eq!((report.release, report.inputs.count), (before.clone(), 0), "{what}");
    }
}

#[tokio::test]
async fn t41_many_changed_inputs_are_counted_and_the_first_are_listed() {
    let (shop, _) = staged().await;
    let file = |number: u32| {
        write(&format!("manifests/staging/cart/{number:03}-{}.yaml", "long".repeat(50)), &format!("# {number}\n"))
    };
    let changes: Vec<TreeChange> = (0..140).map(file).collect();
    let number = propose(&shop, &changes).await;
    let report = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let comment = report.markdown().unwrap();
    let report = report.published.unwrap();
    assert_eq!((report.inputs.count, report.inputs.files.len()), (140, 100));
    assert!(comment.contains("\n40 more files change.\n"), "{comment}");
    assert!(comment.chars().count() < 40_000, "there is room for what follows: {}", comment.chars().count());
    assert!(report.inputs.files.iter().all(|file| file.change == ChangeKind::Added));
}

#[tokio::test]
async fn t41_what_is_no_file_where_a_release_reads_one_is_refused() {
    let (shop, before) = staged().await;
    let cart = |file: &str| format!("manifests/staging/cart/{file}");
    let commit = CommitId::try_from("1".repeat(40)).unwrap();
    let gitlink = |path: String| TreeChange::Gitlink { path, commit: commit.clone() };
    let app = cart("app.yaml");
    let cases = [
        ("manifests/staging/cart/x.yaml", vec![link(&cart("x.yaml"), "../web/app.yaml")], "is a symbolic link"),
        ("tests/check", vec![remove("tests/check"), link("tests/check", "notes")], "is a symbolic link"),
        (
            "manifests/staging/cart",
            vec![
                remove(&app),
                remove(&cart("settings.json")),
                remove(&cart("README.md")),
                link("manifests/staging/cart", "web"),
            ],
            "is a symbolic link",
        ),
        ("manifests/staging/cart/charts", vec![gitlink(cart("charts"))], "is a submodule"),
    ];
    for (path, changes, what) in cases {
        let error = refused(&shop, &changes, ErrorKind::Repository).await;
        let problems: Vec<String> =
            error.all_problems().iter().map(|one| format!("{} {}", one.subject, one.message)).collect();
        assert!(problems.iter().any(|one| one.starts_with(&format!("{path} {what}"))), "{path}: {problems:?}");
    }
    // A name that is no text, beside one that nothing reads.
    for (name, is_read) in [("\\377.yaml", true), ("\\377.md", false)] {
        let stream = format!(
            "commit refs/heads/odd\ncommitter Dana <dana@shop.example> 1763672400 +0000\ndata 3\nodd\nfrom {}\nM 100644 inline \"manifests/staging/cart/{name}\"\ndata 3\n# x\n\n",
            shop.head("dev").unwrap()
        );
        let _done = shop
            .git()
            .invocation(["fast-import", "--quiet", "--force"])
            .stdin(stream)
            .run()
            .unwrap()
            .checked()
            .unwrap();
        let number = shop.open_pull_request("odd", "staging").await;
        let answer = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await;
        if is_read {
            let error = fails(answer, ErrorKind::Repository);
            assert_eq!(error.all_problems()[0].subject, "manifests/staging/cart/\u{fffd}.yaml");
        } else {
            assert_eq!(answer.unwrap().published.unwrap().release, before);
        }
    }
    // Links where nothing is deployed from hide nothing.
    let report = published(&shop, &[link("manifests/staging/dashboards", "cart")]).await;
    assert_eq!(report.release, before);
}

/// Adds a file whose name is no text to the newest commit of a repository.
fn add_odd_name(git: &git::Git, name: &str) {
    let stream = format!(
        "commit refs/heads/main\ncommitter Dana <dana@shop.example> 1763672400 +0000\ndata 3\nodd\nfrom refs/heads/main^0\nM 100644 inline \"{name}\"\ndata 3\n# x\n\n",
    );
    let import = git.invocation(["fast-import", "--quiet", "--force"]).stdin(stream);
    let _done = import.run().unwrap().checked().unwrap();
}

#[tokio::test]
async fn t41_t50_what_is_no_file_in_a_services_own_repository_is_refused() {
    let shop = Shop::new();
    let app = || write("deploy/app.yaml", &manifest("shop-cart"));
    let gitlink =
        |path: &str| TreeChange::Gitlink { path: path.to_owned(), commit: CommitId::try_from("1".repeat(40)).unwrap() };
    let inside = link("deploy/x.yaml", "app.yaml");
    let cases = [
        ("`deploy/x.yaml` is a symbolic link", vec![app(), inside], None),
        ("`deploy/in/x.json` is a symbolic link", vec![app(), link("deploy/in/x.json", "/etc/hostname")], None),
        (
            "`deploy` is a symbolic link",
            vec![write("k8s/app.yaml", &manifest("shop-cart")), link("deploy", "k8s")],
            None,
        ),
        ("`deploy/charts` is a submodule", vec![app(), gitlink("deploy/charts")], None),
        ("`deploy` is a submodule", vec![gitlink("deploy")], None),
        ("`deploy/\u{fffd}.yaml` has a name that cannot be used", vec![app()], Some("deploy/\\377.yaml")),
    ];
    let cart = crate::shop::open(&shop.join("shop-cart.git"));
    for (wrong, changes, odd) in cases {
        shop.rewrite("shop-cart", &changes);
        if let Some(odd) = odd {
            add_odd_name(&cart, odd);
            shop.take_newest("shop-cart");
        }
        shop.merge_dev_past_rules().await;
        let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Repository);
        let problems = error.all_problems();
        let details: Vec<&String> = problems.iter().flat_map(|problem| &problem.details).collect();
        assert_eq!((problems.len(), problems[0].subject.as_str()), (1, "shop-cart"), "{wrong}: {problems:?}");
        assert!(details.len() == 1 && details[0].starts_with(wrong), "{wrong}: {details:?}");
        assert_eq!(shop.head("deploy/staging"), None, "{wrong}");
    }
}

#[tokio::test]
async fn t41_what_lies_beside_the_manifests_of_a_service_is_not_read() {
    let shop = Shop::new();
    // More than is read of one file.
    let large = write("deploy/model.bin", &"x".repeat(17 * 1024 * 1024));
    let app = write("deploy/app.yaml", &manifest("shop-cart"));
    let links = [link("deploy/LICENCE", "../../LICENCE"), link("deploy/common", "../common")];
    let nested = TreeChange::Gitlink { path: "vendor/x".into(), commit: "1".repeat(40).try_into().unwrap() };
    let [licence, common] = links;
    shop.rewrite("shop-cart", &[large.clone(), app.clone(), licence, common, nested]);
    add_odd_name(&crate::shop::open(&shop.join("shop-cart.git")), "deploy/\\377.md");
    shop.take_newest("shop-cart");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    assert!(shop.file("deploy/staging", "services/shop-cart/app.yaml").is_some());

    // A manifest of this size is named.
    let TreeChange::Write { mode, bytes, .. } = large else { panic!("it is a file") };
    shop.rewrite("shop-cart", &[app, TreeChange::Write { path: "deploy/model.json".into(), mode, bytes }]);
    shop.merge_dev_past_rules().await;
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Repository);
    let problem = &error.all_problems()[0];
    assert!(problem.subject == "shop-cart" && problem.message.contains("deploy/model.json"), "{problem:?}");
}

#[tokio::test]
async fn t41_a_read_that_no_release_declares_is_refused() {
    let (shop, _) = staged().await;
    // A lock that calls the service otherwise than the configuration: its manifests would lie in another folder.
    let mut parts = shop.lock("staging").into_parts();
    let web = parts.services.remove("shop-cart").unwrap();
    parts.services.insert("shop-other".try_into().unwrap(), web);
    let text = Lock::new(parts).unwrap().to_yaml();
    let other = write("manifests/staging/other/app.yaml", &manifest("shop-cart"));
    shop.commit("staging", &[write(LOCK_FILE, &text), other], "another name");
    let error = fails(plan(&shop.bot(), &staging(), None).await, ErrorKind::Repository);
    let problem = &error.all_problems()[0];
    assert_eq!(problem.subject, "shop-other");
    assert_eq!(problem.message, "`manifests/staging/other` is read, and is no declared input of a release");
}

#[tokio::test]
async fn t41_manifests_in_the_folder_of_the_lock_are_refused() {
    let shop = Shop::with(&configuration().replace("manifests/{mode}/{short}", "{short}/x"));
    shop.configure("dev", "services:\n", "services:\n- { match: services/shop-cart, name: locks }\n");
    let number = shop.open_pull_request("dev", "staging").await;
    let error = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, ErrorKind::Usage);
    assert!(error.message().contains("orchestrator.yaml:"), "{error}");
    assert!(error.message().contains("service `locks`: the source lies in `locks/`"), "{error}");
}
