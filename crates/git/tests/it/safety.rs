use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use git::{Git, GitErrorKind, GitOptions, InitOptions, MergeTree, PushOutcome, TreeChange};
use lock_model::CommitId;
use process::Program;

use crate::sandbox::{Sandbox, commit, identity, program, write};

fn script(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn t30_hostile_configuration_and_hooks_never_run() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let git = sandbox.init("work", &InitOptions { bare: false, ..InitOptions::default() });
    let canary = sandbox.path().join("canary");
    let program_file = sandbox.path().join("evil");
    script(&program_file, &format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", canary.display()));
    let evil = program_file.to_str().unwrap();

    let hooks = git.common_dir().join("hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for name in ["pre-push", "reference-transaction", "post-index-change", "pre-commit", "post-checkout", "pre-auto-gc"]
    {
        std::os::unix::fs::symlink(&program_file, hooks.join(name)).unwrap();
    }
    let _done = git.checked(["remote", "add", "origin", remote.common_dir().to_str().unwrap()]).unwrap();
    for key in ["core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "core.askPass", "core.gitProxy"] {
        let _done = git.checked(["config", key, evil]).unwrap();
    }
    let drivers = ["merge.x.driver", "merge.text.driver", "diff.x.command", "diff.x.textconv"];
    for key in ["diff.external", "gpg.program", "remote.origin.uploadpack", "remote.origin.receivepack"]
        .into_iter()
        .chain(drivers)
    {
        let _done = git.checked(["config", key, evil]).unwrap();
    }
    let _done = git.checked(["config", "core.hooksPath", hooks.to_str().unwrap()]).unwrap();
    let _done = git.checked(["config", "core.alternateRefsCommand", evil]).unwrap();
    let _done = git.checked(["config", "filter.x.clean", evil]).unwrap();
    let _done = git.checked(["config", "filter.x.smudge", evil]).unwrap();
    let _done = git.checked(["config", "commit.gpgSign", "true"]).unwrap();
    let _done = git.checked(["config", "push.gpgSign", "true"]).unwrap();

    let _done = git.checked(["config", "merge.default", "x"]).unwrap();
    let attributes = "* filter=x diff=x merge=x\n";
    std::fs::write(git.work_tree().unwrap().join(".gitattributes"), attributes).unwrap();
    std::fs::create_dir_all(git.common_dir().join("info")).unwrap();
    std::fs::write(git.common_dir().join("info/attributes"), attributes).unwrap();

    let first = commit(&git, None, "1", &[write(".gitattributes", attributes), write("a", "1\n2\n3\n4\n5\n")]);
    let second = commit(&git, Some(&first), "2", &[write("a", "x\n2\n3\n4\n5\n")]);
    let beside = commit(&git, Some(&first), "beside", &[write("a", "1\n2\n3\n4\ny\n")]);
    git.update_ref("refs/heads/main", second.as_str(), None).unwrap();
    git.push("origin", second.as_str(), "refs/heads/main", None).unwrap();
    git.fetch("origin", &["+refs/heads/*:refs/remotes/origin/*"], None).unwrap();
    git.ls_remote("origin", &[]).unwrap();
    git.read_files("main", None).unwrap();
    git.diff_names(first.as_str(), second.as_str()).unwrap();
    let MergeTree::Clean(merged) = git.merge_tree(second.as_str(), beside.as_str()).unwrap() else {
        panic!("conflict")
    };
    assert_eq!(git.read_file(merged.as_str(), "a").unwrap().as_deref(), Some(&b"x\n2\n3\n4\ny\n"[..]));
    git.count_lines(first.as_str(), second.as_str(), &["a"]).unwrap();
    git.merge_base(first.as_str(), second.as_str()).unwrap();
    drop(git.fetch("ssh://127.0.0.1:1/x", &["main"], None));
    let _status = git.run(["status", "--porcelain"]).unwrap();
    assert!(!canary.exists(), "{}", std::fs::read_to_string(&canary).unwrap_or_default());
}

#[test]
fn t30_git_variables_of_ours_reach_no_child() {
    let sandbox = Sandbox::new();
    let other = sandbox.bare("other.git");
    let mut options = sandbox.options();
    options.environment.insert("GIT_DIR", other.common_dir());
    options.environment.insert("GIT_SSH_COMMAND", "evil");
    options.environment.insert("GIT_CONFIG_COUNT", "1");
    options.environment.insert("GIT_CONFIG_KEY_0", "core.editor");
    options.environment.insert("GIT_CONFIG_VALUE_0", "evil");
    sandbox.bare("own.git");
    let git = Git::open(&program("git"), &sandbox.path().join("own.git"), options).unwrap();
    assert!(git.common_dir().ends_with("own.git"));
    assert_eq!(git.run(["config", "core.editor"]).unwrap().code, Some(1));
    let output = git.checked(["-c", "alias.show-env=!env", "show-env"]).unwrap();
    assert!(!output.stdout_text().contains("evil"), "{}", output.stdout_text());
}

#[test]
fn t30_repository_of_another_user_is_refused() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    if std::os::unix::fs::chown(git.common_dir(), Some(12345), Some(12345)).is_err() {
        // Only root can give a folder away.
        return;
    }
    let error = Git::open(&program("git"), git.common_dir(), sandbox.options()).unwrap_err();
    assert!(error.kind() == GitErrorKind::ForeignOwner, "{error}");
    assert_eq!(error.subject(), git.common_dir().to_str().unwrap(), "what `safe.directory` must name");
}

#[test]
fn a_failure_of_git_is_its_own_last_lines_and_no_list_of_arguments() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let many: Vec<String> = (0..200).map(|number| format!("--option-{number}")).collect();
    let error = git.text(["merge-tree".to_owned()].into_iter().chain(many)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("`git merge-tree` ended with exit status 129\n  "), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.len() < 60), "{text}");
    assert!(text.contains("usage: git merge-tree"), "{text}");
}

