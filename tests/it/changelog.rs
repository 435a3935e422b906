//! The commits between two locks, in the comment of a pull request and in `lock diff --commits`.

use std::net::TcpListener;

use test_support::Repository;

use crate::shop::{Built, CONFIGURATION, Shop, manifest};
use crate::stops::proven;

/// The only comment of a pull request.
fn comment(shop: &Shop, number: u64) -> String {
    let [comment] = &shop.comments(number)[..] else { panic!("one comment: {:?}", shop.comments(number)) };
    comment.clone()
}

/// Commits to a service by somebody, with any words.
fn say(repository: &Repository, author: &str, message: &str) -> String {
    let environment = [("GIT_AUTHOR_NAME", author)];
    let arguments = ["commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message];
    let answer = repository.try_git_with(&arguments, &environment);
    assert!(answer.success(), "{message:?}: {answer:?}");
    repository.head()
}

/// A pull request that moves cart to a commit, whose image is there.
fn move_cart(shop: &Shop, commit: &str) -> u64 {
    shop.build_image("shop-cart", commit, commit);
    shop.push_to_dev(&[("services/shop-cart", commit)], "cart moves");
    shop.open()
}

#[test]
fn t37_t36_subjects_and_authors_make_nothing_of_the_comment() {
    let shop = proven();
    let cart = shop.service("shop-cart");
    let mut last = String::new();
    for (_, hostile) in test_support::HOSTILE_TEXT {
        // Git takes no control characters at the ends of a name, and no line end inside.
        last = say(&cart, &format!("x{}x", hostile.replace('\n', " ")), hostile);
    }
    for word in ["closes #1 and GH-2, thanks @ana", "see https://evil.example/x and www.evil.example"] {
        last = say(&cart, "@lead", word);
    }
    let number = move_cart(&shop, &last);
    let published = shop.json(&format!("lock publish --pr {number}"), 0);
    let count = test_support::HOSTILE_TEXT.len() + 2;
    let commits = &published["commits"]["shop-cart"];
    assert_eq!(commits["direction"], "forward");
    assert_eq!(commits["added"]["count"], count);
    assert_eq!(commits["added"]["newest"].as_array().unwrap().len(), 15);
    assert_eq!(published["risks"], serde_json::json!([]), "a step forward is nothing unusual");
    let text = comment(&shop, number);
    assert!(text.contains(&format!("<details><summary><code>shop-cart</code>: {count} commits</summary>")), "{text}");
    assert!(text.contains(&format!("- and {} more\n", count - 15)), "{text}");
    assert_eq!(text.matches("<!--").count(), 1, "one marker, ours: {text}");
    assert_eq!((text.matches("<details>").count(), text.matches("</details>").count()), (1, 1), "{text}");
    assert!(!text.contains("<img") && !text.contains("]("), "{text}");
    for never in ["GH-2", "https://evil", "www.evil", "**APPROVED"] {
        assert!(!text.contains(never), "{never}: {text}");
    }
    for (index, character) in text.char_indices() {
        let next = text[index + character.len_utf8()..].chars().next();
        assert!(character == '\n' || !character.is_control(), "{character:?}");
        assert!(!matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), "{character:?}");
        assert!(character != '@' || next == Some('\u{200b}'), "a mention: {text}");
        assert!(character != '#' || matches!(next, Some('\u{200b}' | '#' | ' ')), "a reference: {text}");
    }
    // The same for a terminal.
    std::fs::write(
        shop.join("new.yaml"),
        std::fs::read(shop.join(&format!("forge/artefacts/pull-{number}/lock.yaml"))).unwrap(),
    )
    .unwrap();
    let diff = shop.ok("lock diff staging ../new.yaml --commits");
    assert!(diff.stdout().contains(&format!("shop-cart: {count} commits\n  + {} see https", &last[..12])), "{diff}");
    assert!(!diff.stdout().contains(|c: char| c.is_control() && c != '\n'), "{diff}");
    assert!(!shop.ok("lock diff staging ../new.yaml").stdout().contains("see https"), "nobody asked for commits");
}

