//! What needs no forge works in every kind of clone, and says what it did not judge.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use config::Config;
use lock_model::{LOCK_FILE, Lock};
use orchestrator::lock::{
    ComposeRequest, LockCheckRequest, LockGenerateRequest, LockMigrateRequest, LockPublishRequest, check_lock,
    compose_override, diff_locks, generate_lock, migrate_lock, publish_lock, show_lock_of,
};
use orchestrator::report::v1::{ChangeKind, NotJudged};
use orchestrator::{
    Actor, ConfigInitRequest, Context, ErrorKind, NoEvents, Opened, RunRequest, Settings, Workspace, explain_image,
    init_config, plan, promote, release, run,
};

use crate::shop::{BOT, CONFIGURATION, Shop, Watcher, environment, fails, production, released, staging, user, write};

/// The line of the configuration that names the forge.
const FORGE: &str = "forge: { kind: local, repository: \"https://forge.example/shop/shop\" }\n";

/// A shop whose configuration on `dev` names no forge.
fn shop() -> Shop {
    Shop::with(&CONFIGURATION.replace(FORGE, ""))
}

/// Runs git in a folder below the shop's, as a person would.
fn git(shop: &Shop, folder: &str, arguments: &[&str]) {
    let ran = Command::new("git")
        .args(["-c", "user.name=Ana", "-c", "user.email=ana@shop.example"])
        .args(arguments)
        .current_dir(shop.join(folder))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A clone on `dev` that does not know where it came from.
fn clone(shop: &Shop, name: &str) {
    git(shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", name]);
    git(shop, name, &["remote", "remove", "origin"]);
}

fn opened(shop: &Shop, folder: &str) -> Opened {
    Opened::open(
        Settings::new(shop.join(folder), Actor::OfGit),
        shop.surroundings(),
        Watcher::new(),
        Arc::new(NoEvents),
    )
    .unwrap()
}

fn alone(shop: &Shop, folder: &str) -> Workspace {
    match opened(shop, folder) {
        Opened::Alone(workspace) => *workspace,
        Opened::WithForge(_) => panic!("{folder} has a forge"),
    }
}

fn questions(not_judged: &[NotJudged]) -> Vec<&str> {
    assert!(not_judged.iter().all(|one| one.reason == "no forge"), "{not_judged:?}");
    not_judged.iter().map(|one| one.question.as_str()).collect()
}

/// Everything that needs no forge, in one clone.
async fn works(shop: &Shop, folder: &str) -> Lock {
    let workspace = alone(shop, folder);
    let mut request = LockGenerateRequest::new("HEAD");
    request.output = Some(shop.join(folder).join("made"));
    let made = generate_lock(&workspace, &request).await.unwrap();
    assert_eq!(made.services.len(), 3, "{folder}");
    assert_eq!(
        questions(&made.not_judged),
        ["the rules of the branch that it goes to", "whether a submodule changed its owner"]
    );
    let mut request = LockCheckRequest::new("HEAD");
    request.file = Some(shop.join(folder).join("made/lock.yaml"));
    let checked = check_lock(&workspace, &request).await.unwrap();
    assert!(checked.usable, "{folder}: {:#?}", checked.answers);
    assert_eq!(questions(&checked.not_judged), ["the ledger's file", "not rejected"]);
    let explained = explain_image(&workspace, "HEAD", &"shop-cart".try_into().unwrap()).await.unwrap();
    assert!(explained.taken.is_some(), "{folder}: {:#?}", explained.reason);
    let planned = plan(&workspace, &staging(), None).await.unwrap();
    assert_eq!(planned.lock, made.lock, "{folder}");
    assert!(!planned.changes.is_empty() && planned.changes.iter().all(|change| change.kind == ChangeKind::Added));
    let not_judged = questions(&planned.not_judged);
    assert_eq!(not_judged, ["what is deployed", "the rules of its branch", "whose the target's branch is"]);
    Lock::parse(made.file.as_bytes(), LOCK_FILE).unwrap()
}

#[tokio::test]
async fn locks_are_made_judged_and_planned_in_every_kind_of_clone() {
    let shop = shop();
    clone(&shop, "plain");
    let lock = works(&shop, "plain").await;
    assert_eq!(lock.source().repository.as_str(), "https://no-forge.invalid/plain");
    let cart = &lock.services()["shop-cart"].git.url;
    assert_eq!(cart.as_str(), "https://no-forge.invalid/shop-cart.git");

    // What is read is what is committed; an edited file is said.
    let file = shop.join("plain/orchestrator.yaml");
    let committed = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{committed}# a change\n")).unwrap();
    let workspace = alone(&shop, "plain");
    let warned = |warnings: &[String]| warnings.iter().any(|one| one.contains("the one in the work tree differs"));
    let made = generate_lock(&workspace, &LockGenerateRequest::new("HEAD")).await.unwrap();
    assert!(warned(&made.warnings), "{:?}", made.warnings);
    assert!(warned(&plan(&workspace, &staging(), None).await.unwrap().warnings));
    let unknown = fails(plan(&workspace, &environment("canary"), None).await, ErrorKind::Usage);
    assert!(warned(unknown.hints()), "{:?}", unknown.hints());
    let explained = explain_image(&workspace, "HEAD", &"shop-cart".try_into().unwrap()).await.unwrap();
    assert!(warned(&explained.warnings), "{:?}", explained.warnings);
    let mut request = LockCheckRequest::new("HEAD");
    let lacking = fails(check_lock(&workspace, &request).await, ErrorKind::Repository);
    assert!(warned(lacking.hints()), "{:?}", lacking.hints());
    request.file = Some(shop.join("plain/made/lock.yaml"));
    assert!(warned(&check_lock(&workspace, &request).await.unwrap().warnings));
    fs::write(&file, committed).unwrap();
    assert!(!warned(&generate_lock(&workspace, &LockGenerateRequest::new("HEAD")).await.unwrap().warnings));

    git(&shop, "plain", &["switch", "--quiet", "--create", "topic"]);
    works(&shop, "plain").await;
    git(&shop, "plain", &["switch", "--quiet", "--detach"]);
    works(&shop, "plain").await;
    git(&shop, "plain", &["worktree", "add", "--quiet", "--detach", "../linked", "HEAD"]);
    works(&shop, "linked").await;

    // Where a remote that is no local forge is known, its address is the lock's, whatever a job's clone carries.
    git(&shop, "plain", &["remote", "add", "upstream", "https://ci:token@forge.example/shop/shop.git"]);
    let made = generate_lock(&alone(&shop, "plain"), &LockGenerateRequest::new("HEAD")).await.unwrap();
    let lock = Lock::parse(made.file.as_bytes(), LOCK_FILE).unwrap();
    assert_eq!(lock.source().repository.as_str(), "https://forge.example/shop/shop.git");
    assert!(!made.file.contains("token"), "{}", made.file);
    assert_eq!(lock.services()["shop-cart"].git.url.as_str(), "https://forge.example/shop/shop-cart.git");
}

#[tokio::test]
async fn plain_http_is_refused_by_name_wherever_content_is_fetched() {
    let shop = shop();
    clone(&shop, "plain");
    git(&shop, "plain", &["remote", "add", "origin", "http://ci:token@git.invalid/shop/shop.git"]);
    let workspace = alone(&shop, "plain");
    let mut request = LockGenerateRequest::new("HEAD");
    let made = generate_lock(&workspace, &request).await.unwrap();
    let warning =
        "has the URL `http://git.invalid/shop/shop-cart.git`, from which nothing is fetched: it is without TLS";
    assert!(made.warnings.iter().any(|one| one.contains(warning)), "{:?}", made.warnings);
    request.check_pushed = true;
    for error in [
        fails(generate_lock(&workspace, &request).await.map(drop), ErrorKind::Repository),
        fails(plan(&workspace, &staging(), None).await.map(drop), ErrorKind::Repository),
    ] {
        let (text, hints) = (error.to_string(), error.hints().join("\n"));
        let expected = "orchestrator fetches nothing from `http://***@git.invalid/shop/shop-cart.git`: plain http";
        assert!(text.contains(expected) && !text.contains("token"), "{text}");
        let way_out = "git config url.https://git.invalid/.insteadOf http://git.invalid/";
        assert!(hints.contains(way_out) && !hints.contains("token"), "{hints}");
    }
    // The way out leads there.
    git(&shop, "plain", &["config", "url.https://git.invalid/.insteadOf", "http://ci:token@git.invalid/"]);
    let error = fails(plan(&alone(&shop, "plain"), &staging(), None).await.map(drop), ErrorKind::Temporary);
    assert!(!error.to_string().contains("plain http"), "{error}");
}

#[tokio::test]
async fn a_lock_that_is_committed_is_what_a_plan_without_a_forge_takes() {
    let shop = shop();
    clone(&shop, "plain");
    let workspace = alone(&shop, "plain");
    let mut request = LockGenerateRequest::new("HEAD");
    request.output = Some(shop.join("plain/locks"));
    let made = generate_lock(&workspace, &request).await.unwrap();
    git(&shop, "plain", &["add", "locks"]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "a lock"]);
    // No image has to be there.
    fs::remove_dir_all(shop.join("registry")).unwrap();
    let planned = plan(&alone(&shop, "plain"), &staging(), Some("dev")).await.unwrap();
    assert_eq!(planned.lock, made.lock);
    // A lock of another tree is not taken.
    shop.new_version("shop-cart", 2, crate::shop::Built::No);
    let cart = shop.new_version("shop-cart", 3, crate::shop::Built::No);
    git(&shop, "plain", &["update-index", "--cacheinfo", &format!("160000,{cart},services/shop-cart")]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "cart 3"]);
    fails(plan(&alone(&shop, "plain"), &staging(), None).await, ErrorKind::Image);
}

