use lock_model::{Change, Content, Lock, LockDiff, LockParts, LockedManifests, ThirdPartySource, diff};

use crate::sample::{digest, golden, golden_parts};

fn after(change: impl FnOnce(&mut LockParts)) -> LockDiff {
    let mut parts = golden_parts();
    change(&mut parts);
    diff(&golden(), &Lock::new(parts).unwrap())
}

/// One line a field: name, whether it is pinned, before and after.
fn lines<T>(change: &Change<T>) -> Vec<String> {
    let Change::Changed { fields } = change else { panic!("not changed but added or removed") };
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let line = |field: &lock_model::FieldChange| {
        let sign = if field.pinned { "!" } else { " " };
        format!("{sign}{} {} > {}", field.field, or_none(&field.before), or_none(&field.after))
    };
    fields.iter().map(line).collect()
}

#[test]
fn the_same_lock_does_not_differ() {
    let same = diff(&golden(), &golden());
    assert!(same.is_empty() && !same.is_pinned());
    let elsewhere = after(|parts| parts.source.pull_request = Some(8));
    assert!(elsewhere.is_empty(), "the source is not compared");
}

#[test]
fn a_new_image_says_what_exactly_changed() {
    let diff = after(|parts| {
        let cart = parts.services.get_mut("cart").unwrap();
        cart.git.commit = "9".repeat(40).parse().unwrap();
        let Content::Image(image) = &mut cart.content else { panic!("the cart has an image") };
        image.tag = "main-9999999".parse().unwrap();
        image.digest = digest('9');
        image.platforms.remove("linux/arm64");
        cart.metadata.as_mut().unwrap().version = "1.5.0".parse().unwrap();
        cart.metadata.as_mut().unwrap().api.clear();
    });
    assert!(diff.is_pinned());
    assert_eq!(diff.services.len(), 1);
    let eights = digest('8');
    assert_eq!(
        lines(&diff.services["cart"]),
        [
            format!("!git.sha {} > {}", "1".repeat(40), "9".repeat(40)),
            "!image.tag main-1111111 > main-9999999".to_owned(),
            format!("!image.digest {} > {}", digest('2'), digest('9')),
            format!(" image.platforms.linux/arm64 {} > -", digest('7')),
            " metadata.version 1.4.0 > 1.5.0".to_owned(),
            format!(" metadata.api.openapi.yaml openapi {eights} > -"),
        ]
    );
    assert_eq!(diff.services["cart"].field("image.tag").unwrap().after.as_deref(), Some("main-9999999"));
}

#[test]
fn p5_a_service_that_loses_its_image_changes_its_kind() {
    let diff = after(|parts| parts.services.get_mut("cart").unwrap().content = Content::Configuration);
    let lines = lines(&diff.services["cart"]);
    assert_eq!(lines[0], "!kind image > configuration");
    assert!(lines.iter().skip(1).all(|line| line.ends_with("> -")), "{lines:#?}");
}

#[test]
fn services_come_and_go() {
    let there = after(|parts| {
        let grafana = parts.services.remove("grafana").unwrap();
        parts.services.insert("loki".parse().unwrap(), grafana);
    });
    assert!(matches!(there.services["grafana"], Change::Removed { .. }));
    assert!(matches!(there.services["loki"], Change::Added { .. }));
    assert!(there.is_pinned());
}

#[test]
fn third_parties_differ_by_chart_and_image() {
    let diff = after(|parts| {
        let redis = parts.third_party.get_mut("redis").unwrap();
        redis.images.insert("docker.io/bitnami/redis".parse().unwrap(), digest('f'));
        redis.source = ThirdPartySource::Manifests(LockedManifests::new(
            "grafana".parse().unwrap(),
            "redis.yaml".parse().unwrap(),
            digest('4'),
        ));
    });
    let fields: Vec<String> = lines(&diff.third_party["redis"])
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(fields.len(), 7);
    assert!(diff.is_pinned() && diff.services.is_empty());
}

#[test]
fn exceptions_are_compared_whole() {
    let exception = lock_model::Exception::new(
        "left-out".parse().unwrap(),
        "services/chatbot".parse().unwrap(),
        "no image yet".parse().unwrap(),
        "team-cart".parse().unwrap(),
        "2026-12-31".parse().unwrap(),
    );
    let diff = after(|parts| parts.exceptions.push(exception.clone()));
    assert_eq!(diff.exceptions_added, [exception]);
    assert!(!diff.is_empty() && !diff.is_pinned());
}

#[test]
fn the_json_form_says_which_kind_of_change() {
    let diff = after(|parts| {
        drop(parts.services.remove("grafana"));
        parts.services.get_mut("cart").unwrap().path = "apps/cart".parse().unwrap();
    });
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["services"]["grafana"]["change"], "removed");
    assert_eq!(json["services"]["grafana"]["entry"]["path"], "infra/grafana");
    assert_eq!(
        json["services"]["cart"],
        serde_json::json!({ "change": "changed", "fields": [
            { "field": "path", "pinned": true, "before": "services/cart", "after": "apps/cart" },
        ] })
    );
}
