//! How remotes are reached with what a job has: real git, a real server that asks for a header.

use std::path::Path;
use std::sync::Arc;

use git::{Git, GitErrorKind, GitOptions, InitOptions, LocalProtocol, PlainHttp, Transport};
use lock_model::ErrorClass;
use process::EnvVars;
use test_support::GitServer;

use crate::sandbox::{Sandbox, commit, program, write};

const PASSWORD: &str = "canary-s3cret";

/// A clone, a server of one repository, and the commit that it has.
struct Job {
    sandbox: Sandbox,
    clone: Git,
    server: GitServer,
}

impl Job {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let remote = sandbox.bare("served/cart.git");
        let _done = remote.checked(["config", "uploadpack.allowFilter", "true"]).unwrap();
        let first = commit(&remote, None, "1", &[write("a", "1")]);
        remote.update_ref("refs/heads/main", first.as_str(), None).unwrap();
        let clone = sandbox.init("clone", &InitOptions { bare: false, ..InitOptions::default() });
        let server = GitServer::start(sandbox.path().join("served"), "robot", PASSWORD);
        Self { sandbox, clone, server }
    }

    fn url(&self) -> String {
        format!("http://{}/cart.git", self.server.address())
    }

    fn header(&self) -> String {
        format!("AUTHORIZATION: {}", self.server.authorization())
    }

    fn local(&self, key: &str, value: &str) {
        let _done = self.clone.checked(["config", "--local", "--add", key, value]).unwrap();
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.sandbox.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn program(&self, name: &str, text: &str) -> String {
        let path = self.file(name, text);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn options(&self, transport: Transport) -> GitOptions {
        GitOptions {
            plain_http: PlainHttp::Allowed,
            local_protocol: LocalProtocol::Allowed,
            transport: Some(Arc::new(transport)),
            ..self.sandbox.options()
        }
    }

    /// Lists and fetches in a repository of its own; the text of the error where there is one.
    fn ask(&self, job: &EnvVars, url: &str) -> Result<(), git::GitError> {
        let options = self.options(self.clone.transport(job).unwrap());
        let own = self.sandbox.path().join("own");
        let git = Git::init(&program("git"), &own, &InitOptions::default(), options).unwrap();
        git.remote_branches_and_tags(url)?;
        git.fetch(url, &["+refs/heads/main:refs/heads/main"], Some(1))?;
        let commits = self.sandbox.path().join("commits");
        let git = Git::init(&program("git"), &commits, &InitOptions::default(), git.options().clone()).unwrap();
        git.fetch_commits(url, &["+refs/heads/*:refs/on/*"])?;
        for folder in [&own, &commits] {
            let config = std::fs::read_to_string(folder.join("config")).unwrap();
            assert!(!config.contains("127.0.0.1") && !config.contains("canary"), "{config}");
            std::fs::remove_dir_all(folder).unwrap();
        }
        Ok(())
    }

    fn unset(&self, key: &str) {
        let _done = self.clone.checked(["config", "--local", "--unset-all", key]).unwrap();
    }
}

fn no_job() -> EnvVars {
    EnvVars::new()
}

#[track_caller]
fn assert_denied(answer: Result<(), git::GitError>) {
    let error = answer.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error:?}");
    let whole = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
    assert!(!whole.contains("canary") && !whole.contains("Y2FuYXJ5"), "{whole}");
}

#[test]
fn t71_headers_of_the_clone_and_its_includes_are_sent() {
    let job = Job::new();
    let (url, header) = (job.url(), job.header());
    assert_denied(job.ask(&no_job(), &url));

    let host = format!("http.http://{}/.extraheader", job.server.address());
    job.local(&host, &header);
    job.ask(&no_job(), &url).unwrap();
    job.unset(&host);
    job.local("http.extraHeader", &header);
    job.ask(&no_job(), &url).unwrap();
    job.unset("http.extraHeader");

    // As `actions/checkout` 6 has it: a file of the runner that the clone includes for its own folder.
    let file = job.file("credentials.config", &format!("[http \"{url}\"]\n\textraheader = {header}\n"));
    let included = format!("includeIf.gitdir:{}.path", job.clone.git_dir().display());
    job.local(&included, &file);
    job.ask(&no_job(), &url).unwrap();
    job.unset(&included);
    let elsewhere = "includeIf.gitdir:/nowhere/.git.path";
    job.local(elsewhere, &file);
    assert_denied(job.ask(&no_job(), &url));
    job.unset(elsewhere);

    // Another host's header stays with that host.
    job.local("http.https://github.com/.extraheader", &header);
    assert_denied(job.ask(&no_job(), &url));
}

