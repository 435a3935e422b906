//! What `--help` of each command ends with: two examples, which a test parses.

/// A command's words, and its examples without the program's name.
const EXAMPLES: &[(&str, [&str; 2])] = &[
    ("", ["config check", "status"]),
    ("approvals", ["approvals production", "approvals production --pr 8"]),
    ("completion", ["completion bash > /etc/bash_completion.d/orchestrator", "completion zsh"]),
    ("config", ["config check", "config show production --origin"]),
    ("config check", ["config check", "config check --rev staging"]),
    ("config init", ["config init", "config init --image \"registry.example/shop/{short}\" --tag \"main-{sha7}\""]),
    ("config show", ["config show", "config show production --origin"]),
    ("demo", ["demo", "demo --dir ../demo --pause"]),
    ("deploy", ["deploy staging", "deploy production --again"]),
    ("drift", ["drift production", "drift production -o json"]),
    ("forge", ["forge pr list", "--as ben forge pr merge 7"]),
    (
        "forge hook",
        ["forge hook shop.git refs/heads/main OLD NEW", "--as ana forge hook shop.git refs/tags/v1 OLD NEW"],
    ),
    (
        "forge init",
        [
            "-C shop.git forge init --user ana:write --user eve:admin",
            "-C shop.git forge init --user ana:write --protect staging=orchestrator/lock --update",
        ],
    ),
    ("forge pr", ["forge pr list", "forge pr view 7"]),
    ("forge pr checks", ["forge pr checks 7", "forge pr checks 7 --required"]),
    ("forge pr close", ["--as ana forge pr close 7", "--as ana forge pr close fix --comment \"7 does the same\""]),
    (
        "forge pr create",
        [
            "--as ana forge pr create --base staging --title \"Faster search\"",
            "--as ana forge pr create -B staging -H fix -t Fix -b \"Closes 12\" --draft",
        ],
    ),
    ("forge pr list", ["forge pr list", "forge pr list --state merged -n 20"]),
    ("forge pr merge", ["--as ana forge pr merge 7", "--as eve forge pr merge 7 --admin"]),
    ("forge pr ready", ["--as ana forge pr ready 7", "--as ana forge pr ready 7 -o json"]),
    (
        "forge pr review",
        [
            "--as ben forge pr review 7 --approve --expected-head 3c7592c662a5",
            "--as ben forge pr review 7 --request-changes --body \"the suite is gone\"",
        ],
    ),
    ("forge pr view", ["forge pr view 7", "forge pr view staging -o json"]),
    ("health", ["health staging", "health production -o json"]),
    ("history", ["history", "history production -n 20"]),
    ("history evidence", ["history evidence 42 gates.json", "history evidence 42 report.json -o json"]),
    ("history show", ["history show 42", "history show 42 -o json"]),
    (
        "hold",
        ["hold production --reason \"the shop is being audited\"", "hold staging --reason \"load test until noon\""],
    ),
    ("images", ["images explain shop-web", "images explain web --rev staging"]),
    ("images explain", ["images explain shop-web", "images explain web --rev staging"]),
    ("lock", ["lock generate", "lock diff main staging"]),
    ("lock check", ["lock check", "lock check --rev staging --check-pushed"]),
    ("lock commit", ["lock commit staging", "lock commit staging --accept-new --reason \"cart was built again\""]),
    (
        "lock compose",
        ["lock compose compose.yml > locked.yml", "lock compose compose.yml --lock staging --output locked.yml"],
    ),
    ("lock diff", ["lock diff main staging", "lock diff main staging --commits"]),
    ("lock generate", ["lock generate", "lock generate --pr 7 --wait 15m"]),
    (
        "lock migrate",
        [
            "lock migrate old-lock.json --output out",
            "lock migrate old-lock.json --adopt production --reason \"it ran for weeks\"",
        ],
    ),
    ("lock publish", ["lock publish --pr 7", "lock publish --pr 7 --wait 15m --check-pushed"]),
    (
        "lock reject",
        ["lock reject production --reason \"loses orders\"", "lock reject locks/lock.yaml --reason \"loses orders\""],
    ),
    ("lock show", ["lock show", "lock show production -o json"]),
    ("man", ["man | man -l -", "man --output /usr/local/share/man/man1"]),
    ("permissions", ["permissions staging", "permissions staging --role | kubectl apply -f -"]),
    ("plan", ["plan staging", "plan production --rev release-2026-01-05-60134cd3"]),
    (
        "policy",
        [
            "--as eve policy accept production 69d8863bda21 --reason \"we are two people now\"",
            "--as eve policy take-over staging --reason \"staging is production now\"",
        ],
    ),
    (
        "policy accept",
        [
            "--as eve policy accept production 69d8863bda21 --reason \"we are two people now\"",
            "--as eve policy accept staging main --reason \"the suite is gone\"",
        ],
    ),
    (
        "policy take-over",
        [
            "--as eve policy take-over staging --reason \"staging is production now\"",
            "--as eve policy take-over canary --reason \"it had another name\" -o json",
        ],
    ),
    ("promote", ["promote staging", "promote staging -o json"]),
    ("release", ["release production", "release production --rev 3c7592c662a5"]),
    ("releases", ["releases", "releases production -n 5"]),
    (
        "rollback",
        [
            "rollback production --reason \"customers cannot pay\"",
            "rollback production --to release-2026-01-05-60134cd3 --dry-run",
        ],
    ),
    ("run", ["run staging", "run production --wait 30m"]),
    ("schema", ["schema print lock", "schema print config > orchestrator.schema.json"]),
    ("schema print", ["schema print lock", "schema print config > orchestrator.schema.json"]),
    ("status", ["status", "status production -o json"]),
    ("test", ["test run staging", "test run pull-request --pr 7"]),
    ("test run", ["test run staging --suite smoke --junit report.xml", "test run pull-request --pr 7"]),
    (
        "unhold",
        [
            "unhold production --reason \"the payment provider is back\"",
            "unhold production --accept 60134cd3 --reason \"it was the network\"",
        ],
    ),
    ("verify", ["verify production", "verify staging -o json"]),
    ("version", ["version", "version -o json"]),
];

