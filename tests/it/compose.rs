//! The locked images for `docker compose`.

use std::fs;

use crate::refusals::refuses;
use crate::stops::released;

const FILE: &str = "services:\n  cart: { image: \"shop-cart:test-local\" }\n  web: { build: ../web, image: web }\n  \
                    db: { image: \"postgres:16\" }\n";

#[test]
fn b16_b10_a_compose_file_runs_what_is_locked() {
    let shop = released();
    fs::write(shop.join("shop/compose.yml"), FILE).unwrap();
    let made = shop.ok("lock compose compose.yml --lock main");
    for service in ["cart", "web"] {
        let image = shop.deployed_image("production", &format!("shop-{service}")).unwrap();
        assert!(made.stdout().contains(&format!("  {service}:\n    image: {image}\n")), "{}", made.text());
    }
    assert!(!made.stdout().contains("postgres"), "images of the lock and nothing else: {}", made.text());
    assert!(made.stderr().contains("`db` runs `postgres:16`, which no digest fixes"), "{}", made.text());
    assert!(made.stderr().contains("`web` has `build:` as well"), "{}", made.text());
    let said = shop.ok("lock compose compose.yml --lock main --output override.yml");
    assert_eq!(fs::read_to_string(shop.join("shop/override.yml")).unwrap(), made.stdout());
    assert!(said.stdout().contains("docker compose -f compose.yml -f override.yml up"), "{}", said.text());

    // Beside a lock in a file, the configuration is that of `HEAD`.
    let lock = shop.superproject().git(&["show", "main:locks/lock.yaml"]);
    fs::write(shop.join("shop/locked.yaml"), lock.trim_end().to_owned() + "\n").unwrap();
    let file = shop.join("shop/orchestrator.yaml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "# edited\n").unwrap();
    let warned = shop.ok("lock compose compose.yml --lock locked.yaml");
    assert_eq!(warned.stdout(), made.stdout());
    assert!(warned.stderr().contains("commit it for it to count"), "{}", warned.text());
    shop.clone_folder().git(&["checkout", "--", "orchestrator.yaml"]);

    let words = ["no service of `compose.yml` is in the lock", "`cart`", "`shop-cart`", "hint: `--service TEMPLATE`"];
    refuses(&shop, "lock compose compose.yml --lock main --service {name}", 2, &words);
    refuses(&shop, "lock compose compose.yml --lock main --service same", 2, &["two services of the lock"]);
    refuses(&shop, "lock compose nothing.yml --lock main", 2, &["`nothing.yml` cannot be read"]);
    refuses(&shop, "lock compose - --lock -", 2, &["cannot both be standard input"]);
    fs::write(shop.join("shop/broken.yml"), "services:\n\tcart: {}\n").unwrap();
    let broken = shop.orchestrator("lock compose broken.yml --lock main").run().expect_code(2);
    assert!(
        broken.stderr().contains("hint: correct the file") && !broken.stderr().contains("--service"),
        "{}",
        broken.text()
    );
}
