//! Running commands on the demo's shop and showing them: the command as typed, its real output, its exit code.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{EnvVars, Invocation, ProcessErrorKind, Program};

use super::server::Server;
use super::shop::Shop;
use crate::surroundings::children;
use crate::{environment, interruption};
use orchestrator::{Error, ErrorKind, Result};

/// Longest time of one command.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long an interrupted command may take to end in order.
const GRACE: Duration = Duration::from_secs(30);

/// One scene of the transcript.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Scene {
    /// Its title.
    title: String,
    /// Why it is there, in one sentence.
    why: String,
    /// The commands in it.
    commands: Vec<Shown>,
}

/// One command of the transcript.
#[derive(Clone, Debug, serde::Serialize)]
struct Shown {
    command: String,
    output: String,
    exit_code: i32,
}

/// The shop, the server that stands for its environments, and the transcript.
pub(super) struct Stage {
    /// The shop.
    pub shop: Shop,
    root: PathBuf,
    binary: Program,
    // Held: it ends with the stage.
    _server: Option<Server>,
    /// What every command of ours is given besides.
    variables: EnvVars,
    live: bool,
    pause: bool,
    scenes: Vec<Scene>,
}

/// How much of a command's output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// All of it.
    All,
    /// Its first line: the story told before.
    First,
}

impl Stage {
    /// A stage on which every command has these variables.
    pub(super) fn new(root: PathBuf, shop: Shop, variables: EnvVars, live: bool, pause: bool) -> Result<Self> {
        let binary = std::env::current_exe().map_err(|error| failed("the program does not know where it is", error))?;
        let binary = Program::at(binary);
        Ok(Self { shop, root, binary, _server: None, variables, live, pause, scenes: Vec::new() })
    }

    /// The same with a server that stands for two environments, at a fixed time.
    pub(super) fn with_server(root: PathBuf, shop: Shop, clock: &'static str, live: bool, pause: bool) -> Result<Self> {
        let outages = root.join("outages");
        std::fs::create_dir_all(&outages).map_err(|error| failed("the folder `outages` cannot be made", error))?;
        let server = Server::start(shop.superproject()?, outages)
            .map_err(|error| Error::new(ErrorKind::Bug, format!("the demo's server does not start: {error}")))?;
        let variables = EnvVars::new()
            .set(environment::CLOCK.name, clock)
            .set("STAGING_URL", server.url("staging"))
            .set("PRODUCTION_URL", server.url("production"));
        Ok(Self { _server: Some(server), ..Self::new(root, shop, variables, live, pause)? })
    }

    /// The program that plays.
    pub(crate) fn binary(&self) -> &Path {
        self.binary.path()
    }

    /// The folder of the demo.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a scene.
    pub(super) fn scene(&mut self, title: &str, why: &str) {
        if self.pause && !self.scenes.is_empty() {
            self.say("\n[return] ");
            let mut line = String::new();
            // Without a terminal the story simply goes on.
            let _end_of_input = std::io::stdin().lock().read_line(&mut line);
        }
        let number = self.scenes.len() + 1;
        self.say(&format!("\n━━ {number}. {title}\n   {why}\n"));
        self.scenes.push(Scene { title: title.to_owned(), why: why.to_owned(), commands: Vec::new() });
    }

    /// Something that happens outside of orchestrator.
    pub(super) fn note(&mut self, text: &str) {
        self.say(&format!("\n   ({text})\n"));
    }

    /// A command of this binary, run in the clone as a user would type it; the exit code must be the story's.
    pub(super) fn orchestrator(&mut self, line: &str, expected: i32, show: Show) -> Result<String> {
        self.run(line, &self.shop.clone_folder(), expected, show)
    }

    /// The same as the forge's bot: what a CI job does.
    pub(super) fn job(&mut self, line: &str, expected: i32, show: Show) -> Result<String> {
        self.orchestrator(&format!("--as orchestrator {line}"), expected, show)
    }

