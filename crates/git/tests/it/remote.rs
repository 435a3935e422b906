use std::os::unix::fs::PermissionsExt as _;

use git::process::ProcessError;
use git::{ABSENT, Git, GitErrorKind, GitOptions, InitOptions, LocalProtocol, PushOutcome};
use lock_model::ErrorClass;

use crate::sandbox::{Sandbox, commit, identity, program, write};

fn clone(sandbox: &Sandbox, name: &str, remote: &Git) -> Git {
    let git = sandbox.init(name, &InitOptions { bare: false, ..InitOptions::default() });
    let _done = git.checked(["remote", "add", "origin", remote.common_dir().to_str().unwrap()]).unwrap();
    git
}

fn hook(remote: &Git, name: &str, script: &str) {
    let folder = remote.common_dir().join("hooks");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn pushing_is_a_compare_and_swap() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let git = clone(&sandbox, "clone", &remote);
    let first = commit(&git, None, "1", &[write("a", "1")]);
    let second = commit(&git, Some(&first), "2", &[write("a", "2")]);
    let other = commit(&git, Some(&first), "other", &[write("a", "3")]);
    let main = "refs/heads/topic";
    let push = |new: &str, old: Option<&str>| git.push("origin", new, main, old).unwrap();

    assert_eq!(push(second.as_str(), Some(first.as_str())), PushOutcome::Moved, "nothing is there yet");
    assert_eq!(push(first.as_str(), Some(ABSENT)), PushOutcome::Done);
    assert_eq!(push(second.as_str(), Some(ABSENT)), PushOutcome::Moved);
    assert_eq!(push(second.as_str(), Some(first.as_str())), PushOutcome::Done);
    assert_eq!(push(second.as_str(), Some(first.as_str())), PushOutcome::Done, "there already");
    assert_eq!(push(other.as_str(), Some(first.as_str())), PushOutcome::Moved);
    assert_eq!(push(other.as_str(), None), PushOutcome::Moved, "not a fast-forward");
    assert_eq!(remote.rev_parse(main).unwrap().as_deref(), Some(second.as_str()));

    // A clone that has not heard of the newer commit loses too.
    let stranger = clone(&sandbox, "stranger", &remote);
    let lonely = commit(&stranger, None, "lonely", &[write("z", "1")]);
    assert_eq!(stranger.push("origin", lonely.as_str(), main, None).unwrap(), PushOutcome::Moved);

    assert_eq!(push("", Some(first.as_str())), PushOutcome::Moved);
    assert_eq!(push(ABSENT, Some(second.as_str())), PushOutcome::Done);
    assert_eq!(remote.rev_parse(main).unwrap(), None);
}

