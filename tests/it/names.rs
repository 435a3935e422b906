//! Names that users type: what a shell offers, what a wrong one is answered with, and where a fault is.

use std::fs;

use crate::shop::CONFIGURATION;
use crate::stops::locked;

#[test]
fn a_shell_is_offered_environments_suites_services_options_and_files() {
    let shop = locked();
    let offered = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let call = shop.orchestrator("-- orchestrator").args(words).env("ORCHESTRATOR_COMPLETE", "fish");
        let shown = call.run().expect_code(0);
        let names = shown.stdout().lines().map(|line| line.split('\t').next().unwrap().to_owned());
        names.collect::<Vec<String>>()
    };
    let environments = ["production", "pull-request", "staging"];
    for line in ["run ", "plan ", "rollback ", "lock commit ", "history ", "config show ", "policy take-over "] {
        let names = offered(line);
        assert!(environments.iter().all(|name| names.iter().any(|one| one == name)), "{line}: {names:?}");
    }
    assert_eq!(offered("run stag"), ["staging"]);
    assert_eq!(offered("images explain shop-c"), ["shop-cart"]);
    assert_eq!(offered("test run staging --suite sy"), ["system"]);
    assert_eq!(offered("lock check orch"), ["orchestrator.yaml"]);
    assert_eq!(offered("run staging --wa"), ["--wait"]);
    // Without a configuration there are no names, and no error.
    fs::remove_file(shop.join("shop/orchestrator.yaml")).unwrap();
    assert!(!offered("run ").iter().any(|name| name == "staging"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shop.ok(&format!("completion {shell}"));
        assert!(script.stdout().contains("ORCHESTRATOR_COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn a_wrong_name_gets_the_nearest_one_and_a_short_name_is_enough() {
    let shop = locked();
    for (line, hint) in [
        ("config show stagign", "did you mean `staging`?"),
        ("images explain shop-crat --rev dev", "did you mean `shop-cart`?"),
        ("images explain crt --rev dev", "did you mean `cart`?"),
        ("config show stag", "did you mean `staging`?"),
        ("test run pull-request --pr 1 --suite lnit", "did you mean `lint`?"),
        ("statsu", "'status'"),
    ] {
        let refused = shop.ends(line, 2);
        assert!(refused.stderr().contains(hint), "{refused}");
    }
    let short = shop.json("images explain cart --rev dev", 0);
    assert_eq!(short, shop.json("images explain shop-cart --rev dev", 0));
    assert_eq!(short["service"], "shop-cart");
}

#[test]
fn github_gets_an_annotation_for_each_problem_with_its_place_and_its_hint() {
    let shop = locked();
    let text =
        CONFIGURATION.replace("suites: [system]", "suites: [sistem]").replace("mode: production", "mod: production");
    fs::write(shop.join("shop/orchestrator.yaml"), &text).unwrap();
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let refused = shop.ends("config check -o github", 2);
    for (part, words) in [("[sistem]", "did you mean `system`?"), ("mod: production", "did you mean `mode`?")] {
        let place = format!("::error title=usage,file=orchestrator.yaml,line={},col=", line(part));
        let annotation = refused.stdout().lines().find(|line| line.starts_with(&place));
        assert!(annotation.is_some_and(|one| one.contains("%0Ahint: ") && one.contains(words)), "{place}: {refused}");
    }
    let missing = shop.ends("images explain nobody --rev dev -o github", 2);
    assert!(missing.stdout().contains("::error title=usage::there is no service `nobody`%0Ahint: "), "{missing}");
}