#[tokio::test]
async fn what_only_a_forge_makes_possible_names_what_is_missing() {
    let shop = shop();
    clone(&shop, "plain");
    let settings = Settings::new(shop.join("plain"), Actor::Named(user(BOT)));
    let answer = Context::open(settings, shop.surroundings(), Watcher::new(), Arc::new(NoEvents));
    let error = fails(answer, ErrorKind::Usage);
    assert!(error.message().contains("no local forge"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("`lock generate`")), "{error:?}");
    let mut request = LockGenerateRequest::new("HEAD");
    request.pull_request = Some(1);
    fails(generate_lock(&alone(&shop, "plain"), &request).await, ErrorKind::Usage);

    // A forge is at hand, and the configuration does not name it: nothing is published or committed.
    generate_lock(&shop.bot(), &LockGenerateRequest::new("dev")).await.unwrap();
    let number = shop.open_pull_request("dev", "staging").await;
    let error = fails(publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await, ErrorKind::Usage);
    assert!(error.message().contains("has no key `forge`"), "{error}");
    shop.force("staging", &shop.head("dev").unwrap());
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Usage);
    assert!(error.message().contains("has no key `forge`"), "{error}");
    assert!(shop.file("staging", LOCK_FILE).is_none());
}

#[tokio::test]
async fn a_first_configuration_names_the_submodules_that_it_leaves_out() {
    let shop = shop();
    clone(&shop, "plain");
    git(&shop, "plain", &["rm", "--quiet", "orchestrator.yaml"]);
    let file = shop.join("plain/.gitmodules");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("url = ").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    fs::write(&file, format!("{before}url = ext::true\n{after}")).unwrap();
    git(&shop, "plain", &["add", ".gitmodules"]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "a URL that is a program"]);
    let written = init_config(&alone(&shop, "plain"), &ConfigInitRequest::default()).unwrap();
    assert_eq!(written.services, 2);
    assert!(written.warnings.iter().any(|one| one.contains("(.gitmodules:")), "{:?}", written.warnings);
}