#[test]
fn t71_variables_and_files_of_the_job_are_taken() {
    let job = Job::new();
    let (url, header) = (job.url(), job.header());
    let helper = format!("!f() {{ echo username=robot; echo password={PASSWORD}; }}; f");
    let ask = "#!/bin/sh\ncase \"$1\" in Username*) echo robot;; *) echo $GIT_PASSWORD;; esac\n";
    let ask = job.program("ask", ask);
    let global = job.file("global", &format!("[http]\n\textraHeader = {header}\n"));
    let helping = job.file("helping", &format!("[credential \"{url}\"]\n\thelper = \"{helper}\"\n"));
    let asking = job.file("asking", &format!("[core]\n\taskPass = {ask}\n"));
    let clone = job.clone.git_dir().parent().unwrap().display();
    let only_here = job.file("only-here", &format!("[includeIf \"gitdir:{clone}/\"]\n\tpath = {helping}\n"));
    let with = |variables: &[(&str, &str)]| variables.iter().copied().collect::<EnvVars>();
    for variables in [
        with(&[("GIT_ASKPASS", &ask), ("GIT_PASSWORD", PASSWORD)]),
        with(&[("SSH_ASKPASS", &ask), ("GIT_PASSWORD", PASSWORD)]),
        with(&[("GIT_CONFIG_GLOBAL", &asking), ("GIT_PASSWORD", PASSWORD)]),
        with(&[("GIT_CONFIG_GLOBAL", &global)]),
        with(&[("GIT_CONFIG_GLOBAL", &helping)]),
        with(&[("GIT_CONFIG_GLOBAL", &only_here)]),
        with(&[("GIT_CONFIG_SYSTEM", &helping)]),
        with(&[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "http.extraHeader"), ("GIT_CONFIG_VALUE_0", &header)]),
        with(&[("GIT_CONFIG_PARAMETERS", &format!("'http.extraHeader'='{header}'"))]),
    ] {
        job.ask(&variables, &url).unwrap_or_else(|error| panic!("{variables:?}: {error:?}"));
    }
    for (name, value) in [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_SYSTEM", "/dev/null")] {
        assert_denied(job.ask(&with(&[("GIT_CONFIG_SYSTEM", &helping), (name, value)]), &url));
    }
    std::fs::write(job.sandbox.path().join(".gitconfig"), format!("[credential]\n\thelper = \"{helper}\"\n")).unwrap();
    job.ask(&no_job(), &url).unwrap();
    // A variable that names a repository, or writes what git does into a log, is not taken.
    let trace = job.sandbox.path().join("trace");
    let other = job.sandbox.bare("other.git");
    let hostile = with(&[
        ("GIT_DIR", other.git_dir().to_str().unwrap()),
        ("GIT_TRACE_CURL", trace.to_str().unwrap()),
        ("GIT_TRACE", trace.to_str().unwrap()),
        ("GIT_ALLOW_PROTOCOL", "none"),
        ("GIT_EXEC_PATH", "/nonexistent"),
    ]);
    job.ask(&hostile, &url).unwrap();
    assert!(!trace.exists());
}

