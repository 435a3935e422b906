//! Size, depth and time: hostile files end at once, large ones are no burden.

use std::time::{Duration, Instant};

use lock_model::{Lock, ParseErrorKind};

use crate::sample::golden_parts;

/// Far above what an unoptimised build needs, far below what an expanded bomb would.
const AT_ONCE: Duration = Duration::from_secs(1);

fn kind_of(text: &[u8]) -> ParseErrorKind {
    let start = Instant::now();
    let kind = Lock::parse(text, "bomb.yaml").unwrap_err().kind();
    assert!(start.elapsed() < AT_ONCE, "took {:?}", start.elapsed());
    kind
}

#[test]
fn t39_an_alias_bomb_is_refused_at_once() {
    let mut text = "version: 1\na0: &a0 [x, x]\n".to_owned();
    for level in 1..1000 {
        let below = level - 1;
        text.push_str(
            &["a", &level.to_string(), ": &a", &level.to_string(), " [*a", &below.to_string(), "]\n"].concat(),
        );
    }
    assert_eq!(kind_of(text.as_bytes()), ParseErrorKind::Unreadable);
}

#[test]
fn t39_nesting_is_refused_at_once() {
    for open in ["[", "{a: ", "- ", "? ", "- - ", "&a ["] {
        assert_eq!(
            kind_of(format!("version: {}", open.repeat(100_000)).as_bytes()),
            ParseErrorKind::Unreadable,
            "{open}"
        );
    }
    let mut deep = String::new();
    for level in 0..500 {
        deep.push_str(&" ".repeat(level));
        deep.push_str("a:\n");
    }
    assert_eq!(kind_of(deep.as_bytes()), ParseErrorKind::Unreadable);
}

#[test]
fn t39_the_size_is_judged_first() {
    assert_eq!(kind_of(&vec![b'['; (20 << 20) + 1]), ParseErrorKind::TooLarge);
    assert_eq!(kind_of(&vec![0xff; (20 << 20) + 1]), ParseErrorKind::TooLarge);
    let largest = Lock::parse(&vec![0xff; 20 << 20], "largest.yaml").unwrap_err();
    assert_eq!(largest.kind(), ParseErrorKind::NotText);
}

#[test]
fn t39_too_many_values_are_refused() {
    assert_eq!(
        Lock::parse("- a\n".repeat(1_000_001).as_bytes(), "bomb.yaml").unwrap_err().kind(),
        ParseErrorKind::TooLarge
    );
    // The list is a value as well: one fewer is read, and is no lock for another reason.
    assert_eq!(
        Lock::parse("- a\n".repeat(999_999).as_bytes(), "list.yaml").unwrap_err().kind(),
        ParseErrorKind::Invalid
    );
}

#[test]
fn t39_a_repeated_key_is_refused_wherever_it_stands() {
    for text in ["a: 1\na: 2\n", "a: 1\nb: 2\nb: 3\n", "b: 1\na: 2\nb: 3\n", "a: 1\na: 2\na: 3\n"] {
        let error = Lock::parse(text.as_bytes(), "twice.yaml").unwrap_err();
        assert!(error.to_string().contains("stands here twice"), "{text}: {error}");
    }
}

#[test]
fn thousands_of_services_are_no_burden() {
    let mut parts = golden_parts();
    let cart = parts.services["cart"].clone();
    for number in 0..4_000 {
        let mut service = cart.clone();
        service.path = format!("services/cart-{number}").parse().unwrap();
        parts.services.insert(format!("cart-{number}").parse().unwrap(), service);
    }
    let lock = Lock::new(parts).unwrap();
    let start = Instant::now();
    let text = lock.to_yaml();
    assert_eq!(Lock::parse(text.as_bytes(), "large.yaml").unwrap(), lock);
    // An optimised build does 10,000 services in half a second; this bound only finds what grows with the square.
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
}
