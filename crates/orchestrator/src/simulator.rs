//! The local forge itself: making it, and judging pushes for its hook.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use forge::local::{self, LocalForge};
use forge::simulator::{ForgeSettings, HookProgram, PushVerdict};
use forge::{BranchRules, ForgeError, ForgeErrorKind, RefPattern, RequiredStatus, Role, User, WriteOutcome};
use git::Git;
use lock_model::{BranchName, Timestamp, UserName};

use crate::clock::Clock;
use crate::context::{Surroundings, find_git, git_error, git_options, who_acts};
use crate::engine::{APPROVALS_STATUS, LOCK_STATUS, SUITES_STATUS};
use crate::error::{Error, ErrorKind, Result};
use crate::hints::shell_word;
use crate::identity::Actor;
use crate::labels::other_names;
use crate::report::v1::{ForgeInitReport, UpdateVerdictReport};

/// How to make a local forge.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForgeInitRequest {
    /// The bot that orchestrator acts as.
    pub bot: UserName,
    /// The people.
    pub users: Vec<User>,
    /// The protected branches, and the statuses that a merge to each needs.
    pub protect: Vec<(BranchName, Vec<String>)>,
    /// The protected branch that the bot commits locks to, past its rules; `None`: `staging`, where it is protected.
    pub locks_on: Option<BranchName>,
    /// The branches and tags that only bots move.
    pub reserve: Vec<RefPattern>,
    /// Change a forge that is there already.
    pub update: bool,
    /// The program that the `update` hook calls, with `forge hook`.
    pub binary: std::path::PathBuf,
}

impl ForgeInitRequest {
    /// A forge whose only user is a bot.
    pub fn new(bot: UserName, binary: impl Into<std::path::PathBuf>) -> Self {
        Self {
            bot,
            users: Vec::new(),
            protect: Vec::new(),
            locks_on: None,
            reserve: RefPattern::defaults(),
            update: false,
            binary: binary.into(),
        }
    }
}

/// Makes the forge's files beside a bare repository and installs its hook, or gives a forge that is there these settings.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the repository is not bare, where two people have one address, and where locks are to be
/// committed to a branch that is not protected.
pub fn init_forge(
    repository: &Path,
    request: &ForgeInitRequest,
    surroundings: &Surroundings,
) -> Result<ForgeInitReport> {
    let program = find_git(surroundings)?;
    let git = Git::open(&program, repository, git_options(surroundings, Some(&request.bot)))
        .map_err(|error| Error::from_source(ErrorKind::Repository, "the bare repository cannot be opened", error))?;
    let root = folder_around(&git)?;
    let warnings = unmade_branches(&git, repository, &request.protect)?;
    if git.work_tree().is_some() {
        return Err(Error::new(ErrorKind::Usage, format!("`{}` is no bare repository", repository.display()))
            .hint("make one with `git clone --bare`, and name it with `--repository`"));
    }
    one_user_a_mail(&request.users)?;
    let bot = &request.bot;
    one_user_a_name(bot, &request.users)?;
    known_statuses(&request.protect)?;
    let locks_on = match &request.locks_on {
        Some(branch) if !request.protect.iter().any(|(protected, _)| protected == branch) => {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("locks are to be committed to `{branch}`, which is not protected"),
            )
            .hint(format!("protect it: `--protect {branch}=orchestrator/lock,orchestrator/suites`")));
        }
        Some(branch) => branch.as_str(),
        None => "staging",
    };
    let mut settings = ForgeSettings::default();
    settings.reserved.clone_from(&request.reserve);
    settings.users.push(User::bot(bot.clone(), Role::Write));
    settings.users.extend(request.users.iter().cloned());
    for (branch, required) in &request.protect {
        let required_statuses =
            required.iter().map(|context| RequiredStatus::new(context.clone(), Some(bot.clone()))).collect();
        let bypass = if branch.as_str() == locks_on { vec![bot.clone()] } else { Vec::new() };
        settings.branches.insert(branch.clone(), BranchRules::new(required_statuses, bypass));
    }
    let (written, changes) = if request.update {
        (WriteOutcome::Updated, forge::simulator::update(&root, &settings)?)
    } else {
        (forge::simulator::init(&root, &settings).map_err(|error| is_there(error, &root))?, Vec::new())
    };
    // Nothing that carries a time is written.
    let clock = local::Clock::fixed(Timestamp::from_unix_seconds(0));
    let forge = LocalForge::open(&root, git, Some(bot.clone()), clock)?;
    let hook = HookProgram::new(&request.binary, ["forge", "hook"]);
    forge.simulator().install_hook(&hook)?;
    let created = match written {
        WriteOutcome::Created => true,
        WriteOutcome::Updated | WriteOutcome::Unchanged => false,
    };
    Ok(ForgeInitReport { forge: root.join("forge").display().to_string(), created, changes, warnings })
}

/// Says how a branch is made that is protected and not there: no push of a person makes one, and no pull request goes to it.
/// A repository without any branch gets its first ones before it is a forge, or from its bot.
fn unmade_branches(git: &Git, repository: &Path, protect: &[(BranchName, Vec<String>)]) -> Result<Vec<String>> {
    let heads = git.refs("refs/heads/").map_err(|error| git_error("the branches cannot be listed", error))?;
    let there: Vec<&str> = heads.iter().filter_map(|head| head.name.strip_prefix("refs/heads/")).collect();
    let protected = |name: &&&str| protect.iter().any(|(branch, _)| branch.as_str() == **name);
    let Some(from) = there.iter().find(protected).or(there.first()) else { return Ok(Vec::new()) };
    let missing = protect.iter().filter(|(branch, _)| !there.contains(&branch.as_str()));
    let folder = shell_word(&repository.display().to_string());
    let told = missing.map(|(branch, _)| {
        format!(
            "`{branch}` is protected and not there, so that the forge refuses every push of it: `git -C {folder} branch {branch} {from}` makes it"
        )
    });
    Ok(told.collect())
}