#[test]
fn t71_programs_that_the_clone_names_are_not_run_and_are_named() {
    let job = Job::new();
    let canary = job.sandbox.path().join("canary");
    let evil = job.program("evil", &format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", canary.display()));
    let evil_helper = format!("!{evil}");
    for (key, value) in [
        ("credential.helper", evil_helper.as_str()),
        ("credential.https://me:s3cret@h.example.helper", &evil_helper),
        ("core.sshCommand", &evil),
        ("core.askPass", &evil),
        ("core.gitProxy", &evil),
        ("http.cookieFile", &evil),
        ("http.sslVerify", "false"),
        ("remote.origin.uploadpack", &evil),
        ("protocol.ext.allow", "always"),
    ] {
        job.local(key, value);
    }
    job.local("include.path", &job.file("more", &format!("[credential]\n\thelper = {evil}\n\tusername = x\n")));
    let transport = job.clone.transport(&no_job()).unwrap();
    let expected = [
        "core.sshcommand",
        "core.askpass",
        "core.gitproxy",
        "credential.helper",
        "credential.https://***@h.example.helper",
    ];
    assert_eq!(transport.ignored(), expected);
    assert!(!format!("{transport:?}").contains("s3cret"), "{transport:?}");
    assert_denied(job.ask(&no_job(), &job.url()));
    job.ask(&no_job(), "ssh://127.0.0.1:1/x").unwrap_err();
    assert!(!canary.exists(), "{}", std::fs::read_to_string(&canary).unwrap_or_default());

    // The same of the job's own are used, in the order in which git asks for them.
    let ran = |variables: &[(&str, &str)]| {
        job.ask(&variables.iter().copied().collect(), "ssh://127.0.0.1:1/x").unwrap_err();
        let ran = std::fs::read_to_string(&canary).unwrap_or_default();
        drop(std::fs::remove_file(&canary));
        ran.lines().next().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
    };
    let global = job.file("global", &format!("[core]\n\tsshCommand = {evil}\n"));
    let spaced = job.program("it's a program", &format!("#!/bin/sh\necho spaced >> {}\n", canary.display()));
    assert_eq!(ran(&[("GIT_SSH_COMMAND", &evil)]), evil);
    assert_eq!(ran(&[("GIT_CONFIG_GLOBAL", &global)]), evil);
    assert_eq!(ran(&[("GIT_SSH", &spaced)]), "spaced");
    assert_eq!(ran(&[("GIT_SSH", &spaced), ("GIT_CONFIG_GLOBAL", &global)]), evil);
    assert_eq!(ran(&[]), "");
}

#[test]
fn t71_an_address_is_rewritten_as_git_does_and_never_to_a_folder_or_a_program() {
    let job = Job::new();
    let address = job.server.address().to_owned();
    let served = job.sandbox.path().join("served");
    let canary = job.sandbox.path().join("canary");
    let with_login = format!("http://robot:{PASSWORD}@{address}/");
    job.local(&format!("url.{with_login}.insteadOf"), "https://git.example/shop/");
    job.local("url.https://other.example/.insteadOf", "https://git.example/");
    job.local(&format!("url.file://{}/.insteadOf", served.display()), "https://folder.example/");
    job.local(&format!("url.{}/.insteadOf", served.display()), "https://path.example/");
    job.local(&format!("url.ext::sh -c 'touch {}' .insteadOf", canary.display()), "https://program.example/");
    job.local("url.-oProxyCommand=x:.insteadOf", "https://option.example/");
    job.local("url.git://h/.insteadOf", "https://plain.example/");
    let transport = job.clone.transport(&no_job()).unwrap();
    for url in
        ["https://git.example/shop/cart.git", "https://git.example/x", "https://h.example/x", "/srv/x", "git.example:x"]
    {
        let theirs = job.clone.text(["ls-remote", "--get-url", url]).unwrap();
        assert_eq!(transport.rewritten(url), theirs, "{url}");
    }
    job.ask(&no_job(), "https://git.example/shop/cart.git").unwrap();
    let missing = job.ask(&no_job(), "https://git.example/shop/nothing.git").unwrap_err();
    let whole = format!("{missing} {missing:?} {:?}", std::error::Error::source(&missing));
    assert!(!whole.contains("canary"), "{whole}");
    for host in ["folder", "path", "program", "option", "plain"] {
        let url = format!("https://{host}.example/cart.git");
        let error = job.ask(&no_job(), &url).unwrap_err();
        assert_eq!((error.kind(), error.class()), (GitErrorKind::Rewritten, ErrorClass::Invalid), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
    assert!(!canary.exists());
    // A folder that was named as a folder is one.
    job.ask(&no_job(), served.join("cart.git").to_str().unwrap()).unwrap();
    assert!(Path::new(&served).is_dir());
}
