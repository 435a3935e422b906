//! Programs that keep logins: `docker-credential-NAME get`, with the server on standard input and JSON as the answer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{EndOnDrop, EnvVars, Interrupt, Invocation, ProcessError, ProcessErrorKind, Program};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::login::Login;
use super::work_tree::is_inside;

/// How helper programs are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HelperPrograms {
    /// The folders in which they are looked for, as in `PATH`. Relative ones are passed over.
    pub search_path: OsString,
    /// What they see of the environment.
    pub environment: EnvVars,
    /// How long one may take, by default 10 s; its whole process group is ended then.
    pub deadline: Duration,
}

impl HelperPrograms {
    /// Looks for programs in `search_path`, and shows them these variables alone.
    pub fn new(search_path: impl Into<OsString>, environment: EnvVars) -> Self {
        Self { search_path: search_path.into(), environment, deadline: Duration::from_secs(10) }
    }
}

/// What is left to a helper between the request to end and the end.
const GRACE: Duration = Duration::from_millis(500);
const OUTPUT_LIMIT: usize = 1 << 20;
/// How every helper says, in its answer, that it has no login.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The name of a helper: a plain word, so that it names nothing but a program on the search path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HelperName(String);

impl HelperName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        (!name.is_empty() && name.bytes().all(plain)).then(|| Self(name.to_owned()))
    }

    pub(crate) fn program(&self) -> String {
        format!("docker-credential-{}", self.0)
    }
}

/// What a helper answered.
#[derive(Clone, Debug)]
pub(crate) enum HelperAnswer {
    Login(Login),
    None,
    /// There is no such program on the search path.
    NotFound,
    /// It failed; the reason holds nothing of its output.
    Failed(String),
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: SecretString,
}

/// Asks a helper for the login of a server.
pub(crate) async fn ask(
    programs: &HelperPrograms,
    work_tree: Option<&Path>,
    helper: &HelperName,
    server: &str,
) -> HelperAnswer {
    let waiter = EndOnDrop(Interrupt::new());
    let interrupt = waiter.0.clone();
    let (programs, work_tree) = (programs.clone(), work_tree.map(Path::to_owned));
    let (helper, server) = (helper.clone(), server.to_owned());
    let asked = tokio::task::spawn_blocking(move || run(&programs, work_tree.as_ref(), &helper, &server, &interrupt));
    let answer = asked.await;
    drop(waiter);
    answer.unwrap_or_else(|_| HelperAnswer::Failed("could not be waited for".to_owned()))
}

fn run(
    programs: &HelperPrograms,
    work_tree: Option<&PathBuf>,
    helper: &HelperName,
    server: &str,
    interrupt: &Interrupt,
) -> HelperAnswer {
    let failed = |reason: &str| HelperAnswer::Failed(reason.to_owned());
    let program = match Program::find(&helper.program(), &programs.search_path) {
        Ok(program) => program,
        Err(error) if matches!(error.kind(), ProcessErrorKind::NotFound) => return HelperAnswer::NotFound,
        Err(error) => return HelperAnswer::Failed(reason(&error)),
    };
    let real = program.path().canonicalize().unwrap_or_else(|_| program.path().to_owned());
    if let Some(work_tree) = work_tree
        && is_inside(&real, work_tree)
    {
        return failed("lies inside the work tree and was not run");
    }
    let output = Invocation::new(&program)
        .arg("get")
        .envs(&programs.environment)
        .stdin(server)
        .deadline(programs.deadline)
        .grace(GRACE)
        .output_limit(OUTPUT_LIMIT)
        .interrupt(interrupt)
        .run();
    let output = match output {
        Ok(output) => output,
        Err(error) => return HelperAnswer::Failed(reason(&error)),
    };
    let (success, status) = (output.success(), output.status());
    let (stdout, stderr) = (Zeroizing::new(output.stdout), Zeroizing::new(output.stderr));
    if !success {
        let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(NOT_FOUND);
        // Its words are not repeated: a helper that fails may say what it failed with.
        return if says(&stdout) || says(&stderr) {
            HelperAnswer::None
        } else {
            HelperAnswer::Failed(format!("ended with {status}"))
        };
    }
    match serde_json::from_slice::<Wire>(&stdout) {
        Err(_) => failed("gave an answer that cannot be read"),
        Ok(Wire { secret, .. }) if secret.expose_secret().is_empty() => HelperAnswer::None,
        Ok(Wire { user, secret }) if user == TOKEN_USER => HelperAnswer::Login(Login::Identity(secret)),
        Ok(Wire { user, secret }) => HelperAnswer::Login(Login::Password { user, password: secret }),
    }
}

/// What went wrong, without the output that the error itself shows.
fn reason(error: &ProcessError) -> String {
    match error.kind() {
        ProcessErrorKind::NotStarted => "could not be started".to_owned(),
        ProcessErrorKind::Deadline(deadline) => format!("did not end within {} s", deadline.as_secs_f32()),
        ProcessErrorKind::OutputTooLarge(limit) => format!("wrote more than {limit} bytes"),
        _ => "could not be run".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t22_helper_names_are_plain_words() {
        for good in ["ecr-login", "secretservice", "a.b_c-1"] {
            assert_eq!(HelperName::parse(good).unwrap().program(), format!("docker-credential-{good}"));
        }
        for bad in ["", "../../evil", "a/b", "a b", "a\n", "ü", "a;b", "~"] {
            assert_eq!(HelperName::parse(bad), None, "{bad}");
        }
    }
}
