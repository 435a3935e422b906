//! Which login is found: files of docker and podman, helper programs, explicit ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use lock_model::ErrorClass;
use process::EnvVars;
use registry::credentials::{CredentialProblem, EnvCredential, HelperPrograms, Login, LoginSource, LoginTrace};
use registry::{CredentialSources, Credentials, Registry};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Fake, Store, image, options_with_logins, repository, request, resolve};

const CANARY: &str = "canary-5ecret";

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn auth(user: &str) -> Value {
    json!({ "auth": base64(&format!("{user}:{CANARY}")) })
}

/// A registry that wants a password, a home with files, and helper programs.
struct Bench {
    fake: Fake,
    home: TempDir,
    sources: CredentialSources,
}

impl Bench {
    /// The registry takes `good` with the secret.
    async fn new() -> Self {
        let fake = Store::default().image("a", &image("linux/amd64").build()).serve().await;
        fake.guard(&["Basic realm=x"], &[&format!("Basic {}", base64(&format!("good:{CANARY}")))]);
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        let mut search_path = home.path().join("bin").into_os_string();
        search_path.push(":/usr/bin:/bin");
        let environment = EnvVars::new().set("PATH", &search_path).set("HOME", home.path());
        let helpers = HelperPrograms::new(search_path, environment);
        let mut sources = CredentialSources::default();
        sources.helpers = Some(helpers);
        Self { fake, home, sources }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file and makes it the next source.
    fn file(&mut self, name: &str, content: &Value) -> &mut Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content.to_string()).unwrap();
        self.sources.files.push(path);
        self
    }

    /// A helper that runs a script.
    fn helper(&self, name: &str, script: &str) -> &Self {
        program(&self.path("bin").join(format!("docker-credential-{name}")), script);
        self
    }

    fn load(&self) -> Credentials {
        Credentials::load(self.sources.clone()).unwrap()
    }

    fn registry(&self) -> Registry {
        self.fake.registry_with(options_with_logins(self.sources.clone()))
    }

    /// Resolves; how the login was found, and the message where it was refused.
    async fn outcome(&self) -> (LoginTrace, Result<(), String>) {
        let registry = self.registry();
        let answer = resolve(&registry, &request(&["a"])).await;
        let trace = registry.login_of(&repository()).unwrap();
        let outcome = answer.map(|_| ()).map_err(|unresolved| {
            assert_eq!(unresolved.class(), ErrorClass::Denied);
            let all = format!("{} {unresolved:?}", unresolved.reason);
            assert!(!all.contains(CANARY) && !all.contains(&base64(&format!("good:{CANARY}"))), "{all}");
            unresolved.reason.to_string()
        });
        (trace, outcome)
    }

    async fn source(&self) -> LoginSource {
        let (trace, outcome) = self.outcome().await;
        outcome.unwrap();
        assert_eq!(trace.problems, [""; 0]);
        trace.source
    }
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn prints(user: &str) -> String {
    format!(r#"echo '{{"ServerURL":"x","Username":"{user}","Secret":"{CANARY}"}}'"#)
}

#[tokio::test]
async fn b3_the_first_file_that_exists_counts() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    bench.sources.files.push(bench.path("no-docker/config.json"));
    bench.file("auth-file.json", &json!({ "auths": { &host: auth("good") } }));
    bench.file("podman.json", &json!({ "auths": { &host: auth("bad") } }));
    assert_eq!(bench.source().await, LoginSource::File { path: bench.path("auth-file.json") });
    assert_eq!(bench.load().file(), Some(bench.path("auth-file.json").as_path()));

    // A file without the login hides those after it, as everywhere.
    let mut bench = Bench::new().await;
    bench.file("config.json", &json!({})).file("auth-file.json", &json!({ "auths": { &host: auth("good") } }));
    let (trace, outcome) = bench.outcome().await;
    assert_eq!(trace.source, LoginSource::Anonymous);
    assert!(outcome.unwrap_err().ends_with("asks for a login (Basic realm=x), and none is known"));
}

