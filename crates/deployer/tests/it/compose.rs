//! Override files for `docker compose`.

use std::collections::BTreeMap;

use deployer::{ComposeError, ComposeWarning, ImagePin, compose_override};
use lock_model::Digest;

/// What the compose file of a shop has: anchors, a merge key, locked services and others.
const FILE: &str = r#"x-defaults: &defaults
  DB_PORT: 5432
  PORT: 8080
services:
  postgres:
    image: postgres:16-alpine
  cache:
    image: redis@sha256:1111111111111111111111111111111111111111111111111111111111111111
  cart:
    image: shop-cart:test-local
    build: ./cart
    environment: { <<: *defaults, DB_NAME: cart }
    pre_start:
    - { image: "registry.example/shop/migrations:1", command: [up] }
    post_start:
    - { command: [warm] }
    volumes:
    - ./data:/data
    - { type: image, source: "registry.example/shop/fixtures:1", target: /fixtures }
  web:
    image: shop-web:test-local
  tool:
    build: ./tool
"#;

fn pins(names: &[&str]) -> BTreeMap<String, ImagePin> {
    let pin = |name: &str| {
        let repository = format!("registry.example/shop/{name}").try_into().unwrap();
        ImagePin::new(repository, Digest::of(name.as_bytes())).with_tag("main-1111111".try_into().unwrap())
    };
    names.iter().map(|name| ((*name).to_owned(), pin(name))).collect()
}

#[test]
fn b16_b10_an_override_has_images_and_nothing_else() {
    let made = compose_override(FILE.as_bytes(), "compose.yml", &pins(&["cart", "web", "mail"])).unwrap();
    let (cart, web) = (Digest::of(b"cart"), Digest::of(b"web"));
    assert_eq!(
        made.text,
        format!(
            "services:\n  cart:\n    image: registry.example/shop/cart:main-1111111@{cart}\n  web:\n    \
             image: registry.example/shop/web:main-1111111@{web}\n"
        )
    );
    assert_eq!(made.pinned.keys().collect::<Vec<_>>(), ["cart", "web"]);
}

#[test]
fn b16_what_an_override_cannot_reach_is_named() {
    let made = compose_override(FILE.as_bytes(), "compose.yml", &pins(&["cart", "web", "mail"])).unwrap();
    let said: Vec<String> = made.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    `postgres` runs `postgres:16-alpine`, which no digest fixes
    `tool` is built here: the lock has no image for it
    `cart` has `build:` as well: with `--build` it is not the locked image
    `cart` runs `registry.example/shop/migrations:1` in `pre_start`, which an override file cannot replace
    `cart` mounts the image `registry.example/shop/fixtures:1`, which no digest fixes
    `mail` is locked, and no service of the file
    ");
    let with_include = format!("include: [other.yml]\n{FILE}");
    let made = compose_override(with_include.as_bytes(), "compose.yml", &pins(&["cart"])).unwrap();
    assert!(made.warnings.contains(&ComposeWarning::Included));
}

#[test]
fn b26_an_override_that_changes_nothing_is_an_error() {
    let error = compose_override(FILE.as_bytes(), "compose.yml", &pins(&["shop-cart"])).unwrap_err();
    assert!(matches!(error, ComposeError::NothingLocked { .. }), "{error}");
    assert!(error.to_string().contains("`cart`") && error.to_string().contains("`shop-cart`"), "{error}");
}

#[test]
fn t39_what_is_no_compose_file_is_refused_with_its_line() {
    let refused = |text: &[u8]| compose_override(text, "compose.yml", &pins(&["cart"])).unwrap_err().to_string();
    assert!(refused(b"services:\n  cart: {}\n  cart: {}\n").contains("line 3"));
    for text in [&b""[..], b"[]", b"services: []", b"version: 3"] {
        assert!(refused(text).contains("no `services:`"), "{}", refused(text));
    }
    assert!(refused(b"\xff").contains("UTF-8"));
    let mut bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let more = format!(
            "x{level}: &x{level} [*x{before}, *x{before}, *x{before}, *x{before}, *x{before}, *x{before}, *x{before}, *x{before}]\n"
        );
        bomb += &more;
    }
    bomb += "services: { cart: { image: x } }\n";
    let error = refused(bomb.as_bytes());
    assert!(!error.contains("no `services:`"), "{error}");
}

#[test]
fn b16_a_service_that_is_built_at_every_start_runs_the_locked_image_all_the_same() {
    for policy in ["build", "${POLICY:-build}"] {
        let file = format!(
            "services:\n  cart:\n    build: .\n    pull_policy: \"{policy}\"\n  web: {{ build: ., pull_policy: always }}\n"
        );
        let made = compose_override(file.as_bytes(), "compose.yml", &pins(&["cart", "web"])).unwrap();
        let cart = made.text.split("  web:").next().unwrap();
        assert!(
            cart.contains("    build: !reset null\n") && cart.contains("    pull_policy: missing\n"),
            "{}",
            made.text
        );
        assert!(!made.text.split("  web:").last().unwrap().contains("build"), "{}", made.text);
        let warnings: Vec<String> = made.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains("`cart` is not built here any more")), "{warnings:?}");
        assert!(warnings.iter().any(|warning| warning.contains("`web` has `build:` as well")), "{warnings:?}");
    }
}

#[test]
fn b16_what_a_service_extends_is_part_of_it() {
    let file = "services:
  base: { build: ., pull_policy: build, volumes: [{ type: image, source: x, target: /x }] }
  cart: { extends: base }
  web: { extends: { service: cart }, pull_policy: missing }
  mail: { extends: { file: other.yml, service: mail } }
  loop: { extends: loop, image: x }
";
    let made = compose_override(file.as_bytes(), "compose.yml", &pins(&["cart", "web", "mail", "loop"])).unwrap();
    let part = |name: &str| {
        let rest = made.text.split_once(&format!("  {name}:\n")).unwrap().1;
        rest.lines().take_while(|line| line.starts_with("    ")).collect::<String>()
    };
    for (name, is_reset) in [("cart", true), ("web", false), ("mail", true), ("loop", false)] {
        let part = part(name);
        assert_eq!(part.contains("build: !reset null") && part.contains("pull_policy: missing"), is_reset, "{part}");
    }
    let said: Vec<String> = made.warnings.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    for told in [
        "`cart` is not built here any more",
        "`web` has `build:` as well",
        "`mail` extends a service of `other.yml`, which was not looked at",
        "`cart` mounts the image `x`",
    ] {
        assert!(said.contains(told), "`{told}` is not in:\n{said}");
    }
}