#[test]
fn old_git_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.bare("a.git");
    for (number, (version, fine)) in [
        ("2.37.9", false),
        ("1.99.0", false),
        ("2.38.0", true),
        ("2.39.5 (Apple Git-154)", true),
        ("3.0.0-rc1", true),
        ("garbage", false),
    ]
    .into_iter()
    .enumerate()
    {
        // A program that is new enough is not asked again.
        let fake = sandbox.path().join(format!("git-{number}"));
        script(
            &fake,
            &format!(
                "#!/bin/sh\nfor a; do [ \"$a\" = version ] && echo 'git version {version}' && exit; done\nexec /usr/bin/git \"$@\"\n"
            ),
        );
        // What is read without the program asks for no version.
        let git = Git::open(&Program::at(&fake), &sandbox.path().join("a.git"), sandbox.options()).unwrap();
        assert_eq!(git.commit("HEAD").unwrap(), None);
        match git.object_format() {
            Ok(_) => assert!(fine, "{version}"),
            Err(error) => {
                assert!(!fine, "{version}: {error}");
                assert_eq!(error.to_string(), format!("git {version} is too old: 2.38 or newer is needed"));
            }
        }
    }
}

#[test]
fn t9_the_work_trees_gitmodules_hides_no_change_and_stops_none() {
    let sandbox = Sandbox::new();
    let git = sandbox.init("shop", &InitOptions { bare: false, ..InitOptions::default() });
    let link = |digit: &str| TreeChange::Gitlink {
        path: "services/cart".to_owned(),
        commit: CommitId::try_from(digit.repeat(40)).unwrap(),
    };
    let section = "[submodule \"cart\"]\n\tpath = services/cart\n\turl = ../cart.git\n";
    let first = commit(&git, None, "1", &[write("a", "1"), link("1")]);
    let second = commit(&git, Some(&first), "2", &[write("a", "2"), link("2")]);
    for key in ["ignore = all", "ignore = dirty", "update = !evil", "url = --upload-pack=evil", "ignore = nonsense"] {
        let file = git.work_tree().unwrap().join(".gitmodules");
        std::fs::write(file, format!("{section}\t{key}\n")).unwrap();
        let changes = git.diff_names(first.as_str(), second.as_str()).unwrap_or_else(|error| panic!("{key}: {error}"));
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["a", "services/cart"], "{key}");
    }
}

#[test]
fn a_program_that_fails_is_shown_once() {
    let sandbox = Sandbox::new();
    let options = GitOptions { deadline: std::time::Duration::ZERO, ..sandbox.options() };
    let error = sandbox.bare("a.git").with_options(options).text(["version"]).unwrap_err();
    assert_eq!((error.kind(), error.is_deadline()), (GitErrorKind::Process, true), "{error}");
    assert!(error.to_string().contains("did not end within 0 ms"), "{error}");
    assert!(std::error::Error::source(&error).is_none(), "the text is that of the program's error");
}

/// What people and companies have in `~/.gitconfig`, and what git makes of it without our settings.
const USER_CONFIGURATION: &str = "
[safe]
	bareRepository = explicit
[core]
	hooksPath = /nonexistent/hooks
	fsmonitor = true
	autocrlf = true
	safecrlf = true
	splitIndex = true
	abbrev = 4
	attributesFile = ~/attributes
	logAllRefUpdates = always
	bigFileThreshold = 1
[init]
	defaultBranch = trunk
	templateDir = /nonexistent/template
	defaultObjectFormat = sha256
	defaultRefFormat = reftable
[user]
	useConfigOnly = true
[commit]
	gpgSign = true