#[test]
fn f10_twenty_writers_make_one_chain() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let branch = "refs/heads/ledger";
    let writers: Vec<Git> = (0..5).map(|number| clone(&sandbox, &format!("clone-{number}"), &remote)).collect();
    std::thread::scope(|scope| {
        for (number, git) in writers.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..4 {
                    loop {
                        let tip = git.ls_remote("origin", &[branch]).unwrap().pop().map(|reference| reference.id);
                        if let Some(tip) = &tip {
                            git.fetch("origin", &[tip.as_str()], None).unwrap();
                        }
                        let parent = tip.as_deref().map(|tip| tip.try_into().unwrap());
                        let file = write(&format!("{number}-{round}"), "x");
                        let next = commit(git, parent.as_ref(), "record", &[file]);
                        let expected = tip.as_deref().unwrap_or(ABSENT);
                        match git.push("origin", next.as_str(), branch, Some(expected)).unwrap() {
                            PushOutcome::Done => break,
                            PushOutcome::Moved => {}
                            PushOutcome::Refused { message } => panic!("{message}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(remote.rev_list(&[branch]).unwrap().len(), 20);
    assert_eq!(remote.list_files(branch, None).unwrap().len(), 20);
}

#[test]
fn a_hook_of_the_remote_refuses_with_its_own_words() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    hook(&remote, "update", "#!/bin/sh\necho \"protected: $1\" >&2\necho 'open a pull request' >&2\nexit 1\n");
    let git = clone(&sandbox, "clone", &remote);
    let first = commit(&git, None, "1", &[write("a", "1")]);
    let refused = git.push("origin", first.as_str(), "refs/heads/main", None).unwrap();
    let message = "protected: refs/heads/main\nopen a pull request".to_owned();
    assert_eq!(refused, PushOutcome::Refused { message });
    assert_eq!(remote.refs("refs/").unwrap(), []);
}

#[test]
fn single_commits_are_fetched_and_refs_listed() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let first = commit(&remote, None, "1", &[write("a", "1")]);
    let second = commit(&remote, Some(&first), "2", &[write("a", "2")]);
    remote.update_ref("refs/heads/main", second.as_str(), None).unwrap();
    let tag = remote.write_tag("v1", &first, "x", &identity()).unwrap();
    remote.update_ref("refs/tags/v1", &tag, None).unwrap();

    let git = clone(&sandbox, "clone", &remote);
    let listed = git.ls_remote("origin", &[]).unwrap();
    let names: Vec<&str> = listed.iter().map(|reference| reference.name.as_str()).collect();
    assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    assert_eq!(listed[2].peeled.as_deref(), Some(first.as_str()));
    assert_eq!(git.ls_remote("origin", &["refs/heads/nothing"]).unwrap(), []);

    git.fetch("origin", &[second.as_str()], Some(1)).unwrap();
    assert_eq!(git.read_file(second.as_str(), "a").unwrap().as_deref(), Some(b"2".as_slice()));
    assert_eq!(git.rev_list(&[second.as_str()]).unwrap().len(), 1, "shallow");
    assert_eq!(git.refs("refs/").unwrap(), [], "no tags came along");
    git.fetch("origin", &["+refs/heads/*:refs/remotes/origin/*"], None).unwrap();
    assert_eq!(git.rev_parse("refs/remotes/origin/main").unwrap().as_deref(), Some(second.as_str()));
    assert_eq!(git.remote_url("origin").unwrap().as_deref(), remote.common_dir().to_str());
    assert_eq!(git.remote_url("upstream").unwrap(), None);
}

#[test]
fn p19_a_commit_that_was_never_pushed_is_not_found() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let git = clone(&sandbox, "clone", &remote);
    let unpushed = "2286238222862382228623822286238222862382";
    let error = git.fetch("origin", &[unpushed], Some(1)).unwrap_err();
    assert_eq!((error.kind(), error.class()), (GitErrorKind::Remote, ErrorClass::NotFound), "{error}");
    assert!(error.is_unknown_object() && error.unsent_object().is_none() && !error.is_deadline());
    assert!(std::error::Error::source(&error).unwrap().is::<ProcessError>());
    let nowhere = sandbox.path().join("nowhere.git");
    let error = git.fetch(nowhere.to_str().unwrap(), &["main"], None).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
    assert!(!error.is_unknown_object());
}

#[test]
fn t9_only_allowed_protocols_are_spoken() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let first = commit(&remote, None, "1", &[write("a", "1")]);
    remote.update_ref("refs/heads/main", first.as_str(), None).unwrap();
    let canary = sandbox.path().join("canary");
    let helper = format!("ext::sh -c 'touch {}'", canary.display());

    let options = GitOptions { local_protocol: LocalProtocol::Refused, ..sandbox.options() };
    let git = Git::init(&program("git"), &sandbox.path().join("c"), &InitOptions::default(), options).unwrap();
    // A repository's own configuration cannot widen the list.
    let _done = git.checked(["config", "protocol.ext.allow", "always"]).unwrap();
    let _done = git.checked(["config", "protocol.file.allow", "always"]).unwrap();
    let folder = remote.common_dir().to_str().unwrap().to_owned();
    for url in [helper.as_str(), "git://127.0.0.1:1/x", "http://127.0.0.1:1/x", &folder, &format!("file://{folder}")] {
        let error = git.fetch(url, &["main"], None).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{url}: {error}");
    }
    assert!(!canary.exists());
}

#[test]
fn credentials_in_a_url_are_not_shown() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    let error = git.fetch("https://user:secret@127.0.0.1:1/x.git", &["main"], None).unwrap_err();
    assert_eq!(error.to_string(), "remote `https://***@127.0.0.1:1/x.git`: cannot be fetched from");
    assert_eq!(error.class(), ErrorClass::Temporary);
}

