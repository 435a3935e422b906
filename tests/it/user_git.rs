//! Git as people and companies have configured it: no setting of theirs stops a command, changes an answer, or switches the
//! forge's rules off.

use std::fs;

use crate::shop::Shop;
use crate::stops::locked;

/// Sections of `~/.gitconfig`, each of which is in use somewhere.
const SECTIONS: &[&str] = &[
    "[safe]\n\tbareRepository = explicit\n",
    "[core]\n\thooksPath = ~/hooks\n",
    "[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n[push]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n",
    "[protocol]\n\tallow = never\n[protocol \"file\"]\n\tallow = never\n",
    "[transfer]\n\tfsckObjects = true\n[receive]\n\tdenyDeletes = true\n",
    "[core]\n\tautocrlf = true\n\tsafecrlf = true\n\teol = crlf\n\tattributesFile = ~/attributes\n",
    "[core]\n\tfsmonitor = true\n\tuntrackedCache = true\n\tsplitIndex = true\n\tabbrev = 4\n",
    "[fetch]\n\tprune = true\n\tpruneTags = true\n\trecurseSubmodules = true\n[submodule]\n\trecurse = true\n",
    "[push]\n\tdefault = nothing\n\tfollowTags = true\n\tpushOption = ci.skip\n",
    "[init]\n\tdefaultBranch = trunk\n\ttemplateDir = ~/template\n[user]\n\tuseConfigOnly = true\n",
    "[url \"https://mirror.example/\"]\n\tinsteadOf = https://\n[url \"ssh://\"]\n\tpushInsteadOf = https://\n",
    "[color]\n\tui = always\n[diff]\n\texternal = false\n\tnoprefix = true\n\tignoreSubmodules = all\n[core]\n\tpager = false\n",
    "[merge]\n\tff = only\n\tdefault = x\n\trenormalize = true\n[merge \"x\"]\n\tdriver = false\n[rerere]\n\tenabled = true\n",
    "[log]\n\tshowSignature = true\n[format]\n\tpretty = oneline\n[i18n]\n\tcommitEncoding = latin1\n\tlogOutputEncoding = latin1\n",
    "[status]\n\tshowUntrackedFiles = no\n[gc]\n\tauto = 1\n[trace2]\n\tnormalTarget = 1\n",
];

/// What commands that read print.
fn answers(shop: &Shop, settings: &str) -> Vec<String> {
    fs::write(shop.join("home/.gitconfig"), settings).unwrap();
    let lines = ["lock generate --rev dev", "config check", "status", "forge pr list"];
    lines.map(|line| shop.orchestrator(line).env("LANGUAGE", "de").run().expect_code(0).stdout().to_owned()).to_vec()
}

#[test]
fn t70_no_setting_of_a_users_git_stops_a_command_or_switches_a_rule_off() {
    let shop = locked();
    fs::create_dir(shop.join("home/hooks")).unwrap();
    fs::write(shop.join("home/attributes"), "* text eol=crlf merge=x -diff\n").unwrap();
    let expected = answers(&shop, "");
    for settings in SECTIONS {
        assert_eq!(answers(&shop, settings), expected, "{settings}");
    }

    let all = SECTIONS.concat();
    assert_eq!(answers(&shop, &all), expected);
    let global = shop.join("home/.gitconfig");
    let user = [("GIT_CONFIG_GLOBAL", global.to_str().unwrap()), ("ORCHESTRATOR_AS", "dana")];
    let bare = shop.superproject();
    let folder = shop.join("checked-out");
    let (from, to) = (shop.join("shop.git"), folder.to_str().unwrap());
    let clone = ["-c", "protocol.allow=always", "-c", "protocol.file.allow=always", "clone", "--quiet", "-b", "dev"];
    let cloned =
        bare.try_git_with(&[&clone[..], &["--no-recurse-submodules", from.to_str().unwrap(), to]].concat(), &user);
    assert!(cloned.success(), "{cloned:?}");
    assert!(
        fs::read_to_string(folder.join("orchestrator.yaml")).unwrap().contains("\r\n"),
        "git changed the line ends"
    );
    for (line, expected) in ["lock generate --rev dev", "config check"].into_iter().zip(&expected) {
        let answer = shop.orchestrator(line).current_dir(&folder).run().expect_code(0);
        assert_eq!(answer.stdout(), expected, "{line}");
    }

    // Who may not write the branch still may not, and what the bot pushes arrives.
    let before = shop.head("staging").unwrap();
    let push = ["-c", "push.gpgSign=false", "-c", "push.pushOption=", "-c", "protocol.file.allow=always", "push"];
    let pushed = shop.clone_folder().try_git_with(&[&push[..], &["origin", "dev:staging"]].concat(), &user);
    assert!(!pushed.success() && pushed.stderr.contains("`staging` is protected"), "{pushed:?}");
    assert_eq!(shop.head("staging").unwrap(), before);
    shop.ok("--as dana forge pr merge 1");
    shop.ok("run staging");
    shop.ok("status");
    assert_ne!(shop.head("deploy/staging"), None, "the manifests were pushed");
}