#[tokio::test]
async fn a_clone_without_a_configuration_is_offered_the_one_that_fits_it() {
    let shop = shop();
    clone(&shop, "plain");
    git(&shop, "plain", &["rm", "--quiet", "orchestrator.yaml"]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "no configuration yet"]);
    let answer = generate_lock(&alone(&shop, "plain"), &LockGenerateRequest::new("HEAD")).await;
    let error = fails(answer, ErrorKind::Usage);
    let hint = error.hints().join("\n");
    assert!(hint.contains("`orchestrator config init` writes one for its 3 submodules"), "{hint}");

    // What the hint shows is what the command writes; what it cannot know it names.
    let written = init_config(&alone(&shop, "plain"), &ConfigInitRequest::default()).unwrap();
    assert!(written.yaml.contains("\"registry.example.com/{name}\""), "{}", written.yaml);
    let warning = "`registry.example.com` stands for your registry";
    assert!(written.warnings.iter().any(|one| one.starts_with(warning)), "{:?}", written.warnings);
    assert!(hint.ends_with(&written.yaml), "{hint}");
    assert!(written.yaml.lines().count() <= 7, "{}", written.yaml);
    assert_eq!(fs::read_to_string(shop.join("plain/orchestrator.yaml")).unwrap(), written.yaml);
    assert!(written.next[0].starts_with("write your registry in place of `registry.example.com`"), "{written:?}");
    assert_eq!(written.next.len(), 2, "{written:?}");
    let again = fails(init_config(&alone(&shop, "plain"), &ConfigInitRequest::default()), ErrorKind::Usage);
    assert!(again.message().contains("is there already"));
    assert!(again.hints()[0].contains("move it away"), "{again:?}");

    // It lies there, and is not committed.
    let answer = generate_lock(&alone(&shop, "plain"), &LockGenerateRequest::new("HEAD")).await;
    let error = fails(answer, ErrorKind::Usage);
    assert!(error.hints().iter().any(|hint| hint.contains("`git add orchestrator.yaml`")), "{error:?}");

    // With the image names of the shop, its seven lines and where its images lie are enough for a lock.
    fs::remove_file(shop.join("plain/orchestrator.yaml")).unwrap();
    let mut request = ConfigInitRequest::default();
    request.repository = Some("registry.example/shop/{short}".to_owned());
    let written = init_config(&alone(&shop, "plain"), &request).unwrap();
    assert!(written.yaml.contains("prefix: \"shop-\""), "{}", written.yaml);
    assert_eq!(written.warnings, [""; 0]);
    add_to(
        &shop.join("plain/orchestrator.yaml"),
        "registries: { registry.example: { mirror: \"oci-layout:../registry\" } }\n",
    );
    git(&shop, "plain", &["rm", "--quiet", "--cached", "ops/shop-dashboards"]);
    git(&shop, "plain", &["add", "orchestrator.yaml"]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "the shortest configuration"]);
    let made = generate_lock(&alone(&shop, "plain"), &LockGenerateRequest::new("HEAD")).await.unwrap();
    assert_eq!(made.services.len(), 2);
}

