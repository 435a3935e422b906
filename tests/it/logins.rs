//! Logins of a real registry through the binary: found where people keep them, said by name, never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::{DockerRegistry, DoorSettings, Finished, Skopeo};

use crate::flow::push_all;
use crate::shop::{CONFIGURATION, Shop};

/// User `me` and the password below, as `htpasswd -B` writes them.
const HTPASSWD: &str = "me:$2a$05$gUS5zpy.ZdyEnPY13z0V4.EpJH6wlkwioJwxU3ljFHc6tYjXF5IRa\n";
const PASSWORD: &str = "canary-password";

#[test]
fn b3_b5_b7_t25_a_registry_that_wants_a_login_gets_it_from_where_people_keep_it() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let passwords = registry.folder().join("htpasswd");
    fs::write(&passwords, HTPASSWD).unwrap();
    let auth = format!("{{htpasswd: {{realm: tests, path: \"{}\"}}}}", passwords.display());
    let door = registry.door(&DoorSettings { auth: Some(auth), ..DoorSettings::default() });
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &door.url()));
    push_all(&shop, &skopeo, &registry);
    let silent = |finished: &Finished| {
        for output in [finished.stdout(), finished.stderr()] {
            assert!(!output.contains(PASSWORD), "{output}");
        }
    };

    let line = "images explain shop-cart --rev dev";
    let nobody = shop.orchestrator(line).run().expect_code(13);
    assert!(nobody.stdout().contains("none is taken"), "{}", nobody.text());
    let log_in = format!("hint: log in with `docker login {}`", door.address());
    assert!(nobody.stdout().contains(&log_in), "{}", nobody.text());

    // Variables, for CI jobs.
    let by_variables = shop
        .orchestrator(line)
        .env("ORCHESTRATOR_REGISTRY_HOST", door.address())
        .env("ORCHESTRATOR_REGISTRY_USERNAME", "me")
        .env("ORCHESTRATOR_REGISTRY_PASSWORD", PASSWORD)
        .run()
        .expect_code(0);
    assert!(by_variables.stdout().contains("login at registry.example: "), "{}", by_variables.text());
    silent(&by_variables);

    // Half a login is a mistake, with the name of what is missing.
    let half = shop.orchestrator(line).env("ORCHESTRATOR_REGISTRY_PASSWORD", PASSWORD).run().expect_code(2);
    assert!(half.stderr().contains("is set without `ORCHESTRATOR_REGISTRY_HOST`"), "{}", half.text());
    silent(&half);

    // What `docker login` writes.
    let folder = shop.join("docker");
    fs::create_dir_all(&folder).unwrap();
    let config = serde_json::json!({ "auths": { door.address(): { "username": "me", "password": PASSWORD } } });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let by_file = shop.orchestrator("lock generate --rev dev").env("DOCKER_CONFIG", &folder).run().expect_code(0);
    silent(&by_file);
    assert!(by_file.stdout().contains("registry.example/shop/cart"), "the lock names the real registry");

    // With a warm cache heading and table say the same, and everything that is denied has its hint.
    let made = "lock generate --rev dev --output ../made";
    shop.orchestrator(made).env("DOCKER_CONFIG", &folder).run().expect_code(0);
    let explained = shop.orchestrator(line).run().expect_code(13);
    assert_eq!(explained.stdout().matches("asks for a login").count(), 2, "{explained}");
    assert!(!explained.stdout().contains("sha256:") && explained.stdout().contains(&log_in), "{explained}");
    let checked = shop.orchestrator("lock check ../made/lock.yaml --rev dev").run().expect_code(13);
    assert!(checked.stderr().contains("2 services: ") && checked.stderr().contains(&log_in), "{checked}");
    fs::write(folder.join("config.json"), r#"{"credsStore":"nothere"}"#).unwrap();
    let helper = shop.orchestrator("lock generate --rev dev").env("DOCKER_CONFIG", &folder).run().expect_code(13);
    let file = folder.join("config.json");
    let names = format!("`docker-credential-nothere`, which `{}` names, was not found", file.display());
    assert!(helper.stderr().contains(&names), "{helper}");
    assert!(helper.stderr().contains("hint: put `docker-credential-nothere` on `PATH`"), "{helper}");
    fs::write(&file, config.to_string()).unwrap();

    // A checkout chooses no logins and no programs (T22).
    let inside = shop.clone_folder().path().join("docker");
    fs::create_dir_all(&inside).unwrap();
    fs::copy(folder.join("config.json"), inside.join("config.json")).unwrap();
    let refused = shop.orchestrator(line).env("DOCKER_CONFIG", &inside).run().expect_code(2);
    assert!(refused.stderr().contains("lies inside the work tree"), "{}", refused.text());
    silent(&refused);
}