#[test]
fn t25_t49_a_password_in_a_url_is_hidden_in_everything_that_git_was_told_and_says() {
    let sandbox = Sandbox::new();
    let git = sandbox.bare("a.git");
    for url in [
        "https://user:s3cretword@127.0.0.1:1/x.git",
        "https://s3cretword@127.0.0.1:1/x.git",
        "https://127.0.0.1:1/x.git?token=s3cretword",
        "https://127.0.0.1:1/x.git?a=b&token=s3cretword",
        "https://user:pa/s3cretword@127.0.0.1:1/x.git",
        "HTTPS://user:s3cretword@127.0.0.1:1/x.git",
        "ext::https://user:s3cretword@127.0.0.1:1/x.git",
        "user:s3cretword@127.0.0.1:x.git",
        "//user:s3cretword@127.0.0.1/x.git",
    ] {
        for error in [
            git.fetch(url, &["main"], None).unwrap_err(),
            git.fetch_commits(url, &["refs/heads/*:refs/on/heads/*"]).unwrap_err(),
            git.ls_remote(url, &[]).unwrap_err(),
            git.remote_branches_and_tags(url).unwrap_err(),
            git.push(url, ABSENT, "refs/heads/main", None).unwrap_err(),
        ] {
            let whole = format!("{error} {:?} {}", error, std::error::Error::source(&error).unwrap());
            assert!(!whole.contains("s3cretword"), "{whole}");
        }
    }
    let config = std::fs::read_to_string(git.git_dir().join("config")).unwrap();
    assert!(!config.contains("127.0.0.1"), "{config}");
}

#[test]
fn commits_are_fetched_without_trees_and_gone_refs_go() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let _done = remote.checked(["config", "uploadpack.allowFilter", "true"]).unwrap();
    let first = commit(&remote, None, "1", &[write("a", "1")]);
    let second = commit(&remote, Some(&first), "2", &[write("a", "2")]);
    let apart = commit(&remote, Some(&first), "apart", &[write("a", "3")]);
    remote.update_ref("refs/heads/main", second.as_str(), None).unwrap();
    remote.update_ref("refs/heads/topic", apart.as_str(), None).unwrap();
    remote.update_ref("refs/pull/1/head", apart.as_str(), None).unwrap();
    let tag = remote.write_tag("v1", &first, "x", &identity()).unwrap();
    remote.update_ref("refs/tags/v1", &tag, None).unwrap();
    let url = remote.common_dir().to_str().unwrap();

    let git = sandbox.bare("own.git");
    let listed = git.remote_branches_and_tags(url).unwrap();
    let names: Vec<&str> = listed.iter().map(|reference| reference.name.as_str()).collect();
    assert_eq!(names, ["refs/heads/main", "refs/heads/topic", "refs/tags/v1"]);
    assert_eq!(listed[2].peeled.as_deref(), Some(first.as_str()));

    let refspecs = ["+refs/heads/*:refs/on/heads/*", "+refs/tags/*:refs/on/tags/*"];
    git.fetch_commits(url, &refspecs).unwrap();
    let containing = |commit| git.refs_containing(commit, "refs/on/").unwrap();
    assert_eq!(containing(&first), ["refs/on/heads/main", "refs/on/heads/topic", "refs/on/tags/v1"]);
    assert_eq!(containing(&second), ["refs/on/heads/main"]);
    let objects = git.text(["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]).unwrap();
    assert!(!objects.contains("tree") && !objects.contains("blob"), "{objects}");
    let missing = "2286238222862382228623822286238222862382".parse().unwrap();
    assert_eq!(git.refs_containing(&missing, "refs/on/").unwrap_err().class(), ErrorClass::NotFound);

    // The branch is deleted, and a branch with its name as a folder comes.
    remote.update_ref("refs/heads/topic", ABSENT, None).unwrap();
    remote.update_ref("refs/heads/topic/new", first.as_str(), None).unwrap();
    git.fetch_commits(url, &refspecs).unwrap();
    assert_eq!(containing(&apart), [""; 0]);
    assert_eq!(containing(&first), ["refs/on/heads/main", "refs/on/heads/topic/new", "refs/on/tags/v1"]);
}

#[test]
fn numbers_in_ids_and_paths_are_no_answers_of_a_server() {
    let sandbox = Sandbox::new();
    for number in ["401", "403", "429", "500", "503"] {
        let git = sandbox.bare("a.git");
        let folder = sandbox.path().join(format!("x-{number}-y"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("HEAD"), "nonsense").unwrap();
        let url = folder.to_str().unwrap();
        let error = git.fetch(url, &["main"], None).unwrap_err();
        assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
        // Our own side is at fault here, and its path is in the message.
        let own = sandbox.bare(&format!("own-{number}.git"));
        let remote = sandbox.bare("remote.git");
        let first = commit(&remote, None, number, &[write("a", number)]);
        remote.update_ref("refs/heads/main", first.as_str(), None).unwrap();
        let stale = own.git_dir().join("refs/on/main.lock");
        std::fs::create_dir_all(stale.parent().unwrap()).unwrap();
        std::fs::write(stale, "").unwrap();
        let url = remote.git_dir().to_str().unwrap();
        let error = own.fetch_commits(url, &["+refs/heads/main:refs/on/main"]).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{error:?}");
    }
}
