//! Locks of the older pipeline.

use lock_model::{LegacyLock, ParseErrorKind};

/// Such a lock; services as `(name, path, sha digit, tag)`.
fn legacy(services: &[(&str, &str, char, &str)]) -> String {
    let services: Vec<String> = services
        .iter()
        .map(|(name, path, digit, tag)| {
            let sha = digit.to_string().repeat(40);
            format!(
                r#"    "{name}": {{
      "git_sha": "{sha}",
      "image": {{ "repository": "ghcr.io/shop/{name}", "tag": "{tag}" }},
      "submodule_path": "{path}"
    }}"#
            )
        })
        .collect();
    format!(
        r#"{{
  "metadata": {{ "commit": "{}", "generated_at": "2026-01-05T09:00:00+00:00", "generator": "locks@v1", "source_branch": "HEAD" }},
  "services": {{
{}
  }}
}}
"#,
        "e".repeat(40),
        services.join(",\n")
    )
}

#[test]
fn a_legacy_lock_is_read_by_path() {
    let text =
        legacy(&[("shop-cart", "services/shop-cart", '1', "main-1111111"), ("bus", "infra/bus", '2', "2222222")]);
    let lock = LegacyLock::parse(text.as_bytes(), "locks/lock-pr-7.yml").unwrap();
    let paths: Vec<&str> = lock.services.keys().map(lock_model::TreePath::as_str).collect();
    assert_eq!(paths, ["infra/bus", "services/shop-cart"]);
    assert_eq!(lock.commit, "e".repeat(40));
    assert_eq!(lock.services.values().next().unwrap().repository.as_str(), "ghcr.io/shop/bus");
}

#[test]
fn p30_a_lost_quote_is_broken_json_and_not_lenient_yaml() {
    let text = legacy(&[("cart", "services/cart", '1', "main-1111111")]).replace("main-1111111\"", "main-1111111");
    let error = LegacyLock::parse(text.as_bytes(), "lock-pr-12.yml").unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::Unreadable, "{error}");
    // The text runs on to the end of line 6, and the line break is what cannot be in it.
    assert_eq!(error.line(), Some(7), "{error}");
    // And with the quote inside the value, as a lenient reader would have taken it.
    let text = legacy(&[("cart", "services/cart", '1', r#"main-1111111\""#)]);
    let error = LegacyLock::parse(text.as_bytes(), "lock-pr-12.yml").unwrap_err();
    assert_eq!((error.kind(), error.path().as_str()), (ParseErrorKind::Invalid, "services.cart.image.tag"), "{error}");
}

#[test]
fn p3_a_tag_of_another_commit_or_service_is_a_hand_edit_and_all_of_them_are_named() {
    let text = legacy(&[
        ("cart", "services/cart", '1', "main-2222222"),
        ("bus", "services/cart", '2', "sha-2222222"),
        ("chat", "../chat", '3', "main-3333333"),
    ]);
    let error = LegacyLock::parse(text.as_bytes(), "lock.yml").unwrap_err();
    let paths: Vec<String> = error.problems().iter().map(lock_model::Problem::path).collect();
    assert_eq!(paths, ["services.cart.image.tag", "services.cart.submodule_path", "services.chat.submodule_path"]);
    assert!(error.problems().iter().all(|problem| problem.line().is_some()), "{error}");
}

#[test]
fn p6_a_tag_of_digits_alone_stays_the_text_that_it_is() {
    let text = legacy(&[("cart", "services/cart", '2', "2222222")]);
    let lock = LegacyLock::parse(text.as_bytes(), "lock.yml").unwrap();
    assert_eq!(lock.services.values().next().unwrap().tag.as_str(), "2222222");
    // As a number it is no tag at all.
    let error = LegacyLock::parse(text.replace("\"2222222\"", "2222222").as_bytes(), "lock.yml").unwrap_err();
    assert_eq!((error.kind(), error.path().as_str()), (ParseErrorKind::Invalid, "services.cart.image.tag"), "{error}");
}

#[test]
fn p4_what_is_no_such_lock_is_refused() {
    let good = legacy(&[("cart", "services/cart", '1', "main-1111111")]);
    for (change, expected) in [
        (good.replace("\"source_branch\"", "\"branch\""), "unknown field `branch`"),
        (good.replace("\"git_sha\"", "\"sha\""), "unknown field `sha`"),
        (good.replace("\"services\": {", "\"services\": {}, \"more\": {"), "unknown field `more`"),
        (legacy(&[]), "there is no service"),
        (
            legacy(&[("cart", "services/a", '1', "1111111"), ("cart", "services/b", '2', "2222222")]),
            "`cart` stands here twice",
        ),
        ("[]".to_owned(), "invalid"),
        (String::new(), "EOF"),
        (format!("{good}{good}"), "trailing characters"),
    ] {
        let error = LegacyLock::parse(change.as_bytes(), "lock.yml").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(LegacyLock::parse(&large, "lock.yml").unwrap_err().kind(), ParseErrorKind::TooLarge);
    assert_eq!(LegacyLock::parse(&[0xff], "lock.yml").unwrap_err().kind(), ParseErrorKind::NotText);
}

#[test]
fn what_is_json_of_another_shape_is_refused_in_words_of_json() {
    let refused = |text: &str| LegacyLock::parse(text.as_bytes(), "lock.yml").unwrap_err().to_string();
    assert!(refused("[]").contains("invalid type: sequence, expected a map"), "{}", refused("[]"));
    let no_image = legacy(&[("cart", "services/cart", '1', "main-1111111")]);
    let image = r#"{ "repository": "ghcr.io/shop/cart", "tag": "main-1111111" }"#;
    assert!(refused(&no_image.replace(image, "null")).contains("invalid type: null, expected a map"));
    assert!(refused("\u{feff}{}").contains("byte order mark"));
}