    /// The same in the demo's own folder.
    pub(super) fn orchestrator_in_root(&mut self, line: &str, expected: i32, show: Show) -> Result<String> {
        let root = self.root.clone();
        self.run(line, &root, expected, show)
    }

    fn run(&mut self, line: &str, folder: &Path, expected: i32, show: Show) -> Result<String> {
        let words = words(line);
        // A terminal shows progress while the command works; what stays there is what is shown here.
        let invocation = Invocation::new(&self.binary).arg("-q").args(&words).envs(&self.environment(None));
        let command = format!("orchestrator {line}");
        self.execute(&command, invocation, folder, expected, show)
    }

    /// A command of git, as a user.
    pub(super) fn git(&mut self, line: &str, user: &str, expected: i32) -> Result<String> {
        let program = super::find_git()?;
        let folder = self.shop.clone_folder();
        // The user in the story has no signing key, and no hooks of a company.
        let invocation = Invocation::new(&program)
            .args(words(line))
            .envs(&self.environment(Some(user)))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let command = format!("{}={user} git {line}", environment::ACTOR.name);
        self.execute(&command, invocation, &folder, expected, Show::All)
    }

    /// An environment's dependency goes down.
    pub(super) fn outage(&mut self, what: &str, begin: bool) -> Result<()> {
        let file = self.root.join("outages").join(what);
        let done = if begin { std::fs::write(&file, "") } else { std::fs::remove_file(&file) };
        done.map_err(|error| failed("an outage cannot be changed", error))
    }

    /// The transcript.
    pub(super) fn into_scenes(self) -> Vec<Scene> {
        self.scenes
    }

    fn environment(&self, user: Option<&str>) -> EnvVars {
        let mut list = children(None);
        if let Some(user) = user {
            list.insert(environment::ACTOR.name, user);
        }
        for (name, value) in self.variables.iter() {
            list.insert(name, value);
        }
        list
    }

    fn execute(
        &mut self,
        command: &str,
        invocation: Invocation,
        folder: &Path,
        expected: i32,
        show: Show,
    ) -> Result<String> {
        if interruption::is_requested() {
            return Err(interrupted(format!("the demo was interrupted before `{command}`")));
        }
        self.say(&format!("\n$ {command}\n"));
        let invocation =
            invocation.current_dir(folder).deadline(DEADLINE).grace(GRACE).interrupt(&interruption::interrupt());
        let output = invocation.run().map_err(|error| {
            if matches!(error.kind(), ProcessErrorKind::Interrupted) {
                interrupted(format!("the demo was interrupted in `{command}`"))
            } else {
                Error::from_source(ErrorKind::Bug, format!("`{command}` did not end"), error)
            }
        })?;
        let text = format!("{}{}", output.stderr_text(), output.stdout_text());
        let shown = match show {
            Show::All => text.clone(),
            Show::First => text
                .lines()
                .rfind(|line| !line.is_empty())
                .map(|_| first_line(&output.stdout_text()))
                .unwrap_or_default(),
        };
        let code = output.code.unwrap_or(-1);
        self.say(&shown);
        self.say(&format!("[exit {code}]\n"));
        if let Some(scene) = self.scenes.last_mut() {
            scene.commands.push(Shown { command: command.to_owned(), output: shown, exit_code: code });
        }
        if code == expected {
            Ok(text)
        } else {
            let message = format!("the demo expected exit code {expected} of `{command}`, it was {code}");
            Err(Error::from_source(ErrorKind::Bug, message, text)
                .hint(format!("look around in {}", self.root.display())))
        }
    }

    fn say(&self, text: &str) {
        if self.live {
            let mut out = std::io::stdout().lock();
            // A reader that went away ends the demo with its next command, not here.
            let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// Splits a command line as typed here: words, and quoted words.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn first_line(text: &str) -> String {
    text.lines().next().map(|line| format!("{line}\n")).unwrap_or_default()
}

fn interrupted(message: String) -> Error {
    Error::new(ErrorKind::Interrupted, message)
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::from_source(ErrorKind::Bug, what, error)
}
