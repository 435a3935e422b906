//! What suites and probes print of the secrets that they are given.

use orchestrator::report::v1::Report as _;
use orchestrator::{ErrorKind, RunRequest, TestRequest, run, run_tests};

use crate::shop::{BOT, Shop, Watcher, environment, executable, staging};

/// Prints its secrets in several forms and fails.
const LEAK: &str = r#"#!/bin/sh
echo "postgres://app:$CANARY_PASSWORD@db/shop and plain $CANARY_PLAIN and tree $CANARY_TREE and pin $SHORT_PIN"
printf '%s' "x$CANARY_PASSWORD" | base64
echo "{\"token\": \"$CANARY_PASSWORD\"}" >&2
printf '%s' "$CANARY_PASSWORD" | sed 's#/#%2F#g; s#+#%2B#g' >&2
exit 1
"#;

const SUITE: &str = "
suites:
  leak: { kind: command, command: [./tests/leak], env: [CANARY_PASSWORD, CANARY_PLAIN, CANARY_TREE, SHORT_PIN], plain: [CANARY_PLAIN], deadline: 1m }
";

fn leaking() -> Shop {
    let shop = Shop::new();
    shop.commit("dev", &[executable("tests/leak", LEAK)], "a suite that prints too much");
    shop.configure("dev", "\nsuites:\n", SUITE);
    shop
}

/// Every file of the forge, and of the ledger's branch.
fn everything_stored(shop: &Shop) -> String {
    let mut texts = Vec::new();
    if let Some(head) = shop.head(lock_model::LEDGER_BRANCH) {
        let files = shop.git().read_files(head.as_str(), None).unwrap();
        texts.extend(files.into_iter().map(|file| file.bytes));
    }
    let mut folders = vec![shop.join("forge")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { texts.push(std::fs::read(path).unwrap()) }
        }
    }
    String::from_utf8_lossy(&texts.concat()).into_owned()
}

fn assert_masked(text: &str, what: &str) {
    for form in ["canary/PASSWORD", "PASSWORD+0451", "y9QQVNTV09SRCswND", "canary%2FPASSWORD", "canary\\/"] {
        assert!(!text.contains(form), "{what} shows {form}: {text}");
    }
}

#[tokio::test]
async fn t48_what_a_suite_prints_of_its_secrets_is_recorded_nowhere() {
    let shop = leaking();
    shop.configure("dev", "suites: [system]", "suites: [leak, system]");
    shop.commit("dev", &[crate::shop::write("docs/known.txt", "see canary/TREE+0451\n")], "no secret");
    shop.merge_dev().await;
    let watcher = Watcher::new();
    let report = run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Negative));
    let json = serde_json::to_string(&report).unwrap();
    for (text, what) in [
        (json.as_str(), "the report"),
        (&report.markdown().unwrap_or_default(), "the page"),
        (&watcher.heard().join("\n"), "the progress"),
        (&everything_stored(&shop), "the forge"),
    ] {
        assert_masked(text, what);
    }
    assert!(
        json.contains("postgres://app:***@db/shop and plain canary/PLAIN+0451 and tree canary/TREE+0451"),
        "{json}"
    );
    let said: Vec<String> = watcher.heard().into_iter().filter(|line| line.contains("SHORT_PIN")).collect();
    assert_eq!(said.len(), 1, "said once: {said:?}");
    assert!(said[0].contains("less than 8 bytes"), "{said:?}");
}

#[tokio::test]
async fn t48_a_probe_and_another_suite_show_no_secret_either() {
    let shop = leaking();
    // `stored` prints what `leak` could have stored in the environment; it is given nothing itself.
    shop.configure(
        "dev",
        "\nsuites:\n",
        "\nsuites:\n  stored: { kind: command, command: [./tests/stored], deadline: 1m }\n",
    );
    shop.commit(
        "dev",
        &[executable("tests/stored", "#!/bin/sh\nprintf '%s/PASSWORD+0451\\n' canary; exit 1\n")],
        "stored",
    );
    shop.configure("dev", "suites: [lint]", "suites: [stored, leak]");
    let number = shop.open_pull_request("dev", "staging").await;
    let mut request = TestRequest::new(environment("pull-request"));
    request.pull_request = Some(number);
    let report = run_tests(&shop.bot(), &request).await.unwrap();
    assert!(!report.is_passed());
    for text in [serde_json::to_string(&report).unwrap(), report.to_junit(), report.markdown().unwrap()] {
        assert_masked(&text, "the report of the suites");
    }
    assert!(report.to_junit().contains("***"), "{}", report.to_junit());

    shop.configure(
        "dev",
        "command: [./tests/check, platform, \"{mode}\"], env: [SHOP_STATE]",
        "command: [./tests/leak], env: [CANARY_PASSWORD]",
    );
    shop.configure("dev", "suites: [stored, leak]", "suites: [lint]");
    shop.check(number).await;
    shop.merge("dana", number).await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert!(report.stopped.is_some(), "the probe fails");
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("ended with exit status 1"), "{json}");
    assert_masked(&json, "the probe's detail");
    assert_masked(&everything_stored(&shop), "the forge");
}
