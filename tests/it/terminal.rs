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

/// A screen's text without colours, as it stands after the list of progress went away.
fn final_text(screen: &str) -> String {
    let rest = screen.rsplit("\u{1b}[2K").next().unwrap();
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE => drop(characters.find(char::is_ascii_alphabetic)),
            '\r' => {}
            other => text.push(other),
        }
    }
    text
}

const STEPS: [&str; 8] = ["lock-commit", "gates", "health", "deploy", "verify", "suite system", "proof", "promote"];

#[test]
fn a_run_shows_each_step_once_on_a_screen_and_in_a_log() {
    let ready = locked();
    ready.ok("--as dana forge pr merge 1");
    let begins = |text: &str, step: &str, with: &str| {
        text.lines().filter(|line| line.starts_with(&format!("{step}{with}"))).count()
    };

    let screen = ready.copy().orchestrator("run staging").on_screen(100).run().expect_code(0);
    assert!(screen.stderr().contains("deploy: ok"), "progress is shown: {screen}");
    let text = final_text(screen.stderr());
    let log = ready.copy().orchestrator("run staging").in_one_log().run().expect_code(0);
    let files = ready.copy().orchestrator("run staging").run().expect_code(0);
    let summary = ready.join("summary.md");
    let github = ready.copy();
    let github = github.orchestrator("run staging -o github").env("GITHUB_STEP_SUMMARY", &summary).run().expect_code(0);
    let page = std::fs::read_to_string(&summary).unwrap();
    let quiet = ready.copy().orchestrator("run staging -q").in_one_log().run().expect_code(0);
    for step in STEPS {
        assert_eq!((begins(&text, step, ": "), begins(&text, step, " ")), (0, 1), "{step}: {text}");
        assert_eq!((begins(log.stderr(), step, ": "), begins(log.stderr(), step, " ")), (1, 0), "{step}: {log}");
        assert_eq!((begins(files.stderr(), step, ": "), begins(files.stdout(), step, " ")), (1, 1), "{step}: {files}");
        assert_eq!((begins(github.stderr(), step, ": "), begins(github.stdout(), step, " ")), (1, 0), "{github}");
        assert_eq!(page.matches(&format!("| {step} |")).count(), 1, "{step}: {page}");
        assert_eq!((begins(quiet.stderr(), step, ": "), begins(quiet.stderr(), step, " ")), (0, 1), "{step}: {quiet}");
    }
    for whole in [&text, log.stderr(), files.stdout(), github.stdout(), quiet.stderr()] {
        assert!(whole.contains("staging: release ") && whole.contains(" is through\n"), "{whole}");
    }
    // A run that ends with an error has no table: what was reached stays.
    let broken = ready.copy();
    std::fs::remove_dir_all(broken.join("registry")).unwrap();
    let failed = broken.orchestrator("run staging").on_screen(100).run();
    assert_ne!(failed.code(), Some(0));
    assert!(final_text(failed.stderr()).contains("error: "), "{failed}");
}

#[test]
fn tables_fit_the_screen_and_colours_are_for_readers_who_want_them() {
    let shop = locked();
    shop.ok("lock generate --rev dev --output ../out");
    let line = "lock show ../out/lock.yaml";
    let piped = shop.ok(line);
    let digits = |text: &str| {
        let words =
            text.split_whitespace().filter(|word| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit()));
        words.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(digits(piped.stdout()).len(), 6, "commits and digests: {piped}");
    let narrow = shop.orchestrator(line).on_screen(60).run().expect_code(0);
    let text = final_text(narrow.stderr());
    let table = text.split_once("\n\n").unwrap().1;
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
    assert!(!table.contains("CREATED") && table.contains("DIGEST"), "{table}");
    assert!(table.contains("\ncolumns left out: commit, created, revision; `-o json` has"), "{table}");
    let help = shop.orchestrator("lock generate --help").on_screen(60).run().expect_code(0);
    let text = final_text(help.stderr());
    assert!(text.contains("Usage: ") && text.lines().all(|line| line.chars().count() <= 60), "{text}");
    assert!(
        digits(table).iter().all(|word| digits(piped.stdout()).contains(word)) && !digits(table).is_empty(),
        "{table}"
    );

    let coloured = |invocation: test_support::Invocation| {
        let shown = invocation.run().expect_code(0);
        shown.stdout().contains("\u{1b}[") || shown.stderr().contains("\u{1b}[")
    };
    let call = |options: &str| shop.orchestrator(&format!("{options} {line}"));
    for (case, invocation, expected) in [
        ("a screen", call("").on_screen(100), true),
        ("NO_COLOR", call("").on_screen(100).env("NO_COLOR", "1"), false),
        ("NO_COLOR and --color always", call("--color always").on_screen(100).env("NO_COLOR", "1"), true),
        ("--color never", call("--color never").on_screen(100), false),
        ("CLICOLOR=0", call("").on_screen(100).env("CLICOLOR", "0"), false),
        ("a dumb terminal", call("").on_screen(100).env("TERM", "dumb"), false),
        ("a pipe", call(""), false),
        ("CLICOLOR_FORCE", call("").env("CLICOLOR_FORCE", "1"), true),
        ("--color always in a pipe", call("--color always"), true),
        ("JSON", call("-o json --color always").on_screen(100), false),
        ("help on a screen", shop.orchestrator("run --help").on_screen(100), true),
        ("help with --color never", shop.orchestrator("run --help --color never").on_screen(100), false),
        ("help with --color=never", shop.orchestrator("--color=never run --help").on_screen(100), false),
    ] {
        assert_eq!(coloured(invocation), expected, "{case}");
    }
}

#[test]
fn verbose_shows_programs_and_quiet_hides_progress() {
    let shop = locked();
    // Objects are read in process: git is started to ask the remotes.
    let verbose = shop.ok("-v lock generate --rev dev --check-pushed");
    assert!(verbose.stderr().lines().any(|line| line.starts_with("+ git ") && line.ends_with(" ms)")), "{verbose}");
    assert!(!verbose.stderr().contains("core.hooksPath"), "settings of every call are no news: {verbose}");
    let quiet = shop.ok("--quiet lock generate --rev dev");
    assert_eq!((quiet.stderr(), quiet.stdout()), ("", verbose.stdout()));
    let both = shop.ends("-q -v status", 2);
    assert!(both.stderr().contains("cannot be used with"), "{both}");
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
