//! Gitea: a forge with users, tokens and a registry that has a token service of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::bench::{self, Missing, Part};
use crate::environment;
use crate::http::{self, HttpAnswer};
use crate::server::{Server, listening_socket};

/// The user that Gitea runs as when the tests run as root, which Gitea refuses.
const NOBODY: u32 = 65534;

/// Makes the database and the first user, serves, and ends with the process at the other end of standard input.
/// Standard output is the socket to listen on.
///
/// The text is fixed and what differs are its operands, so nothing of them is read as a program. Gitea chooses the
/// password and writes it into a file of ours: on a command line every process of the machine could read it.
const SCRIPT: &str = r#"
gitea=$1 config=$2 folder=$3 admin=$4
umask 077
"$gitea" migrate --config "$config" >&2 &&
"$gitea" admin user create --config "$config" --admin --username "$admin" --random-password \
    --email "$admin@example.org" --must-change-password=false > "$folder/created" || exit 1
# Handed a socket, Gitea takes its parent for the Gitea before it, and tells it to end.
trap '' TERM
LISTEN_FDS=1 "$gitea" web --config "$config" 3>&1 >&2 &
exec >&2
read -r _
kill -9 $!
wait
rm -rf "$folder"
"#;

/// A running Gitea with an administrator; it ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Gitea {
    // Its shell sees the end of its standard input when this is dropped.
    server: Option<Server>,
    address: String,
    folder: PathBuf,
    admin: GiteaUser,
}

/// A user of Gitea.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiteaUser {
    /// The name to log in with, and the first part of the user's repositories.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Who can see a user and the user's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Every user.
    Public,
    /// Only the user.
    Private,
}

impl Gitea {
    /// Starts a Gitea without content, once it answers: that takes some seconds.
    pub fn start() -> Result<Self, Missing> {
        let part = bench::part("gitea")?;
        let folder = TempDir::new().expect("a temporary folder can be made");
        // The shell removes it, also when the test process is killed.
        let folder = folder.keep().canonicalize().expect("the folder is there");
        let (socket, address) = listening_socket();
        let admin = GiteaUser { name: "overseer".to_owned(), password: String::new() };
        let mut command = environment::command("sh");
        let owner = owner_for(&part, &folder);
        let (config, log) = (folder.join("app.ini"), folder.join("gitea.log"));
        fs::write(&config, configuration(&part, &folder, &address, owner)).expect("the configuration can be written");
        if owner == Owner::Nobody {
            for path in [&folder, &config] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give a file away");
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        let log_file = fs::File::create(&log).expect("the log can be written");
        command.arg("-c").arg(SCRIPT).arg("sh").arg(part.program()).arg(&config).arg(&folder);
        command.arg(&admin.name).current_dir(&folder).env("HOME", &folder);
        command.stdin(Stdio::piped()).stdout(Stdio::from(socket)).stderr(log_file);
        let server = Server::of(command.spawn().expect("sh starts"), address.clone());
        // Ours would keep the socket open when Gitea does not start.
        drop(command);
        let mut gitea = Self { server: Some(server), address, folder, admin };
        // NOTE: who connects waits in the socket's queue until Gitea takes it up; no port is polled.
        let answer = http::try_send(&gitea.address, "GET", "/api/healthz", &[], "");
        let shown = || fs::read_to_string(&log).unwrap_or_default();
        assert!(answer.as_ref().is_ok_and(|answer| answer.status == 200), "{answer:?}; its log: {}", shown());
        let said = fs::read_to_string(gitea.folder.join("created")).expect("the user was made before it served");
        gitea.admin.password = generated_password(&said).expect("Gitea says the password that it thought of");
        Ok(gitea)
    }

    /// The one Gitea of this test process, or the running test is reported as skipped. Tests share it, each with users
    /// of its own.
    pub fn shared_or_skip() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Gitea, Missing>> = OnceLock::new();
        bench::or_skip(SHARED.get_or_init(Self::start).as_ref().map_err(Missing::clone))
    }

    /// Where it listens: `127.0.0.1:PORT`; the host of its registry too.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The root of its programming interface.
    pub fn api_url(&self) -> String {
        format!("{}/api/v1", self.url())
    }

