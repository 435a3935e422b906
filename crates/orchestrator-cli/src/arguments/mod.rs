//! Arguments: plain values only; their meaning is resolved in `context` and in the commands.

mod completions;
mod examples;
mod forge;
mod images;
mod lock;
mod operate;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use orchestrator::{Error, ErrorKind};

pub(crate) use forge::{
    ForgeCommand, ForgeInitArgs, HookArgs, PrCreateArgs, PrListArgs, PrMergeArgs, PrReviewArgs, PrState,
    PullRequestCommand, VerdictArgs,
};
pub(crate) use images::{ImagesCommand, ImagesExplainArgs};
pub(crate) use lock::{
    LockCheckArgs, LockCommand, LockCommitArgs, LockComposeArgs, LockDiffArgs, LockGenerateArgs, LockMigrateArgs,
    LockPublishArgs, LockRejectArgs, LockShowArgs, RevisionArgument,
};
pub(crate) use operate::{
    AnyEnvironmentArgs, ApprovalsArgs, DeployArgs, EnvironmentArgs, HistoryArgs, HistoryCommand, HoldArgs,
    PermissionsArgs, PlanArgs, PolicyAcceptArgs, PolicyCommand, PolicyTakeOverArgs, PromoteArgs, ReleaseArgs,
    ReleasesArgs, RollbackArgs, RunArgs, TestCommand, TestRunArgs, UnholdArgs,
};

use crate::output::Format;

/// Carries microservices from the integration branch to staging to production by one lock.
#[derive(Debug, clap::Parser)]
#[command(name = "orchestrator", version, arg_required_else_help = true)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The whole command line, with the examples of each command.
pub(crate) fn command() -> clap::Command {
    use clap::CommandFactory as _;
    examples::with_examples(Arguments::command())
}

/// How long a command may take.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5 * 60);
/// How long a command may take that runs suites: each of them has a deadline of its own.
const DEADLINE_WITH_SUITES: std::time::Duration = std::time::Duration::from_secs(60 * 60);

impl Arguments {
    /// How long the whole command may take.
    pub(crate) fn deadline(&self) -> std::time::Duration {
        self.global.deadline.unwrap_or(match &self.command {
            Command::Run(_) | Command::Rollback(_) | Command::Test(_) => DEADLINE_WITH_SUITES,
            Command::Lock(LockCommand::Generate(args)) => DEADLINE + args.wait.unwrap_or_default(),
            Command::Lock(LockCommand::Publish(args)) => DEADLINE + args.wait.unwrap_or_default(),
            Command::Lock(_)
            | Command::Images(_)
            | Command::Completion(_)
            | Command::Version
            | Command::Man(_)
            | Command::Health(_)
            | Command::Permissions(_)
            | Command::Plan(_)
            | Command::Deploy(_)
            | Command::Verify(_)
            | Command::Drift(_)
            | Command::Promote(_)
            | Command::Approvals(_)
            | Command::Release(_)
            | Command::Hold(_)
            | Command::Unhold(_)
            | Command::Policy(_)
            | Command::Status(_)
            | Command::History(_)
            | Command::Releases(_)
            | Command::Config(_)
            | Command::Schema(_)
            | Command::Demo(_)
            | Command::Forge(_)
            | Command::Reference(_) => DEADLINE,
        })
    }
}

/// Arguments of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Clone or bare repository of the superproject.
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".")]
    pub repository: PathBuf,
    /// Folder of the local forge; default: where the clone's `origin` lies.
    #[arg(long, global = true, value_name = "DIR", env = crate::environment::FORGE.name, hide_env_values = true, value_parser = folder())]
    forge: Option<PathBuf>,
    /// User of the local forge who acts; default: the person with git's `user.email`, and the forge's bot where `CI` is `true`.
    #[arg(long = "as", global = true, value_name = "USER", env = crate::environment::ACTOR.name, hide_env_values = true, add = completions::users())]
    actor: Option<String>,
    /// Output for people, for machines, or for a GitHub Actions log.
    #[arg(short = 'o', long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = clap::ColorChoice::Auto)]
    pub color: clap::ColorChoice,
    /// No progress; results, warnings and errors stay.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show every program that is started and every request to a registry.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Longest time of the whole command, such as `90s`; default: 5m, and 1h where suites run.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<std::time::Duration>,
    /// Folder for what was fetched; default: beside the git objects.
    #[arg(long, global = true, value_name = "DIR", env = crate::environment::CACHE.name, hide_env_values = true, value_parser = folder())]
    cache: Option<PathBuf>,
    /// Print help.
    // One form for both names: the long one takes three lines an option.
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