/// Adds the examples to a command and to all below it.
pub(super) fn with_examples(command: clap::Command) -> clap::Command {
    add(command, "")
}

fn add(command: clap::Command, words: &str) -> clap::Command {
    let command = command.mut_subcommands(|sub| {
        let below = if words.is_empty() { sub.get_name().to_owned() } else { format!("{words} {}", sub.get_name()) };
        add(sub, &below)
    });
    match EXAMPLES.iter().find(|(of, _)| *of == words) {
        Some((_, examples)) => {
            let before = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
            command.after_help(before + &shown(examples))
        }
        None => command,
    }
}

fn shown(examples: &[&str; 2]) -> String {
    let lines = examples.map(|example| format!("\n  orchestrator {example}"));
    format!("Examples:{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an example up to where a shell takes over.
    fn words(example: &str) -> Vec<String> {
        let own = example.split(['>', '|']).next().unwrap();
        let parts = own.split('"').enumerate();
        let quoted = |(index, part): (usize, &str)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        };
        std::iter::once("orchestrator".to_owned()).chain(parts.flat_map(quoted)).collect()
    }

    fn walk(command: &clap::Command, path: &str, seen: &mut Vec<String>) {
        let examples = EXAMPLES.iter().find(|(of, _)| *of == path);
        let (_, examples) = examples.unwrap_or_else(|| panic!("`{path}` has no examples"));
        let help = command.clone().render_help().to_string();
        assert!(help.trim_end().ends_with(examples[1]), "{path}: {help}");
        assert_ne!(examples[0], examples[1], "{path}");
        for example in examples {
            let parsed = crate::arguments::command().try_get_matches_from(words(example));
            let matches = parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
            let named = crate::app::command_name(&matches);
            assert!(named.starts_with(path), "`{example}` stands under `{path}`");
        }
        seen.push(path.to_owned());
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let below = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            walk(sub, &below, seen);
        }
    }

    #[test]
    fn every_help_ends_with_two_examples_that_can_be_typed() {
        let mut command = crate::arguments::command();
        command.build();
        let mut seen = Vec::new();
        walk(&command, "", &mut seen);
        let unknown: Vec<&str> =
            EXAMPLES.iter().map(|(of, _)| *of).filter(|of| !seen.contains(&(*of).to_owned())).collect();
        assert!(unknown.is_empty(), "examples of commands that are not there: {unknown:?}");
    }
}