/// A required status of this program that it never sets would let nothing be merged. Those of environments have the names of
/// environments, which a forge does not know yet; what other programs set is theirs.
fn known_statuses(protect: &[(BranchName, Vec<String>)]) -> Result<()> {
    let ours = [LOCK_STATUS, SUITES_STATUS, APPROVALS_STATUS];
    let is_ours = |status: &&String| status.starts_with("orchestrator/") && !status.ends_with("-proof");
    let mut asked = protect.iter().flat_map(|(branch, required)| required.iter().map(move |status| (branch, status)));
    let wrong = asked.find(|(_, status)| is_ours(status) && !ours.contains(&status.as_str()));
    let Some((branch, status)) = wrong else { return Ok(()) };
    let shown = lock_model::escaping::escape_short(status, 80);
    Err(Error::new(ErrorKind::Usage, format!("`--protect {branch}` requires `{shown}`, a status that is never set"))
        .hint(other_names(status, "orchestrator", ours.into_iter().chain(["orchestrator/ENVIRONMENT-proof"]))))
}

/// Says how a forge that is there gets other settings.
fn is_there(error: ForgeError, root: &Path) -> Error {
    match error.kind() {
        ForgeErrorKind::State => {
            let message = format!("there is a forge with other users or branches at `{}`", root.display());
            Error::new(ErrorKind::Usage, message)
                .hint("`--update` gives it these settings, and shows what changes")
                .hint("nothing was changed")
        }
        _ => error.into(),
    }
}

/// Refuses an address that would stand for two people.
fn one_user_a_mail(users: &[User]) -> Result<()> {
    let mut owners: BTreeMap<String, &UserName> = BTreeMap::new();
    for (mail, name) in users.iter().flat_map(|user| user.mails.iter().map(move |mail| (mail, &user.name))) {
        if let Some(other) = owners.insert(mail.to_ascii_lowercase(), name).filter(|other| *other != name) {
            let message = format!("`{mail}` is to be the address of `{other}` and of `{name}`");
            return Err(Error::new(ErrorKind::Usage, message).hint("an address says who acts: give it to one user"));
        }
    }
    Ok(())
}

/// Refuses a name that would stand for two users: to a forge `Ana` and `ana` are one, and a bot is no person.
fn one_user_a_name(bot: &UserName, users: &[User]) -> Result<()> {
    let mut known = BTreeMap::from([(bot.as_str().to_ascii_lowercase(), bot)]);
    for user in users {
        let name = &user.name;
        let Some(other) = known.insert(name.as_str().to_ascii_lowercase(), name) else { continue };
        let (message, hint) = if other.as_str().eq_ignore_ascii_case(bot.as_str()) {
            (format!("`{name}` is to be a person, and `{bot}` is the bot"), "give the bot another name: `--bot NAME`")
        } else {
            (format!("`{other}` and `{name}` are one user to a forge"), "name each user once, with one role")
        };
        return Err(Error::new(ErrorKind::Usage, message).hint(hint).hint("nothing was changed"));
    }
    Ok(())
}

fn folder_around(git: &Git) -> Result<std::path::PathBuf> {
    git.common_dir()
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new(ErrorKind::Usage, "the bare repository has no folder around it"))
}

/// A push to one ref, as git hands it to an `update` hook.
#[derive(Clone, Copy, Debug)]
pub struct RefPush<'a> {
    /// The bare repository.
    pub bare: &'a Path,
    /// The full name of the ref.
    pub reference: &'a str,
    /// The old object id.
    pub old: &'a str,
    /// The new object id.
    pub new: &'a str,
}

/// Judges a push to a local forge.
///
/// # Errors
///
/// Where the forge cannot be read; a push that is refused is a report.
pub fn judge_push(
    push: RefPush<'_>,
    actor: &Actor,
    surroundings: &Surroundings,
    clock: Arc<dyn Clock>,
) -> Result<UpdateVerdictReport> {
    let program = find_git(surroundings)?;
    let git = Git::open(&program, push.bare, git_options(surroundings, None))
        .map_err(|error| Error::from_source(ErrorKind::Repository, "the bare repository cannot be opened", error))?;
    let root = folder_around(&git)?;
    let clock = local::Clock::new(move || clock.now());
    let verdict = match who_acts(actor, &git, &root, surroundings)? {
        Ok(name) => {
            let forge = LocalForge::open(&root, git, Some(name), clock)?;
            forge.simulator().judge_update(push.reference, push.old, push.new)?
        }
        Err(unknown) => {
            let error = unknown.error();
            let hints = error.hints().iter().map(|hint| format!("hint: {hint}"));
            PushVerdict::Refused { reasons: [error.message().to_owned()].into_iter().chain(hints).collect() }
        }
    };
    Ok(UpdateVerdictReport {
        reference: push.reference.to_owned(),
        allowed: !matches!(verdict, PushVerdict::Refused { .. }),
        bypassed: matches!(verdict, PushVerdict::Bypassed { .. }),
        verdict: verdict.to_string(),
    })
}