    /// The administrator.
    pub fn admin(&self) -> &GiteaUser {
        &self.admin
    }

    /// Makes a user. Who sees the user sees the user's images.
    pub fn add_user(&self, name: &str, visibility: Visibility) -> GiteaUser {
        let user = GiteaUser { name: name.to_owned(), password: format!("{name}-password") };
        let visibility = match visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
        };
        let body = format!(
            r#"{{"username":"{name}","email":"{name}@example.org","password":"{}","must_change_password":false,"visibility":"{visibility}"}}"#,
            user.password
        );
        self.api_as(&self.admin, "POST", "/admin/users", &body);
        user
    }

    /// Makes an access token of a user with scopes such as `read:package`.
    pub fn add_token(&self, user: &GiteaUser, name: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| format!("\"{scope}\"")).collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"name":"{name}","scopes":[{scopes}]}}"#);
        let answer = self.api_as(user, "POST", &format!("/users/{}/tokens", user.name), &body);
        let token = answer.body.split_once(r#""sha1":""#).and_then(|(_, rest)| rest.split_once('"'));
        token.unwrap_or_else(|| panic!("no token in {answer:?}")).0.to_owned()
    }

    /// Asks its programming interface as a user; the path stands below [`Gitea::api_url`]. A refusal is a panic.
    pub fn api_as(&self, user: &GiteaUser, method: &str, path: &str, body: &str) -> HttpAnswer {
        let authorization = http::basic(&user.name, &user.password);
        let headers = [("Authorization", authorization.as_str())];
        let answer = http::send(&self.address, method, &format!("/api/v1{path}"), &headers, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer
    }
}

impl Drop for Gitea {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.wait();
        }
        // Where the shell did not come so far.
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The password in Gitea's line `generated random password is 'x'`.
fn generated_password(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("generated random password is '")?;
    // It may hold any sign; the quote that ends it is the last of its line.
    Some(rest.lines().next()?.rsplit_once('\'')?.0.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Gitea runs as the user of the tests.
    Tester,
    /// The tests run as root, and Gitea runs as `nobody`.
    Nobody,
    /// The tests run as root, and `nobody` cannot read the program.
    Root,
}

fn owner_for(part: &Part, folder: &Path) -> Owner {
    let of_others = |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|there| there.mode() & bit != 0);
    if fs::metadata(folder).expect("the folder is there").uid() != 0 {
        Owner::Tester
    } else if part.program().ancestors().chain(folder.ancestors().skip(1)).all(|path| of_others(path, 0o001)) {
        Owner::Nobody
    } else {
        Owner::Root
    }
}

fn configuration(part: &Part, folder: &Path, address: &str, owner: Owner) -> String {
    let port = address.rsplit_once(':').expect("an address has a port").1;
    let fixed = part.program().with_file_name("static");
    format!(
        "APP_NAME = Tests\n\
         RUN_MODE = prod\n\
         WORK_PATH = {folder}\n\
         I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {as_root}\n\
         [server]\n\
         PROTOCOL = http\n\
         HTTP_ADDR = 127.0.0.1\n\
         HTTP_PORT = {port}\n\
         ROOT_URL = http://{address}/\n\
         STATIC_ROOT_PATH = {fixed}\n\
         OFFLINE_MODE = true\n\
         DISABLE_SSH = true\n\
         LFS_START_SERVER = false\n\
         [database]\n\
         DB_TYPE = sqlite3\n\
         PATH = {folder}/gitea.db\n\
         SQLITE_JOURNAL_MODE = WAL\n\
         [security]\n\
         INSTALL_LOCK = true\n\
         SECRET_KEY = tests-only\n\
         PASSWORD_HASH_ALGO = pbkdf2$1000$50\n\
         [service]\n\
         DISABLE_REGISTRATION = true\n\
         [session]\n\
         PROVIDER = memory\n\
         [indexer]\n\
         ISSUE_INDEXER_TYPE = db\n\
         [cron]\n\
         ENABLED = false\n\
         [log]\n\
         MODE = console\n\
         LEVEL = Warn\n",
        folder = folder.display(),
        fixed = fixed.display(),
        as_root = owner == Owner::Root,
    )
}