/// Empty counts as not given: CI systems set variables to nothing where an input is missing. What is not a user's name
/// is an error of the commands that need one alone.
impl GlobalArgs {
    /// Folder of the local forge.
    pub(crate) fn forge(&self) -> Option<PathBuf> {
        self.forge.clone().filter(|folder| !folder.as_os_str().is_empty())
    }

    /// Folder for what was fetched.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        self.cache.clone().filter(|folder| !folder.as_os_str().is_empty())
    }

    /// Who acts.
    pub(crate) fn actor(&self) -> orchestrator::Result<Option<lock_model::UserName>> {
        let given = self.actor.as_deref().filter(|name| !name.is_empty());
        given.map(str::parse).transpose().map_err(|error: lock_model::IdentifierError| {
            let variable = crate::environment::ACTOR.name;
            Error::new(ErrorKind::Usage, error.to_string())
                .hint(format!("the user who acts is given by `--as`, or by the variable `{variable}`"))
        })
    }
}

/// Takes any folder, an empty text included.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make, judge, compare, publish and commit locks.
    #[command(subcommand)]
    Lock(LockCommand),
    /// Explain how images are found.
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Run every step that an environment's newest commit still needs.
    Run(RunArgs),
    /// Ask whether an environment can take a deployment.
    Health(EnvironmentArgs),
    /// Show the least rights in its cluster that deployments of an environment need.
    Permissions(PermissionsArgs),
    /// Show what a deployment would change.
    Plan(PlanArgs),
    /// Deploy the locked digests: gates, health, apply, proof.
    Deploy(DeployArgs),
    /// Compare what is deployed with the lock.
    Verify(EnvironmentArgs),
    /// Compare what is deployed with the lock, and say what was edited, deleted or added since.
    Drift(EnvironmentArgs),
    /// Run test suites.
    #[command(subcommand)]
    Test(TestCommand),
    /// Open or refresh the promotion pull request of proven content.
    Promote(PromoteArgs),
    /// Count the approvals of a promotion.
    Approvals(ApprovalsArgs),
    /// Tag and archive the release of proven production content.
    Release(ReleaseArgs),
    /// Deploy an older release again, and hold the environment.
    Rollback(RollbackArgs),
    /// Stop deployments to an environment.
    Hold(HoldArgs),
    /// Allow deployments to an environment again.
    Unhold(UnholdArgs),
    /// Decide, as an administrator, about the rules of an environment.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show where each environment stands.
    #[command(
        after_help = "The ledger alone says it. Records are not signed: a user who can move the ledger's branch \
                            past the forge's rules can make them up, and a fresh clone does not notice (docs/ledger.md)."
    )]
    Status(AnyEnvironmentArgs),
    /// Show the ledger as a table.
    History(HistoryArgs),
    /// List the releases that were proven or archived, and where each can be gone back to.
    Releases(ReleasesArgs),
    /// Judge and show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the JSON Schemas of the formats.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Run the whole flow on a shop that is made on the spot.
    Demo(DemoArgs),
    /// Act on the local forge: pull requests, reviews, merges.
    #[command(subcommand)]
    Forge(ForgeCommand),
    /// Print the completions of a shell.
    Completion(CompletionArgs),
    /// Write the manual pages.
    Man(ManArgs),
    /// Print the version.
    Version,
    /// Write the reference pages.
    #[command(hide = true)]
    Reference(ReferenceArgs),
}

/// Commands about the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Judge `orchestrator.yaml`: every mistake, with its place.
    Check(ConfigCheckArgs),
    /// Show the configuration after merging.
    Show(ConfigShowArgs),
    /// Write the shortest `orchestrator.yaml` that fits the submodules of this repository.
    Init(ConfigInitArgs),
}

