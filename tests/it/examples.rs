//! The example and the pages: what they show is accepted, what they tell can be followed, and they name everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use test_support::{Sandbox, bench, built_binary, workspace};

/// The port of the guide's web server.
const GUIDE_PORT: &str = "8600";

/// A fenced block of a page.
struct Block {
    language: String,
    /// What stands behind the language, such as `title="orchestrator.yaml"` or `exit=20`.
    attributes: String,
    text: String,
}

impl Block {
    fn attribute(&self, name: &str) -> Option<&str> {
        let value = self.attributes.split_once(&format!("{name}="))?.1;
        Some(value.split_whitespace().next().unwrap_or_default().trim_matches('"'))
    }
}

fn page(name: &str) -> String {
    let path = workspace().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(info), None) => {
                let (language, attributes) = info.split_once(' ').unwrap_or((info, ""));
                let (language, attributes) = (language.to_owned(), attributes.to_owned());
                open = Some(Block { language, attributes, text: String::new() });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fenced block does not end");
    blocks
}

/// Every page below `docs/` that is written by hand.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages
}

#[test]
fn the_example_is_accepted() {
    let sandbox = Sandbox::new();
    let folder = workspace().join("examples/shop");
    let done = sandbox.orchestrator().arg("-C").arg(&folder).args(["config", "check"]).run().expect_code(0);
    assert!(done.stdout().contains("PRODUCTION_URL, STAGING_URL"), "{done}");
    let lint = folder.join("tests/lint");
    let status = command(&lint).current_dir(&folder).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "tests/lint finds a fault in the example");
}

#[test]
fn the_example_on_a_cluster_is_accepted() {
    let sandbox = Sandbox::new();
    let folder = workspace().join("examples/shop/helm");
    let done = sandbox.orchestrator().arg("-C").arg(&folder).args(["config", "check"]).run().expect_code(0);
    for name in ["PRODUCTION_KUBECONFIG", "STAGING_KUBECONFIG", "STAGING_URL"] {
        assert!(done.stdout().contains(name), "{name}\n{done}");
    }
}

#[test]
fn complete_configurations_of_the_pages_are_accepted() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text).iter().filter(|block| block.attribute("title") == Some("orchestrator.yaml")) {
            let sandbox = Sandbox::new();
            fs::write(sandbox.join("orchestrator.yaml"), &block.text).unwrap();
            sandbox.orchestrator().args(["config", "check"]).run().expect_code(0);
            checked += 1;
        }
    }
    assert_eq!(checked, 3, "configuration.md, guide.md and guide.fr.md show one each");
}

/// What a page shows of a configuration is accepted beside the keys that every one needs.
#[test]
fn parts_of_configurations_on_the_pages_are_accepted() {
    let schema: Value = serde_json::from_str(&page("schemas/config.schema.json")).unwrap();
    let keys: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let rest = "version: 1\nimages: { repository: \"ghcr.io/shop/{name}\", tags: [\"main-{sha7}\"] }\n";
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text).iter().filter(|block| block.language == "yaml" && block.attributes.is_empty()) {
            let first = block.text.split(':').next().unwrap_or_default().to_owned();
            if !keys.contains(&first) || first == "version" {
                continue;
            }
            let sandbox = Sandbox::new();
            fs::write(sandbox.join("orchestrator.yaml"), format!("{rest}{}", block.text)).unwrap();
            sandbox.orchestrator().args(["config", "check"]).run().expect_code(0);
            checked += 1;
        }
    }
    assert!(checked >= 3, "configuration.md, guide.md and guide.fr.md show some: {checked}");
}

/// The key of `KEY: { … }` or `KEY: [ … ]`, where a text is such an example of the configuration.
fn key_of_example(text: &str) -> Option<&str> {
    let (key, value) = text.split_once(": ")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let is_whole = [('{', '}'), ('[', ']')].iter().any(|(from, to)| value.starts_with(*from) && value.ends_with(*to));
    // `…` stands for what the reader knows.
    (is_key && is_whole && !value.contains('…')).then_some(key)
}