#[tokio::test]
async fn b4_a_login_for_the_repository_comes_before_the_one_for_its_host() {
    for key in ["{}/shop/cart", "{}/shop", "https://{}/v2/", "{}"] {
        let mut bench = Bench::new().await;
        let host = bench.fake.host();
        let key = key.replace("{}", &host);
        let mut auths = json!({ &host: auth("bad"), format!("{host}/shop/car"): auth("bad") });
        if key.ends_with("/v2/") {
            auths.as_object_mut().unwrap().remove(&host);
        }
        auths[&key] = auth("good");
        bench.file("config.json", &json!({ "auths": auths }));
        bench.source().await;
    }
}

#[tokio::test]
async fn b5_a_helper_is_asked_for_the_host_once() {
    for file in [
        |host: &str| json!({ "credHelpers": { host: "one" }, "credsStore": "two" }),
        |_: &str| json!({ "credsStore": "one" }),
        |host: &str| json!({ "credsStore": "one", "auths": { host: {} } }),
    ] {
        let mut bench = Bench::new().await;
        let content = file(&bench.fake.host());
        bench.file("config.json", &content);
        bench.helper(
            "one",
            &format!("test \"$*\" = get || exit 9; echo \"$(cat)\" >>\"$HOME/asked\"; {}", prints("good")),
        );
        bench.helper("two", "exit 9");
        let source =
            LoginSource::Helper { program: "docker-credential-one".to_owned(), path: bench.path("config.json") };
        assert_eq!(bench.source().await, source);
        assert_eq!(fs::read_to_string(bench.path("asked")).unwrap(), format!("{}\n", bench.fake.host()));
        assert_eq!(
            source.to_string(),
            format!("`docker-credential-one` (named in `{}`)", bench.path("config.json").display())
        );
    }
}

#[tokio::test]
async fn b5_the_user_token_means_an_identity_token() {
    let mut bench = Bench::new().await;
    let service = Fake::start().await;
    let answer = wiremock::ResponseTemplate::new(200).set_body_string(r#"{"access_token":"t1"}"#);
    service.on_path("POST", "/token", [answer]);
    bench.fake.guard(&[&format!("Bearer realm=\"{}/token\"", service.uri())], &["Bearer t1"]);
    bench.file("config.json", &json!({ "credsStore": "one" }));
    bench.helper("one", &prints("<token>"));
    bench.source().await;
    let asked = service.received().await;
    assert_eq!(asked.len(), 1);
    assert!(String::from_utf8_lossy(&asked[0].body).ends_with(&format!("&refresh_token={CANARY}")));
}

#[tokio::test]
async fn b5_a_helper_without_the_login_is_no_problem() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    bench.file(
        "config.json",
        &json!({ "credHelpers": { format!("{host}/shop"): "none" }, "auths": { &host: auth("good") } }),
    );
    bench.helper("none", "echo credentials not found in native keychain; exit 1");
    assert_eq!(bench.source().await, LoginSource::File { path: bench.path("config.json") });
}

