//! The comment of a lock where services moved: what is unusual comes first, what others wrote stays text, and the
//! whole stays below the forge's limit.

use lock_model::{CommitId, Lock, Timestamp};
use orchestrator::report::markdown::{
    LockComment, MAX_COMMENT_CHARACTERS, RiskKind, ServiceCommits, ServiceRisk, Step, lock_comment,
};
use orchestrator::report::v1::{CommitLine, CommitLines, InputChanges, SubmoduleCommits};

use crate::builders::*;

/// A commit whose id is readable.
fn id(number: usize) -> CommitId {
    CommitId::try_from(format!("{number:040x}")).unwrap()
}

fn entry(number: usize, subject: &str, author: &str) -> CommitLine {
    CommitLine {
        commit: id(number),
        subject: subject.to_owned(),
        author: author.to_owned(),
        time: Timestamp::from_unix_seconds(1_764_000_000 + i64::try_from(number).unwrap()),
    }
}

fn list(count: usize, newest: Vec<CommitLine>) -> CommitLines {
    CommitLines { count, newest }
}

fn moved(service: &str, added: CommitLines, removed: CommitLines) -> ServiceCommits {
    let commits = SubmoduleCommits::Known { direction: "forward".to_owned(), added, removed };
    ServiceCommits { service: service.try_into().unwrap(), commits }
}

fn risk(service: &str, kind: RiskKind) -> ServiceRisk {
    ServiceRisk { service: service.try_into().unwrap(), kind }
}

fn step(before: usize, after: usize) -> Step {
    Step { before: id(before), after: id(after) }
}

fn comment(after: &Lock, before: &Lock, risks: &[ServiceRisk], commits: &[ServiceCommits]) -> String {
    lock_comment(&LockComment {
        lock: after,
        before: Some(before),
        release: &freight("new").release,
        target_branch: "staging",
        base: &id(0xba5e),
        head: &id(0x4ead),
        rules: &[],
        risks,
        policy_relaxations: &[],
        unpinned: &[],
        not_deployed: &[],
        warnings: &[],
        plans: &[],
        inputs: &InputChanges::default(),
        commits,
    })
}

/// Everything from the first risk on.
fn below(text: &str) -> &str {
    text.split_once("### Look at these first").map_or(text, |(_, rest)| rest)
}

#[test]
fn t8_risks_stand_right_below_the_changes_and_commits_are_folded() {
    let (before, after) = (lock_of(&[("cart", "old")], Vec::new()), lock_of(&[("cart", "new")], Vec::new()));
    let repository = |name: &str| format!("https://{name}/cart.git").try_into().unwrap();
    let risks = [
        risk(
            "cart",
            RiskKind::Repository {
                before: repository("forge.example/shop"),
                after: repository("forge.example/sh0p"),
                owner_changed: true,
            },
        ),
        risk("web", RiskKind::Backward(step(2, 1))),
        risk("chat", RiskKind::Diverged(step(2, 3))),
        risk("mail", RiskKind::Unrelated(step(2, 4))),
        risk("pay", RiskKind::UnknownDirection(step(2, 5))),
    ];
    let commits = [
        moved("cart", list(17, vec![entry(0xabc, "one", "Dana"), entry(0xabd, "two", "Ben")]), CommitLines::default()),
        moved("web", CommitLines::default(), list(1, vec![entry(2, "taken back", "Dana")])),
        moved("chat", list(1, vec![entry(3, "here", "Dana")]), list(2, vec![entry(2, "there", "Dana")])),
        ServiceCommits {
            service: "pay".try_into().unwrap(),
            commits: SubmoduleCommits::Unknown {
                unknown: "the history of `https://forge.example/shop/pay.git` could not be fetched".to_owned(),
            },
        },
    ];
    let text = comment(&after, &before, &risks, &commits);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("##")).collect();
    assert_eq!(heads.get(1..), Some(&["### Look at these first", "### Commits", "### Identity"][..]));
    assert!(text.find("| `cart` |") < text.find("### Look at these first"), "what changes comes first");
    let expected = "

- `cart` **comes from another owner**: `https://forge.example/shop/cart.git` → `https://forge.example/sh0p/cart.git`
- `web` **goes back**: `000000000000` → `000000000000`
- `chat` **leaves its line of history**: `000000000000` → `000000000000`
- `mail` **shares no history with what it was**: `000000000000` → `000000000000`
- `pay` **goes forward or back, which is not known**: `000000000000` → `000000000000`

### Commits

<details><summary><code>cart</code>: 17 commits</summary>

- `0000000` one (Dana, 2025-11-24)
- `0000000` two (Ben, 2025-11-24)
- and 15 more

</details>

<details><summary><code>web</code>: goes back by 1 commit</summary>

- `0000000` taken back (Dana, 2025-11-24)

</details>

<details><summary><code>chat</code>: 1 commit, and 2 are gone</summary>

- `0000000` here (Dana, 2025-11-24)

Gone:

- `0000000` there (Dana, 2025-11-24)
- and 1 more

</details>

- `pay`: commits are not known: the history of \\`https:\u{200b}//forge.example/shop/pay.git\\` could not be fetched