/// The examples of single keys: in the prose between backticks, and as lines of blocks.
fn examples_of_keys(page: &str) -> Vec<String> {
    let (mut prose, mut examples, mut is_fenced) = (String::new(), Vec::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced {
            examples.push(line.to_owned());
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    examples.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    // What manifests and charts have under such a key is no example of the configuration.
    examples.retain(|example| key_of_example(example).is_some_and(|key| key != "envFrom"));
    examples
}

/// A key on its own is accepted somewhere: at the top, in an environment, in its target or in what it requires.
#[test]
fn examples_of_single_keys_on_the_pages_are_accepted() {
    let top = [
        ("version", "1"),
        ("forge", "{ kind: local, repository: \"https://forge.example/shop/shop\" }"),
        ("images", "{ repository: \"ghcr.io/shop/{name}\", tags: [\"main-{sha7}\"] }"),
        ("base", "{ kubeconfig: { env: OTHER_KUBECONFIG, encoding: base64 } }"),
    ];
    let keys = [
        ("namespace", "shop"),
        ("kubeconfig", "{ env: SHOP_KUBECONFIG }"),
        ("target", "{ kind: helm, chart: \"{path}/chart\" }"),
        ("deploy", "[\"**\"]"),
    ];
    // The lines of a map with an example in place of the key that it shows.
    let lines = |known: &[(&str, &str)], indent: &str, example: &str| -> String {
        let key = key_of_example(example);
        // What an example takes away with `null` is in `base`.
        let others =
            known.iter().filter(|(name, _)| Some(*name) != key && (*name != "base" || example.contains("null")));
        let mut text = String::new();
        for (name, value) in others {
            writeln!(text, "{indent}{name}: {value}").unwrap();
        }
        if key.is_some() {
            writeln!(text, "{indent}{example}").unwrap();
        }
        text
    };
    let environment = |example: &str| {
        format!(
            "{}environments:\n  production:\n{}",
            lines(&top, "", if example.contains("null") { "null" } else { "" }),
            lines(&keys, "    ", example)
        )
    };
    let mut checked = 0;
    for name in ["docs/configuration.md", "docs/guide.md"] {
        for example in examples_of_keys(&page(name)) {
            let places = [
                environment(&example),
                environment(&format!("target: {{ kind: helm, chart: \"{{path}}/chart\", {example} }}")),
                environment(&format!("target: {{ kind: apply, source: \"{{path}}/deploy\" }}\n    {example}")),
                // What names the objects of settings is given where there are some.
                environment(&format!(
                    "target: {{ kind: helm, chart: \"{{path}}/chart\", {example} }}\n    config: [{{ keys-from-env: [A] }}]\n    \
                     secret: [{{ keys-from-env: [B] }}]"
                )),
                environment(&format!("requires: {{ {example} }}")),
                lines(&top, "", &example),
            ];
            let mut said = String::new();
            let is_accepted = places.iter().any(|place| {
                let sandbox = Sandbox::new();
                fs::write(sandbox.join("orchestrator.yaml"), place).unwrap();
                let done = sandbox.orchestrator().args(["config", "check"]).run();
                writeln!(said, "{place}{done}").unwrap();
                done.code() == Some(0)
            });
            assert!(is_accepted, "{name}: `{example}` is accepted nowhere:\n{said}");
            checked += 1;
        }
    }
    assert!(checked >= 10, "the pages show some: {checked}");
}

#[test]
fn the_french_guide_has_the_same_commands_and_files() {
    let runnable = |name: &str| -> Vec<(String, String, String)> {
        let kept = blocks(&page(name)).into_iter().filter(|block| block.language != "text");
        kept.map(|block| (block.language, block.attributes, block.text)).collect()
    };
    assert_eq!(runnable("docs/guide.fr.md"), runnable("docs/guide.md"));
}

/// Runs every block of the guide in order: `sh` blocks as they stand, each with the exit code that it names.
#[test]
fn the_guide_can_be_followed() {
    if command("python3").arg("--version").output().is_err() {
        return bench::skip("`python3` is not on PATH, and the guide starts a web server with it");
    }
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.home().join(".gitconfig"),
        "[user]\n\tname = Dana\n\temail = dana@shop.example\n[init]\n\tdefaultBranch = main\n",
    )
    .unwrap();
    let shown = follow(&sandbox, &guide_script(&page("docs/guide.md")));
    for wanted in ["pull request 4 is merged", "`production` is held", "what is stored is what the lock says"] {
        assert!(shown.contains(wanted), "`{wanted}` is not in:\n{shown}");
    }
}

/// Runs a script as a reader would, with our binary on `PATH`. Gives what it prints.
fn follow(sandbox: &Sandbox, script: &str) -> String {
    let binary = built_binary();
    let mut path = binary.parent().unwrap().as_os_str().to_owned();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let output = command("bash")
        .args(["-c", script])
        .current_dir(sandbox.path())
        .env("PATH", path)
        .env("HOME", sandbox.home())
        .env("ORCHESTRATOR", workspace())
        .output()
        .unwrap();
    let shown =
        format!("{}\n--- stderr\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the guide stops here:\n{shown}");
    shown
}

/// The guide as one script. The web server gets a free port, and is waited for.
fn guide_script(page: &str) -> String {
    let longer_story =
        |block: &Block| block.attributes != "own" && block.language != "yaml" || block.attribute("title").is_some();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p)' EXIT\n");
    for block in blocks(page).into_iter().filter(longer_story) {
        let text = block.text.replace(GUIDE_PORT, &port);
        if let Some(file) = block.attribute("title") {
            writeln!(script, "cat > '{file}' <<'END OF FILE'\n{text}END OF FILE").unwrap();
        } else if block.language == "sh" {
            let wanted = block.attribute("exit").unwrap_or("0");
            writeln!(script, "echo '$' {}", quoted(text.lines().next().unwrap_or_default())).unwrap();
            if wanted == "0" {
                script.push_str(&text);
            } else {
                writeln!(script, "code=0\n(set -e\n{text}) || code=$?").unwrap();
                writeln!(script, "[ $code = {wanted} ] || {{ echo \"exit $code, wanted {wanted}\"; exit 1; }}")
                    .unwrap();
            }
            if text.trim_end().ends_with('&') {
                writeln!(script, "until (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do kill -0 $!; done").unwrap();
            }
        }
    }
    script
}