/// What the images are called.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigInitArgs {
    /// The repository of a service's image; default: the registry of the submodules' host, such as `ghcr.io/shop/{name}`.
    #[arg(long, value_name = "TEMPLATE")]
    pub image: Option<String>,
    /// A tag to look for; can be given several times; default: `sha-{sha7}`, `main-{sha7}`, `{sha}`.
    #[arg(long, value_name = "TEMPLATE")]
    pub tag: Vec<String>,
}

/// Which configuration.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Read the file of this commit or branch instead of the work tree's.
    #[arg(long, value_name = "REV", add = completions::revisions())]
    pub rev: Option<String>,
}

/// What to judge.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigCheckArgs {
    /// Where to read it.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Render the charts of every environment, in the newest commit without `--rev`, and say which `target.image-values` give
    /// them their locked images. Needs helm, and no cluster.
    #[arg(long)]
    pub suggest: bool,
}

/// Which part of the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigShowArgs {
    /// Where to read it.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only this environment, everything merged.
    #[arg(value_name = "ENVIRONMENT", add = completions::environments())]
    pub environment: Option<lock_model::EnvironmentName>,
    /// Say for each value where it came from.
    #[arg(long)]
    pub origin: bool,
}

/// Commands about schemas.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SchemaCommand {
    /// Print one schema.
    Print(SchemaPrintArgs),
}

/// Which schema.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaPrintArgs {
    /// The format.
    #[arg(value_enum)]
    pub kind: SchemaKind,
}

/// Formats that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SchemaKind {
    /// `locks/lock.yaml`.
    Lock,
    /// What a microservice's CI emits.
    Metadata,
    /// `orchestrator.yaml`.
    Config,
    /// One record of the ledger.
    LedgerRecord,
    /// What every command prints as JSON.
    Report,
    /// The documents that the ledger keeps beside its records.
    Evidence,
    /// The file that `plan --save` writes.
    Plan,
}

/// How the demo runs.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Where to make the shop; must be empty or missing. Default: a new folder below the temporary folder.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Wait for the return key after each scene.
    #[arg(long)]
    pub pause: bool,
    /// Play on the cluster of the current kubeconfig context, in a namespace that is made for it and removed again.
    #[arg(long, requires = "registry")]
    pub cluster: bool,
    /// With `--cluster`: the registry and path that the demo's own images are pushed to, and removed from again.
    #[arg(long, value_name = "HOST/PREFIX", requires = "cluster")]
    pub registry: Option<String>,
    /// With `--cluster`: the namespace, which must not exist.
    #[arg(long, value_name = "NAME", default_value = "orchestrator-demo", requires = "cluster")]
    pub namespace: String,
    /// With `--cluster`: begin without asking.
    #[arg(long, requires = "cluster")]
    pub yes: bool,
}

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Where the manual goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write one page a command into this folder instead of the first page to stdout.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Which reference page.
#[derive(Debug, clap::Args)]
pub(crate) struct ReferenceArgs {
    /// The page.
    #[arg(value_enum)]
    pub page: ReferencePage,
}

/// Generated pages of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReferencePage {
    /// Every command with its arguments.
    Cli,
    /// The exit codes.
    ExitCodes,
    /// The environment variables.
    Environment,
}

/// Parses the number of a pull request.
fn pull_request(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "the number of a pull request is wanted, such as `7`; `forge pr list` shows them".to_owned())
}

/// Parses the number of a record.
fn record(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "the number of a record is wanted, such as `42`; `history` shows them".to_owned())
}

/// Parses how many of something are wanted.
fn amount(text: &str) -> Result<usize, String> {
    let number = text.parse::<std::num::NonZeroUsize>();
    number.map(usize::from).map_err(|_| "a whole number from 1 is wanted, such as `20`".to_owned())
}

/// Parses durations such as `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    config::parse_duration(text).map_err(|error| error.to_string())
}

/// Parses a time, or a day, which begins at midnight UTC.
fn moment(text: &str) -> Result<lock_model::Timestamp, String> {
    let day = text.parse::<lock_model::Date>().map(|day| format!("{day}T00:00:00Z"));
    let wanted = "a day such as `2026-01-05`, or a time such as `2026-01-05T09:00:00Z`";
    day.as_deref().unwrap_or(text).parse().map_err(|_| format!("not {wanted}"))
}

/// A reason that people read later: the ledger takes no empty one.
fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason says something".to_owned());
    }
    Ok(text.to_owned())
}