[tag]
	gpgSign = true
	forceSignAnnotated = true
[push]
	gpgSign = true
	default = nothing
	followTags = true
	pushOption = ci.skip
	negotiate = true
	useForceIfIncludes = true
	recurseSubmodules = check
[fetch]
	prune = true
	pruneTags = true
	recurseSubmodules = true
	fsckObjects = true
	writeCommitGraph = true
	output = compact
[transfer]
	fsckObjects = true
[receive]
	fsckObjects = true
[protocol]
	version = 0
	allow = never
[protocol \"file\"]
	allow = never
[submodule]
	recurse = true
[color]
	ui = always
[diff]
	algorithm = patience
	noprefix = true
	renames = copies
	external = false
	ignoreSubmodules = all
[merge]
	ff = only
	default = x
	renormalize = true
	conflictStyle = diff3
	directoryRenames = true
[merge \"x\"]
	driver = false
[log]
	showSignature = true
	decorate = full
	date = relative
[format]
	pretty = oneline
[i18n]
	commitEncoding = latin1
	logOutputEncoding = latin1
[trace2]
	normalTarget = 1
[rerere]
	enabled = true
[gc]
	auto = 1
[status]
	showUntrackedFiles = no
[grep]
	lineNumber = true
";

/// Makes, merges, fetches, pushes and lists, and gives everything that came out of it.
fn flow(sandbox: &Sandbox) -> Vec<String> {
    let remote = sandbox.bare("remote.git");
    let git = sandbox.init("work", &InitOptions { bare: false, ..InitOptions::default() });
    let _done = git.checked(["remote", "add", "origin", remote.common_dir().to_str().unwrap()]).unwrap();
    let head = std::fs::read_to_string(remote.git_dir().join("HEAD")).unwrap();
    let first = commit(&git, None, "ä", &[write("a", "1\r\n2\n3\n4\n5\n"), write("gone", "1\n2\n")]);
    let second = commit(&git, Some(&first), "2", &[write("a", "x\n2\n3\n4\n5\n"), write("ü", "1\n2\n")]);
    let beside = commit(&git, Some(&first), "beside", &[write("a", "1\r\n2\n3\n4\ny\n")]);
    let merged = git.merge_tree(second.as_str(), beside.as_str()).unwrap();
    let tag = git.write_tag("v1", &second, "x", &identity()).unwrap();
    git.update_ref("refs/tags/v1", &tag, None).unwrap();
    for (object, name) in [(second.as_str(), "refs/heads/main"), (tag.as_str(), "refs/tags/v1")] {
        assert_eq!(git.push("origin", object, name, Some(git::ABSENT)).unwrap(), PushOutcome::Done, "{name}");
    }
    git.fetch("origin", &["+refs/heads/*:refs/remotes/origin/*"], None).unwrap();
    let only_commits = sandbox.bare("commits.git");
    only_commits.fetch_commits(remote.git_dir().to_str().unwrap(), &["+refs/heads/*:refs/on/*"]).unwrap();
    vec![
        head,
        format!("{:?}", git.commit("refs/remotes/origin/main").unwrap()),
        format!("{merged:?}"),
        format!("{:?}", git.diff_names(first.as_str(), second.as_str()).unwrap()),
        format!("{:?}", git.count_lines(first.as_str(), second.as_str(), &["a", "gone", "ü"]).unwrap()),
        format!("{:?}", git.ls_remote("origin", &[]).unwrap()),
        format!("{:?}", git.refs("refs/").unwrap()),
        format!("{:?}", git.tree_history(second.as_str()).unwrap()),
        format!("{:?}", git.rev_parse("nothing").unwrap()),
        format!("{:?}", git.rev_parse("main:a^{commit}").unwrap()),
        format!("{:?}", only_commits.refs_containing(&second, "refs/on/").unwrap()),
        format!("{:?}", git.read_files(second.as_str(), None).unwrap()),
    ]
}

#[test]
fn t70_the_users_configuration_changes_no_answer_and_stops_nothing() {
    let (plain, configured) = (Sandbox::new(), Sandbox::new());
    std::fs::write(configured.path().join(".gitconfig"), USER_CONFIGURATION).unwrap();
    std::fs::write(configured.path().join("attributes"), "* merge=x -diff text eol=crlf\n").unwrap();
    let (expected, found) = (flow(&plain), flow(&configured));
    for (expected, found) in expected.iter().zip(&found) {
        let path = |sandbox: &Sandbox| sandbox.path().to_str().unwrap().to_owned();
        assert_eq!(found.replace(&path(&configured), ""), expected.replace(&path(&plain), ""));
    }
    let hooks = configured.bare("remote.git");
    let indexes =
        std::fs::read_dir(hooks.git_dir()).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(indexes.filter(|name| name.starts_with("sharedindex")).count(), 0);
}
