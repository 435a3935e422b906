//! Logins of a real registry through the binary: found where people keep them, said by name, never shown.

use std::fs;

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

    // A checkout chooses no logins and no programs (T22).
    let inside = shop.clone_folder().path().join("docker");
    fs::create_dir_all(&inside).unwrap();
    fs::copy(folder.join("config.json"), inside.join("config.json")).unwrap();
    let refused = shop.orchestrator(line).env("DOCKER_CONFIG", &inside).run().expect_code(2);
    assert!(refused.stderr().contains("lies inside the work tree"), "{}", refused.text());
    silent(&refused);
}