#[test]
fn t8_a_step_back_and_a_step_aside_are_shown_first() {
    let shop = proven();
    let cart = shop.service("shop-cart");
    let first = cart.head();
    let (second, third) = (say(&cart, "Ben", "two"), say(&cart, "Ben", "three"));
    let number = move_cart(&shop, &third);
    shop.check(number);
    shop.ok(&format!("--as dana forge pr merge {number}"));
    shop.ok("run staging");

    let number = move_cart(&shop, &first);
    let published = shop.json(&format!("lock publish --pr {number}"), 0);
    assert_eq!(published["risks"][0]["risk"], "backward", "{published:#}");
    assert_eq!(published["commits"]["shop-cart"]["removed"]["count"], 2);
    assert!(published["warnings"][0].as_str().unwrap().starts_with("`shop-cart` goes back: "), "{published:#}");
    let text = comment(&shop, number);
    assert!(text.contains("<code>shop-cart</code>: goes back by 2 commits"), "{text}");
    let places = ["| `shop-cart` |", "### Look at these first", "`shop-cart` **goes back**", "### Commits"];
    let places: Vec<usize> = places.iter().map(|place| text.find(place).unwrap_or_else(|| panic!("{text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains(&format!("- `{}` three (Ben, ", &third[..7])), "{text}");

    // Aside: a sibling of what is locked; and history of its own.
    cart.git(&["switch", "--quiet", "--create", "aside", &second]);
    let aside = say(&cart, "Chloe", "aside");
    move_cart_on(&shop, &aside);
    let published = shop.json(&format!("lock publish --pr {number}"), 0);
    assert_eq!(published["risks"][0]["risk"], "diverged", "{published:#}");
    assert!(comment(&shop, number).contains("<code>shop-cart</code>: 1 commit, and 1 is gone"));
    cart.git(&["switch", "--quiet", "--orphan", "anew"]);
    cart.write("deploy/app.yaml", manifest("shop-cart"));
    let anew = cart.commit("anew");
    move_cart_on(&shop, &anew);
    let published = shop.json(&format!("lock publish --pr {number}"), 0);
    assert_eq!(published["risks"][0]["risk"], "unrelated", "{published:#}");
}

fn move_cart_on(shop: &Shop, commit: &str) {
    shop.build_image("shop-cart", commit, commit);
    shop.push_to_dev(&[("services/shop-cart", commit)], "cart moves on");
}

#[test]
fn commits_that_cannot_be_had_are_said_and_the_lock_is_published() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hosts = format!("[forge.example, \"{}\", \"{closed}\"]", silent.local_addr().unwrap());
    let shop = Shop::with(&CONFIGURATION.replace("suites:\n", &format!("submodules: {{ allow: {hosts} }}\nsuites:\n")));
    shop.merge_dev();
    shop.ok("run staging");
    shop.work_on("dev");
    for (path, host) in [("services/shop-cart", closed), ("services/shop-web", silent.local_addr().unwrap())] {
        let key = format!("submodule.{path}.url");
        shop.clone_folder().git(&["config", "--file", ".gitmodules", &key, &format!("https://{host}/x.git")]);
        let commit = shop.new_version(path.rsplit('/').next().unwrap(), 2, Built::Yes);
        shop.clone_folder().gitlink(path, &commit);
    }
    shop.commit_and_push("dev", "hosts that are away");
    let number = shop.open();
    // Half of what is left is spent on waiting for a host that says nothing.
    let published = shop.json(&format!("--deadline 20s lock publish --pr {number}"), 0);
    let text = comment(&shop, number);
    for service in ["shop-cart", "shop-web"] {
        let unknown = published["commits"][service]["unknown"].as_str().unwrap_or_else(|| panic!("{published:#}"));
        assert!(unknown.starts_with("the history of `https://127.0.0.1:"), "{unknown}");
        assert!(!unknown.contains('\n'), "{unknown:?}");
        assert!(text.contains(&format!("\n- `{service}`: commits are not known: the history of")), "{text}");
        assert!(text.contains(&format!("`{service}` **goes forward or back, which is not known**")), "{text}");
    }
    let head = shop.head("dev").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "success");
}