// The authority, certificates and keys of the registry library's own tests.
const AUTHORITY: &str = include_str!("../../crates/registry/tests/fixtures/authority.pem");
const SERVER: &str = include_str!("../../crates/registry/tests/fixtures/server.pem");
const SERVER_KEY: &str = include_str!("../../crates/registry/tests/fixtures/server.key.pem");
const CLIENT: &str = include_str!("../../crates/registry/tests/fixtures/client.pem");
const CLIENT_KEY: &str = include_str!("../../crates/registry/tests/fixtures/client.key.pem");

#[test]
fn b15_t25_a_registry_with_tls_of_its_own_is_configured_by_the_commit() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let file = |name: &str, content: &str| {
        let path = registry.folder().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("server.pem", SERVER), file("server.key.pem", SERVER_KEY));
    let authority = file("authority.pem", AUTHORITY);
    let tls = format!("{{certificate: \"{certificate}\", key: \"{key}\", clientcas: [\"{authority}\"]}}");
    let door = registry.door(&DoorSettings { tls: Some(tls), ..DoorSettings::default() });
    let address = door.address();
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &format!("https://{address}")));
    push_all(&shop, &skopeo, &registry);

    // Nobody vouches for it.
    let line = "lock generate --rev dev";
    let unknown = shop.ends(line, 13);
    assert!(unknown.stderr().contains("certificate"), "{}", unknown.text());

    let settings = "    ca: { file: ops/authority.pem }
    client-certificate: { certificate: { file: ops/client.pem }, key: { env: CLIENT_KEY } }
";
    let clone = shop.work_on("dev");
    let text = fs::read_to_string(clone.path().join("orchestrator.yaml")).unwrap();
    let text = text.replace("images:\n", &format!("  \"{address}\":\n{settings}images:\n"));
    clone.write("orchestrator.yaml", text).write("ops/authority.pem", AUTHORITY).write("ops/client.pem", CLIENT);
    shop.commit_and_push("dev", "the registry's authority and our certificate");
    // Files are those of the commit, whatever lies in the work tree.
    clone.write("ops/authority.pem", "not the one that was committed");

    let no_pem = shop.orchestrator("config check").run().expect_code(2);
    assert!(no_pem.text().contains(".ca`: `ops/authority.pem` holds no certificate"), "{}", no_pem.text());
    let unset = shop.ends(line, 2);
    assert!(unset.stderr().contains("`CLIENT_KEY`, which is not set"), "{}", unset.text());
    let broken = shop.orchestrator(line).env("CLIENT_KEY", "canary-key").run().expect_code(2);
    assert!(broken.stderr().contains("`ops/client.pem` holds no certificate with its key"), "{}", broken.text());
    assert!(!broken.text().contains("canary-key"));
    let made = shop.orchestrator(line).env("CLIENT_KEY", CLIENT_KEY).run().expect_code(0);
    assert!(made.stdout().contains("registry.example/shop/cart"), "{}", made.text());
}

const SUITES_OF_STAGING: &str = "    suites: [system]\n    promote";