/// The first page, with a repository of one's own that nobody made for orchestrator: two services with images in a registry.
#[test]
fn ones_own_repository_in_ten_minutes() {
    let sandbox = Sandbox::new();
    let identity = "[user]\n\tname = Dana\n\temail = dana@shop.example\n[init]\n\tdefaultBranch = main\n";
    // The page's address leads to the repository here, and its registry to a folder.
    let elsewhere = format!("[url \"file://{}/\"]\n\tinsteadOf = https://github.com/shop/\n", sandbox.path().display());
    let allowed = "[protocol \"file\"]\n\tallow = always\n";
    fs::write(sandbox.home().join(".gitconfig"), [identity, &elsewhere, allowed].concat()).unwrap();
    let mut script = String::from(OWN_REPOSITORY);
    for block in blocks(&page("docs/guide.md")).iter().filter(|block| block.attributes == "own") {
        for line in block.text.lines() {
            writeln!(script, "{line}").unwrap();
            if line.contains("config init") {
                script.push_str(
                    "echo 'registries: { ghcr.io: { mirror: \"oci-layout:../registry\" } }' >> orchestrator.yaml\n",
                );
            }
        }
    }
    let output = follow(&sandbox, &script);
    assert!(output.contains("of 2 services is in made"), "{output}");
    assert!(output.contains("the lock can be used, as far as it was judged"), "{output}");
    assert!(output.contains("none → ghcr.io/shop/cart:main-"), "{output}");
    let first: Vec<Block> =
        blocks(&page("docs/guide.md")).into_iter().filter(|block| block.attributes == "own").collect();
    assert_eq!(first[0].text.lines().count(), 5, "five commands to the first lock");
}

/// What somebody has before the first page.
const OWN_REPOSITORY: &str = r#"set -eu
for service in cart web; do
  git init --quiet $service
  mkdir $service/deploy
  sed "s/cart/$service/g; s/shop-$service/$service/g; s|registry.example/shop|ghcr.io/shop|" \
    "$ORCHESTRATOR/examples/shop/services/shop-cart/deploy/app.yaml" > $service/deploy/app.yaml
  git -C $service add deploy
  git -C $service commit --quiet --message first
  "$ORCHESTRATOR/examples/shop/ci/build-image" registry ghcr.io/shop/$service "$(git -C $service rev-parse HEAD)"
done
git init --quiet superproject
for service in cart web; do
  git -C superproject submodule --quiet add https://github.com/shop/$service services/$service
done
git -C superproject commit --quiet --message "two services"
mv superproject shop.origin
git config --global url."file://$PWD/shop.origin".insteadOf https://github.com/shop/shop
"#;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[expect(clippy::disallowed_methods, reason = "the pages' commands are for a shell, which nothing of ours starts")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.stdin(Stdio::null());
    command
}

#[test]
fn the_pages_name_every_key_of_the_formats() {
    let mut missing = Vec::new();
    for (schema, name) in [
        ("config", "docs/configuration.md"),
        ("lock", "docs/lock.md"),
        ("metadata", "docs/lock.md"),
        ("ledger-record", "docs/ledger.md"),
    ] {
        let document: Value = serde_json::from_str(&page(&format!("schemas/{schema}.schema.json"))).unwrap();
        let mut words = BTreeSet::new();
        words_of(&document, &mut words);
        let text = page(name);
        let known: BTreeSet<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).collect();
        missing
            .extend(words.iter().filter(|word| !known.contains(word.as_str())).map(|word| format!("{name}: `{word}`")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The keys of a schema, and the words that its values are chosen from.
fn words_of(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                words.extend(properties.keys().cloned());
            }
            for key in ["enum", "const"] {
                let values =
                    map.get(key).map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
                let texts = values.into_iter().flatten().filter_map(Value::as_str);
                words.extend(texts.filter(|text| !text.contains(['/', ':'])).map(str::to_owned));
            }
            map.values().for_each(|value| words_of(value, words));
        }
        Value::Array(items) => items.iter().for_each(|item| words_of(item, words)),
        _ => {}
    }
}