#[tokio::test]
async fn a_repository_without_submodules_gets_no_configuration() {
    let shop = shop();
    git(&shop, ".", &["clone", "--quiet", "--branch=main", "shop.git", "empty"]);
    git(&shop, "empty", &["remote", "remove", "origin"]);
    fails(init_config(&alone(&shop, "empty"), &ConfigInitRequest::default()), ErrorKind::Repository);
    let answer = generate_lock(&alone(&shop, "empty"), &LockGenerateRequest::new("HEAD")).await;
    assert!(fails(answer, ErrorKind::Usage).hints().join("").contains("this commit has none"));
    assert!(!shop.join("empty/orchestrator.yaml").exists());

    // Submodules that are not committed yet are named, also before the first commit.
    fs::write(shop.join("empty/.gitmodules"), "").unwrap();
    let error = fails(init_config(&alone(&shop, "empty"), &ConfigInitRequest::default()), ErrorKind::Repository);
    assert!(error.hints()[0].starts_with("`.gitmodules` is there: commit it"), "{error:?}");
    git(&shop, ".", &["init", "--quiet", "new"]);
    let error = fails(init_config(&alone(&shop, "new"), &ConfigInitRequest::default()), ErrorKind::Repository);
    assert_eq!(error.message(), "the superproject has no commit yet");
    assert!(error.hints()[0].contains("`git submodule add URL PATH`"), "{error:?}");
}