#[tokio::test]
async fn b5_a_helper_that_fails_means_nobody_and_is_named_first_when_that_is_refused() {
    let canary_everywhere = format!("echo {CANARY}; echo {CANARY} >&2; ");
    for (script, why) in [
        (format!("{canary_everywhere} exit 3"), "ended with exit status 3"),
        (format!("{canary_everywhere} kill -9 $$"), "ended with signal 9"),
        (canary_everywhere, "gave an answer that cannot be read"),
        (format!(r#"echo '{{"Username":["{CANARY}"]}}'"#), "gave an answer that cannot be read"),
        (
            "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done".to_owned(),
            "wrote more than 1048576 bytes",
        ),
    ] {
        let mut bench = Bench::new().await;
        bench.file("config.json", &json!({ "credsStore": "one" }));
        bench.helper("one", &script);
        let (trace, outcome) = bench.outcome().await;
        assert_eq!(trace.source, LoginSource::Anonymous);
        let file = bench.path("config.json");
        let problem = format!("credential helper `docker-credential-one`, which `{}` names, {why}", file.display());
        let helper = trace.failed_helper.as_ref().unwrap();
        assert_eq!((helper.program.as_str(), &helper.path), ("docker-credential-one", &file));
        assert_eq!(helper.asked.as_deref(), Some(bench.fake.host().as_str()));
        assert_eq!(trace.problems, std::slice::from_ref(&problem));
        let text = outcome.unwrap_err();
        let (_, text) = text.split_once(": ").unwrap();
        assert!(text.starts_with(&format!("{problem}, so no login was sent: `{}` asks", bench.fake.host())), "{text}");
    }
    // A registry that wants no login does not care.
    let mut bench = Bench::new().await;
    bench.file("config.json", &json!({ "credsStore": "missing" }));
    let (trace, outcome) = bench.outcome().await;
    assert!(outcome.is_err() && trace.problems[0].ends_with("was not found on the search path"), "{trace:?}");
    assert_eq!(trace.failed_helper.unwrap().asked, None, "it was never run");
    bench.fake.open();
    resolve(&bench.registry(), &request(&["a"])).await.unwrap();
}

#[tokio::test]
async fn t22_a_helper_that_hangs_is_ended_with_everything_it_started() {
    let mut bench = Bench::new().await;
    bench.sources.helpers.as_mut().unwrap().deadline = Duration::from_millis(300);
    bench.file("config.json", &json!({ "credsStore": "one" }));
    bench.helper("one", "trap '' TERM; sleep 1000 & echo $! >\"$HOME/child\"; wait; wait; sleep 1000");
    let start = Instant::now();
    let (trace, outcome) = bench.outcome().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(trace.problems[0].ends_with(" names, did not end within 0.3 s"), "{trace:?}");
    outcome.unwrap_err();
    let child = fs::read_to_string(bench.path("child")).unwrap();
    let is_there = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    // The kernel ends what was killed in its own time.
    while is_there() {
        assert!(start.elapsed() < Duration::from_secs(8), "its child is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn t22_a_helper_ends_with_the_command() {
    let mut bench = Bench::new().await;
    bench.file("config.json", &json!({ "credsStore": "one" }));
    bench.helper("one", "exec sleep 1000");
    let start = Instant::now();
    let requests = [request(&["a"])];
    let answers = bench.registry().resolve_all(&requests, start + Duration::from_millis(300), &|_| ()).await;
    assert_eq!(answers.into_iter().next().unwrap().unwrap_err().class(), ErrorClass::Temporary);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn t22_a_checkout_names_neither_logins_nor_programs() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    let work_tree = bench.path("checkout");
    bench.sources.work_tree = Some(work_tree.clone());
    bench.file("checkout/.docker/config.json", &json!({ "auths": { &host: auth("good") } }));
    let errors = Credentials::load(bench.sources.clone()).unwrap_err();
    assert_eq!(errors.class(), ErrorClass::Invalid);
    assert!(matches!(errors.problems(), [CredentialProblem::InsideWorkTree { .. }]), "{errors}");

    // Nor through a link into it.
    std::os::unix::fs::symlink(bench.path("checkout/.docker"), bench.path("home")).unwrap();
    bench.sources.files = vec![bench.path("home/config.json")];
    Credentials::load(bench.sources.clone()).unwrap_err();

    // A helper that lies there is not run.
    bench.sources.files.clear();
    bench.file("config.json", &json!({ "credsStore": "one" }));
    program(&work_tree.join("docker-credential-one"), &format!("touch \"$HOME/ran\"; {}", prints("good")));
    bench.sources.helpers.as_mut().unwrap().search_path = work_tree.into_os_string();
    let (trace, outcome) = bench.outcome().await;
    outcome.unwrap_err();
    assert!(trace.problems[0].ends_with("lies inside the work tree and was not run"), "{trace:?}");
    assert!(!bench.path("ran").exists());
}

#[tokio::test]
async fn t22_helper_names_with_a_path_stop_everything() {
    let mut bench = Bench::new().await;
    bench.file("config.json", &json!({ "credsStore": "../../evil" }));
    let errors = Credentials::load(bench.sources.clone()).unwrap_err();
    assert_eq!(errors.problems().len(), 1);
    assert_eq!(errors.class(), ErrorClass::Invalid);
}

#[tokio::test]
async fn b7_a_login_of_the_environment_beats_the_file() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    bench.file("config.json", &json!({ "auths": { format!("{host}/shop/cart"): auth("bad") } }));
    let credential =
        |name: &str, registry: &str, user: &str| EnvCredential::new(name, registry, Login::password(user, CANARY));
    let pattern = host.replace("127.0.", "*.*.");
    bench.sources.env = vec![
        credential("PATTERN", &pattern, "bad"),
        credential("FIRST", &host, "good"),
        credential("SECOND", &host, "bad"),
        credential("OTHER", &format!("{host}/shop/car"), "bad"),
    ];
    assert_eq!(bench.source().await, LoginSource::Env { name: "FIRST".to_owned() });
    bench.sources.env = vec![credential("PATTERN", &pattern, "good")];
    assert_eq!(bench.source().await, LoginSource::Env { name: "PATTERN".to_owned() });
}

#[tokio::test]
async fn b5_an_entry_that_cannot_be_read_is_named_first() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    bench.file("config.json", &json!({ "auths": { &host: { "auth": format!("{CANARY}!") } } }));
    let (trace, outcome) = bench.outcome().await;
    let text = outcome.unwrap_err();
    assert!(
        text.contains(&format!(
            "the entry `{host}` of `{}` cannot be read, so no",
            bench.path("config.json").display()
        )),
        "{text}"
    );
    assert_eq!(trace.problems.len(), 1);
}

#[tokio::test]
async fn b5_a_helper_of_another_host_ends_nothing_and_the_own_one_is_named() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    let helpers = json!({ "other.example": "", "third.example": "x/y", "fourth.example": 7 });
    bench.file("config.json", &json!({ "auths": { &host: auth("good") }, "credHelpers": helpers }));
    bench.outcome().await.1.unwrap();

    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    bench.file("config.json", &json!({ "credHelpers": { &host: "x/y" } }));
    let text = bench.outcome().await.1.unwrap_err();
    assert!(text.contains(&format!("`credHelpers.{host}` of `")) && text.contains("names no program"), "{text}");
}

#[tokio::test]
async fn b7_a_login_without_the_port_is_named_where_none_fits() {
    let mut bench = Bench::new().await;
    let host = bench.fake.host();
    let (bare, _) = host.rsplit_once(':').unwrap();
    bench.sources.env = vec![EnvCredential::new("THE_VARIABLE", bare, Login::password("good", CANARY))];
    bench.file("config.json", &json!({ "auths": { bare: auth("good") } }));
    let text = bench.outcome().await.1.unwrap_err();
    let shown = format!("the login of `THE_VARIABLE` is for `{bare}`, without the port of `{host}`; the login of `");
    assert!(text.contains(&shown), "{text}");
}

#[test]
fn t22_files_that_cannot_be_used_are_told_from_those_that_are_not_there() {
    let home = tempfile::tempdir().unwrap();
    let load = |name: &str| {
        let mut sources = CredentialSources::default();
        sources.files = vec![home.path().join(name)];
        Credentials::load(sources)
    };
    assert_eq!(load("missing/config.json").unwrap().file(), None);
    fs::create_dir(home.path().join("folder")).unwrap();
    fs::write(home.path().join("large"), vec![b' '; (1 << 20) + 1]).unwrap();
    fs::write(home.path().join("text"), CANARY).unwrap();
    for (name, why) in [("folder", "cannot be read"), ("large", "is larger than"), ("text", "line 1, column 1")] {
        let errors = load(name).unwrap_err();
        let shown = format!("{errors} {errors:?}");
        assert!(shown.contains(why) && !shown.contains(CANARY), "{shown}");
    }
}
