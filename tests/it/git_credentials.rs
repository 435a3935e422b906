//! Submodules on a private host, reached with what a CI job has: real git over TLS, and a server that asks for a header.

use std::fs;

use test_support::{GitServer, Nginx, workspace};

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};

const PASSWORD: &str = "canary-T0KEN";
const FIXTURES: &str = "crates/registry/tests/fixtures";

#[test]
fn t71_t8_private_submodules_are_fetched_with_the_jobs_credentials_and_from_allowed_sources_only() {
    let shop = Shop::with(&CONFIGURATION.replace("suites:\n", "submodules: { pushed: require }\nsuites:\n"));
    let server = GitServer::start(shop.root(), "x-access-token", PASSWORD);
    let fixture = |name: &str| workspace().join(FIXTURES).join(name).display().to_string();
    let settings = format!(
        "ssl_certificate {};\nssl_certificate_key {};\nlocation / {{ proxy_pass http://{}; }}",
        fixture("server.pem"),
        fixture("server.key.pem"),
        server.address()
    );
    let Some(nginx) = Nginx::start_or_skip("ssl", &settings) else { return };
    let host = format!("https://{}/", nginx.address());
    let clone = shop.work_on("dev");
    let set_url = |url: &str| {
        clone.git(&["config", "--file", ".gitmodules", "submodule.services/shop-cart.url", url]);
        shop.commit_and_push("dev", "another address");
    };
    set_url(&format!("{host}shop-cart.git"));
    clone.git(&["config", "http.sslCAInfo", &fixture("authority.pem")]);

    // Nothing is given: the refusal says what would do, and which settings are not used.
    let line = "lock generate --rev dev";
    clone.git(&["config", "credential.helper", &format!("!echo password={PASSWORD}; echo username=x; #")]);
    let said = ["is not known", "`credential.helper` of this clone's own configuration is not used", "GIT_ASKPASS"];
    refuses(&shop, line, 13, &said);
    assert!(!shop.ends(line, 13).text().contains(PASSWORD));

    // As `actions/checkout` writes it, until version 5 and since 6.
    let header = format!("AUTHORIZATION: {}", server.authorization());
    let key = format!("http.{host}.extraheader");
    clone.git(&["config", "--local", &key, &header]);
    shop.ok(line);
    clone.git(&["config", "--local", "--unset", &key]);
    let file = shop.join("home/git-credentials.config");
    fs::write(&file, format!("[http \"{host}\"]\n\textraheader = {header}\n")).unwrap();
    let included = format!("includeIf.gitdir:{}/.git.path", clone.path().display());
    clone.git(&["config", "--local", &included, file.to_str().unwrap()]);
    shop.open();
    shop.check(1);
    shop.ok("--as dana forge pr merge 1");
    let report = shop.ok("--cache ../empty-cache run staging");
    assert!(!report.text().contains(server.authorization()), "{report}");
    let rendered = shop.superproject().git(&["ls-tree", "-r", "--name-only", "deploy/staging"]);
    assert!(rendered.contains("shop-cart"), "its manifests came over the wire: {rendered}");

    // Git is led elsewhere: the list of allowed sources holds for that place as well.
    set_url("https://git.example/shop/shop-cart.git");
    let instead = format!("url.{host}.insteadOf");
    clone.git(&["config", "--local", &instead, "https://git.example/shop/"]);
    shop.ok(line);
    let allow = |entries: &str| {
        let rules = format!("submodules: {{ pushed: require, allow: [{entries}] }}\nsuites:\n");
        clone.write("orchestrator.yaml", CONFIGURATION.replace("suites:\n", &rules));
        shop.commit_and_push("dev", "a list of sources");
    };
    allow("forge.example, git.example/shop");
    let led = "leads to `https://127.0.0.1:[PORT]/shop-cart.git`, which `submodules.allow` does not name";
    refuses(&shop, line, 11, &[led, "url.*.insteadOf"]);
    allow(&format!("forge.example, git.example/shop, \"{}\"", nginx.address()));
    // The rules of the commit before hold as well.
    shop.commit_and_push("dev", "on top of the list");
    shop.ok(line);
    clone.git(&["config", "--local", "--unset", &instead]);
    clone.git(&[
        "config",
        "--local",
        &format!("url.{}/.insteadOf", shop.root().display()),
        "https://git.example/shop/",
    ]);
    refuses(&shop, line, 11, &["git's configuration leads to"]);
    allow("forge.example, git.example/shop");
    set_url("https://git.example/shop/shop-cart.git");
    refuses(&shop, line, 11, &["git's configuration leads to"]);
}
