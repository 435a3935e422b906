//! What somebody at a terminal sees, and what everybody else gets.

use std::net::TcpListener;

use crate::shop::{Built, CONFIGURATION, Shop};
use crate::stops::locked;

/// What draws: moves of the cursor, and colours.
const ESCAPE: char = '\u{1b}';

#[test]
fn progress_is_a_bar_on_a_terminal_and_lines_elsewhere() {
    let shop = locked();
    let line = "lock generate --rev dev";
    let plain = shop.ok(line);
    assert_eq!(plain.stderr(), "resolving 2 images\n");

    let shown = shop.orchestrator(line).on_terminal().run().expect_code(0);
    assert!(shown.stderr().contains("resolving [") && shown.stderr().contains("/2"), "{}", shown.text());
    // The bar is wiped at the end: nothing stays but what is to be read.
    let last = shown.stderr().rsplit('\r').next().unwrap();
    assert!(!last.contains("resolving"), "{last:?}");
    assert_eq!(shown.stdout(), plain.stdout(), "the result is the same");

    let without_colours = shop.orchestrator(line).on_terminal().env("NO_COLOR", "1").run().expect_code(0);
    assert!(shown.stderr().contains("\u{1b}[36m"), "{:?}", shown.stderr());
    assert!(!without_colours.stderr().contains("\u{1b}[36m"), "{:?}", without_colours.stderr());

    for (name, value) in [("TERM", "dumb"), ("CI", "true")] {
        let dull = shop.orchestrator(line).on_terminal().env(name, value).run().expect_code(0);
        assert!(!dull.stderr().contains(ESCAPE), "{name}: {:?}", dull.stderr());
        assert!(dull.stderr().contains("resolving 2 images"), "{name}: {:?}", dull.stderr());
    }
    let machine = shop.orchestrator(&format!("--format json {line}")).on_terminal().run().expect_code(0);
    assert_eq!(machine.stderr(), "");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let shop = locked();
    for line in ["lock generate --rev dev", "config show --rev dev", "--help"] {
        let ended = shop.orchestrator(line).with_closed_stdout().run();
        assert_eq!(ended.code(), Some(0), "{line}: {}", ended.text());
        assert!(!ended.stderr().contains("error"), "{line}: {}", ended.text());
    }
}

#[test]
fn f22_ctrl_c_ends_the_work_and_leaves_no_half_written_file() {
    // A registry that takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &address));
    let folder = shop.join("out");
    for line in ["lock generate --rev dev --output ../out", "lock generate --rev dev --wait 10m --output ../out"] {
        let running = shop.orchestrator(line).start();
        running.wait_for("resolving");
        let _connection = silent.accept().unwrap();
        running.interrupt();
        let ended = running.wait();
        assert_eq!((ended.code(), ended.stdout()), (Some(130), ""), "{}", ended.text());
        assert!(ended.stderr().contains("interrupted"), "{}", ended.text());
        assert!(!folder.exists(), "{line}");
    }
}

#[test]
fn f18_an_image_that_is_still_being_built_is_waited_for() {
    let shop = locked();
    let cart = shop.new_version("shop-cart", 2, Built::No);
    shop.work_on("dev").gitlink("services/shop-cart", &cart);
    shop.commit_and_push("dev", "cart 2, whose image is not there yet");
    let refused = shop.ends("lock generate --rev dev", 12);
    assert!(refused.stderr().contains("shop-cart: none of its images exists"), "{}", refused.text());

    let running = shop.orchestrator("lock generate --rev dev --wait 2m").start();
    running.wait_for("waiting for 1 of 2 images: shop-cart");
    let digest = shop.build_image("shop-cart", &cart, &cart);
    let made = running.wait().expect_code(0);
    assert!(made.stdout().contains(&digest), "{}", made.text());

    // Waiting for what cannot come is no use: another commit's image has the tag.
    shop.build_image("shop-cart", &cart, &"1".repeat(40));
    let other = shop.ends("lock generate --rev dev --wait 2m", 12);
    assert!(!other.stderr().contains("waiting for"), "{}", other.text());
}