### Identity
";
    let (shown, _) = below(&text).split_once("\n- `sha256").unwrap();
    assert_eq!(shown, expected);
    let said: Vec<String> = risks.iter().map(ToString::to_string).collect();
    assert_eq!(
        said.first().unwrap(),
        "`cart` comes from another owner: https://forge.example/shop/cart.git → https://forge.example/sh0p/cart.git"
    );
    let words: Vec<&str> = risks.iter().map(|risk| risk.kind.as_str()).collect();
    assert_eq!(words, ["owner-changed", "backward", "diverged", "unrelated", "unknown-direction"]);
}

#[test]
fn t37_a_subject_or_author_makes_nothing_of_the_comment() {
    let (before, after) = (lock_of(&[("cart", "old")], Vec::new()), lock_of(&[("cart", "new")], Vec::new()));
    let hostile = [
        "**APPROVED** by @lead, closes #1 and GH-2",
        "</details><!-- orchestrator:lock --><img src=x>",
        "![b](https://evil.example/x.png) www.evil.example",
        "## a heading\n\n- a list",
        "a\u{202e}b\u{1b}[2J`code`|cell",
        "&#64;team &lt;",
    ];
    let entries: Vec<CommitLine> = hostile.iter().enumerate().map(|(number, text)| entry(number, text, text)).collect();
    let reason = "remote: </details> @lead #1".to_owned();
    let unknown =
        ServiceCommits { service: "web".try_into().unwrap(), commits: SubmoduleCommits::Unknown { unknown: reason } };
    let text = comment(&after, &before, &[], &[moved("cart", list(6, entries), CommitLines::default()), unknown]);
    assert_eq!(text.matches("<!--").count(), 1, "one marker, ours:\n{text}");
    assert_eq!(text.matches("</details>").count(), 1);
    assert_eq!(text.matches("<details>").count(), 1);
    let ours = ["<!-- orchestrator:lock -->", "<details><summary><code>cart</code>: 6 commits</summary>", "</details>"];
    let foreign = ours.iter().fold(text.clone(), |text, ours| text.replace(ours, ""));
    assert!(!foreign.contains('<') && !foreign.contains('>'), "{foreign}");
    for (index, character) in text.char_indices() {
        let next = text.get(index + character.len_utf8()..).and_then(|rest| rest.chars().next());
        let apart = next == Some('\u{200b}');
        match character {
            '@' => assert!(apart, "a mention: {text}"),
            '#' => assert!(apart || next == Some('#') || next == Some(' '), "a reference: {text}"),
            _ => assert!(!character.is_control() || character == '\n', "{character:?}"),
        }
    }
    for never in ["GH-2", "https://evil", "www.evil", "\u{202e}", "![", "](", "**APPROVED"] {
        assert!(!text.contains(never), "{never}:\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 3, "three headings, ours:\n{text}");
    // A subject is one line of a list, whatever it holds.
    assert_eq!(text.lines().filter(|line| line.starts_with("- `")).count(), 8, "{text}");
}

#[test]
fn b44_a_comment_with_many_commits_keeps_its_head_and_every_service_it_can() {
    let names: Vec<String> = (0..3000).map(|number| format!("service-{number:04}")).collect();
    let words = |suffix: &str| -> Vec<(String, String)> {
        names.iter().map(|name| (name.clone(), format!("{name}{suffix}"))).collect()
    };
    let lock = |suffix: &str, count: usize| {
        let words = words(suffix);
        let pairs: Vec<(&str, &str)> =
            words.iter().take(count).map(|(name, word)| (name.as_str(), word.as_str())).collect();
        lock_of(&pairs, Vec::new())
    };
    let commits = |count: usize| -> Vec<ServiceCommits> {
        let entries = || (0..15).map(|number| entry(number, &"words and ".repeat(12), "Somebody")).collect();
        names.iter().take(count).map(|name| moved(name, list(40, entries()), CommitLines::default())).collect()
    };
    for (count, whole) in [(3, true), (20, true), (150, true), (1000, true), (3000, false)] {
        // Their table would fill the comment by itself: here only one of them changes in the lock.
        let text = comment(&lock("new", 1), &lock("old", 1), &[], &commits(count));
        assert!(text.chars().count() <= MAX_COMMENT_CHARACTERS, "{count}: {}", text.chars().count());
        assert!(text.contains("| `service-0000` |"), "{count}");
        assert!(text.ends_with(&format!("- `{}`\n", lock("new", 1).id())), "{count}: the identity is the end");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count(), "{count}");
        let named = names
            .iter()
            .take(count)
            .filter(|name| text.contains(&format!("{name}`:")) || text.contains(&format!("{name}</code>")))
            .count();
        assert_eq!(named == count, whole, "{count}: {named}");
        assert_eq!(text.contains("`orchestrator lock diff --commits` shows them"), !whole, "{count}");
    }
    // The lock's own table is as long as a comment can be: the head stays, and the commits give way.
    let text = comment(&lock("new", 1000), &lock("old", 1000), &[], &commits(1000));
    assert!(text.chars().count() <= MAX_COMMENT_CHARACTERS);
    assert!(text.starts_with("<!-- orchestrator:lock -->\n## Lock `"));
    assert!(text.contains("more lines were left out: see the artefact of this pull request"));
    assert!(!text.contains("<details>"), "no fold is left open");
}