#[tokio::test]
async fn a_misspelt_revision_gets_the_nearest_branch() {
    let shop = shop();
    clone(&shop, "plain");
    for (revision, hint) in [("dve", "did you mean `dev`? give a branch, "), ("nothing-like-it", "give a branch, ")] {
        let answer = generate_lock(&alone(&shop, "plain"), &LockGenerateRequest::new(revision)).await;
        let error = fails(answer, ErrorKind::Repository);
        assert!(error.hints()[0].starts_with(hint), "{revision}: {error:?}");
    }
}

/// What the submodules bring is an environment that can be pasted.
#[tokio::test]
async fn a_first_configuration_comes_with_an_environment_for_charts_or_manifests() {
    let shop = shop();
    clone(&shop, "plain");
    git(&shop, "plain", &["rm", "--quiet", "orchestrator.yaml"]);
    git(&shop, "plain", &["commit", "--quiet", "--message", "no configuration yet"]);
    let site = alone(&shop, "plain");
    let path = shop.join("plain/orchestrator.yaml");
    let write = |file: &str| {
        let file = shop.join("plain").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    };
    let suggested = || {
        let mut request = ConfigInitRequest::default();
        request.repository = Some("registry.example/shop/{short}".to_owned());
        request.tags = vec!["main-{sha7}".to_owned()];
        let written = init_config(&site, &request).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(written.next.len(), 1, "nothing is guessed: {written:?}");
        if let Some(environment) = &written.environment {
            Config::parse("orchestrator.yaml", format!("{}{}", written.yaml, environment.yaml).as_bytes()).unwrap();
        }
        written.environment
    };
    // What a clone without its submodules has is not known.
    for path in ["services/shop-cart", "services/shop-web", "ops/shop-dashboards"] {
        fs::remove_dir_all(shop.join("plain").join(path)).unwrap_or_default();
    }
    assert_eq!(suggested(), None);

    write("services/shop-cart/deploy/app.yaml");
    write("services/shop-web/deploy/app.yaml");
    let manifests = suggested().unwrap();
    assert_eq!(manifests.found, "2 of 3 submodules have manifests in `{path}/deploy`");
    let target = r#"target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}" }"#;
    assert!(manifests.yaml.contains(target), "{}", manifests.yaml);
    assert!(manifests.yaml.contains(r#"deploy: ["shop-cart", "shop-web"]"#), "{}", manifests.yaml);
    assert!(manifests.next.contains("`orchestrator plan staging`"), "{}", manifests.next);

    for path in ["services/shop-cart", "services/shop-web", "ops/shop-dashboards"] {
        write(&format!("{path}/helm/Chart.yaml"));
    }
    let charts = suggested().unwrap();
    assert_eq!(charts.found, "3 of 3 submodules have a chart in `{path}/helm`");
    assert!(charts.yaml.contains(r#"chart: "{path}/helm""#) && charts.yaml.contains(r#"deploy: ["**"]"#), "{charts:?}");
    assert!(charts.next.contains("--suggest"), "{}", charts.next);
}

#[tokio::test]
async fn a_clone_beside_its_forge_is_judged_whole() {
    let shop = Shop::new();
    git(&shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", "beside"]);
    let mut elsewhere = Settings::new(shop.join("beside"), Actor::OfGit);
    elsewhere.forge = Some(shop.join("registry"));
    let answer = Context::open(elsewhere, shop.surroundings(), Watcher::new(), Arc::new(NoEvents));
    let error = fails(answer.map(drop), ErrorKind::Usage);
    assert!(error.message().ends_with("registry` has no folder `forge/`, so no local forge is there"), "{error}");
    let with_forge = opened(&shop, "beside");
    assert!(matches!(with_forge, Opened::WithForge(_)));
    let made = generate_lock(&with_forge, &LockGenerateRequest::new("HEAD")).await.unwrap();
    assert_eq!(made.not_judged, []);
    shop.commit("dev", &[write("README.md", "a word\n")], "a word");
}

#[tokio::test]
async fn an_edited_configuration_is_said_where_a_forge_is_asked_too() {
    let shop = released();
    git(&shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", "beside"]);
    let plan_it = async |name: &str| plan(&opened(&shop, "beside"), &environment(name), None).await;
    assert_eq!(plan_it("staging").await.unwrap().warnings, [""; 0]);
    let environment = "  canary: { branch: staging, mode: staging, namespace: shop-canary }\n";
    let file = shop.join("beside/orchestrator.yaml");
    let edited =
        fs::read_to_string(&file).unwrap().replace("environments:\n", &format!("environments:\n{environment}"));
    fs::write(&file, edited).unwrap();
    let said =
        |texts: &[String]| texts.iter().any(|one| one.contains("the `orchestrator.yaml` in the work tree differs"));
    assert!(said(&plan_it("staging").await.unwrap().warnings));
    let unknown = fails(plan_it("canary").await, ErrorKind::Usage);
    assert!(said(unknown.hints()), "{:?}", unknown.hints());
}

#[tokio::test]
async fn a_file_that_is_called_dash_is_standard_input() {
    let shop = shop();
    clone(&shop, "plain");
    let mut request = LockGenerateRequest::new("HEAD");
    request.output = Some(shop.join("plain/made"));
    let made = generate_lock(&alone(&shop, "plain"), &request).await.unwrap();
    let (repository, file) = (shop.join("plain"), shop.join("plain/made/lock.yaml"));
    let given = |text: &str| {
        let (text, mut surroundings) = (text.to_owned(), shop.surroundings());
        surroundings.standard_input = Arc::new(move || Ok(text.clone().into_bytes()));
        surroundings
    };
    let opened =
        Opened::open(Settings::new(&repository, Actor::OfGit), given(&made.file), Watcher::new(), Arc::new(NoEvents))
            .unwrap();
    let mut request = LockCheckRequest::new("HEAD");
    request.file = Some("-".into());
    assert!(check_lock(&opened, &request).await.unwrap().usable);
    let compared = diff_locks(&repository, "-", file.to_str().unwrap(), &given(&made.file)).unwrap();
    assert_eq!((&compared.before, compared.changes.len()), (&made.lock, 0));
    assert_eq!(show_lock_of(&repository, "-", &given(&made.file)).unwrap().lock, made.lock);
    fails(diff_locks(&repository, "-", "HEAD", &given("no lock")), ErrorKind::Lock);

    let compose = "services: { cart: { image: cart } }\n";
    let mut request = ComposeRequest::new("-");
    request.lock = file.to_str().unwrap().to_owned();
    let pinned = compose_override(&repository, &request, &given(compose)).unwrap();
    assert_eq!(pinned.services.len(), 1);
    let mut request = ComposeRequest::new(shop.join("plain/compose.yml"));
    fs::write(&request.file, compose).unwrap();
    request.lock = "-".to_owned();
    assert_eq!(compose_override(&repository, &request, &given(&made.file)).unwrap().file, pinned.file);

    // No output takes the place of what it is made from.
    for (output, input) in
        [("compose.yml", "compose.yml"), ("made/lock.yaml", "made/lock.yaml"), ("made/../compose.yml", "compose.yml")]
    {
        let before = fs::read_to_string(repository.join(input)).unwrap();
        request.lock = file.to_str().unwrap().to_owned();
        request.output = Some(repository.join(output));
        let error = fails(compose_override(&repository, &request, &given("")), ErrorKind::Usage);
        assert!(error.message().contains("would be written over"), "{error}");
        assert_eq!(fs::read_to_string(repository.join(input)).unwrap(), before);
    }
}

#[tokio::test]
async fn an_unknown_service_is_a_mistake_of_the_caller_and_the_near_one_is_named() {
    let shop = released();
    let mut request = LockGenerateRequest::new("staging");
    request.services.insert("shop-crat".try_into().unwrap());
    let error = fails(generate_lock(&shop.bot(), &request).await, ErrorKind::Usage);
    assert!(error.hints()[0].starts_with("did you mean `shop-cart`?"), "{error:?}");
    let answer = explain_image(&shop.bot(), "staging", &"shop-wbe".try_into().unwrap()).await;
    let error = fails(answer, ErrorKind::Usage);
    assert!(error.hints()[0].starts_with("did you mean `shop-web`?"), "{error:?}");
    request.services.insert("shop-wbe".try_into().unwrap());
    let error = fails(generate_lock(&shop.bot(), &request).await, ErrorKind::Usage);
    let said: Vec<String> =
        error.all_problems().iter().map(|one| format!("{}: {}", one.subject, one.message)).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("shop-wbe: is no service of this tree: did you mean `shop-web`?"), "{said:?}");

    // So is a step that the configuration does not have.
    let error = fails(promote(&shop.bot(), &production()).await, ErrorKind::Usage);
    assert!(error.message().contains("has no key `promote`"), "{error}");
    let error = fails(release(&shop.bot(), &staging(), None).await, ErrorKind::Usage);
    assert!(error.message().contains("has no key `release`"), "{error}");
}

#[tokio::test]
async fn p1_an_old_tree_is_read_by_rules_that_have_more_services_than_it_had() {
    let rules = CONFIGURATION.replace("services:\n", "services:\n- { match: \"later/*\", kind: configuration }\n");
    let shop = Shop::with(&rules);
    let entries = ["ops/shop-dashboards", "services/shop-cart", "services/shop-web"].map(|path| {
        let (commit, name) = (shop.gitlink("dev", path), path.rsplit('/').next().unwrap());
        let image = format!(
            "\"repository\": \"registry.example/shop/{}\", \"tag\": \"main-{}\"",
            name.trim_start_matches("shop-"),
            commit.short(7)
        );
        format!("\"{name}\": {{ \"submodule_path\": \"{path}\", \"git_sha\": \"{commit}\", \"image\": {{ {image} }} }}")
    });
    let metadata = "{ \"commit\": \"\", \"generated_at\": \"2025-12-01T08:00:00Z\", \"generator\": \"x\", \"source_branch\": \"HEAD\" }";
    let older = format!("{{ \"metadata\": {metadata}, \"services\": {{ {} }} }}", entries.join(", "));
    fs::write(shop.join("older.yml"), older).unwrap();
    let mut request = LockMigrateRequest::new(shop.join("older.yml"));
    request.revision = Some("dev".to_owned());
    request.rules = Some("dev".to_owned());
    let migrated = migrate_lock(&shop.bot(), &request).await.unwrap();
    assert_eq!(migrated.services.len(), 3);
    assert!(
        migrated.warnings.iter().any(|warning| warning.contains("`later/*` matches no submodule")),
        "{migrated:#?}"
    );
    // A new lock of the same tree is refused: there the rule is a mistake.
    let error = fails(generate_lock(&shop.bot(), &LockGenerateRequest::new("dev")).await, ErrorKind::Usage);
    assert!(error.message().contains("`later/*` matches no submodule"), "{error}");
    let taken = explain_image(&shop.bot(), "dev", &"shop-cart".try_into().unwrap()).await.unwrap().taken;
    assert!(taken.is_some());
}

fn add_to(file: &Path, text: &str) {
    fs::write(file, fs::read_to_string(file).unwrap() + text).unwrap();
}