#[test]
fn t48_a_pull_request_gives_no_suite_what_its_base_calls_a_kubeconfig() {
    let keys = "    suites: [system]\n    kubeconfig: { env: STAGING_KUBECONFIG }\n    promote";
    let configuration = CONFIGURATION.replace(SUITES_OF_STAGING, keys);
    let shop = Shop::with(&configuration);
    shop.merge_dev();

    // The change forgets what the variable holds, and gives it to the suite of pull requests.
    let given = configuration
        .replace("lint, \"{mode}\"], env: [SHOP_STATE]", "lint, \"{mode}\"], env: [SHOP_STATE, STAGING_KUBECONFIG]");
    let clone = shop.work_on("dev");
    clone.write("orchestrator.yaml", given.clone());
    shop.commit_and_push("dev", "a suite that reads the cluster");
    let refused = shop.ends("config check --rev origin/dev", 2);
    assert!(refused.text().contains("`STAGING_KUBECONFIG` holds a kubeconfig"), "{}", refused.text());

    clone.write("orchestrator.yaml", given.replace("env: STAGING_KUBECONFIG }", "env: KUBECONFIG_OF_STAGING }"));
    shop.commit_and_push("dev", "another name for the kubeconfig");
    shop.ok("config check --rev origin/dev");
    let number = shop.open();
    let test = shop.orchestrator(&format!("test run pull-request --pr {number}")).env("STAGING_KUBECONFIG", "secret");
    let refused = test.run().expect_code(20);
    let told = "lint: it is given `STAGING_KUBECONFIG`, which is a login of orchestrator in the base branch";
    assert!(refused.text().contains(told), "{}", refused.text());
}

const TOKEN: &str = "canary-token-of-the-cluster";

/// A kubeconfig with the token above, which is never asked.
const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: shop
contexts: [{ name: shop, context: { cluster: shop, user: shop } }]
clusters: [{ name: shop, cluster: { server: \"https://127.0.0.1:1\" } }]
users: [{ name: shop, user: { token: canary-token-of-the-cluster } }]
";

#[test]
fn t48_the_suite_of_a_pull_request_shows_no_login_of_its_base_whatever_its_own_file_names() {
    let names = |kubeconfig: &str| {
        let keys = format!(
            "    suites: [system]\n    requires: {{ pull-request: pull-request }}\n    kubeconfig: {kubeconfig}\n    promote"
        );
        CONFIGURATION.replace(SUITES_OF_STAGING, &keys)
    };
    for (base, own) in [
        ("{ file: ~/.kube/shop }", "{ file: ~/.kube/shop }"),
        ("{ file: ~/.kube/shop }", "{ file: ~/.kube/other }"),
        ("{ file: ~/.kube/shop }", "{ env: OTHER_KUBECONFIG }"),
        ("{ env: SHOP_KUBECONFIG }", "{ env: OTHER_KUBECONFIG }"),
        ("{ env: SHOP_KUBECONFIG }", "{ file: ~/.kube/other }"),
    ] {
        let shop = Shop::with(&names(base));
        shop.merge_dev();
        let folder = shop.join("home/.kube");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("shop"), KUBECONFIG).unwrap();
        fs::set_permissions(folder.join("shop"), fs::Permissions::from_mode(0o600)).unwrap();

        let prints = "#!/bin/sh\nsed 's/^/printed: /' \"$SHOP_STATE/.kube/shop\"\nexit 1\n";
        let clone = shop.work_on("dev");
        clone.write("orchestrator.yaml", names(own)).write_executable("tests/check", prints);
        shop.commit_and_push("dev", "another place for the kubeconfig, and a suite that prints the one before");
        let number = shop.open();
        for format in ["human", "json"] {
            let line = format!("--format {format} test run pull-request --pr {number}");
            let test = shop.orchestrator(&line).env("SHOP_KUBECONFIG", KUBECONFIG).run().expect_code(1);
            let text = test.text();
            assert!(text.contains("printed: ") && text.contains("***"), "{base} {own}: {text}");
            assert!(!text.contains(TOKEN), "{base} {own}: {text}");
        }
        let stored = shop.superproject().git(&["grep", "--no-color", "-h", "", "orchestrator/ledger"]);
        assert!(stored.contains("printed: ") && !stored.contains(TOKEN), "{base} {own}: {stored}");
    }
}
