//! `forge …`: what people do on the local forge.

use std::collections::BTreeMap;

use ::forge::{
    BranchRules, Bypass, ForgeSettings, HookProgram, LocalForge, MergeOutcome, MergeRef, NewPullRequest, Opened,
    PullRequest, PullRequestEdit, Readiness, RequiredStatus, Review, Role, Stance, User, Verdict, Written,
};
use git::Git;
use lock_model::{CommitId, UserName};

use crate::arguments::{
    ForgeCommand, ForgeInitArgs, ForgeMergeArgs, GlobalArgs, HookArgs, OpenArgs, PullRequestCommand, ReviewArgs,
    StanceArgument,
};
use crate::context::{Context, branch_name, children, find_git, fixed_clock, forge_error, git_options};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::ledger_store::LedgerStore;
use crate::output::{Report, Table, append};

/// Acts on pull requests.
pub(crate) async fn run(context: &Context, command: ForgeCommand) -> CliResult<Report> {
    match command {
        ForgeCommand::Pr(PullRequestCommand::Open(args)) => open(context, &args).await,
        ForgeCommand::Pr(PullRequestCommand::Show { number }) => show(context, number).await,
        ForgeCommand::Pr(PullRequestCommand::List) => list(context).await,
        ForgeCommand::Pr(PullRequestCommand::Ready { number }) => ready(context, number).await,
        ForgeCommand::Review(args) => review(context, &args).await,
        ForgeCommand::Merge(args) => merge(context, &args).await,
        ForgeCommand::Init(_) | ForgeCommand::Hook(_) => {
            Err(CliError::new(ExitCode::Bug, "this command is dispatched earlier"))
        }
    }
}

/// Makes the forge's files beside a bare repository and installs its hook.
pub(crate) fn init(args: &ForgeInitArgs, global: &GlobalArgs) -> CliResult<Report> {
    let program = find_git()?;
    let git = Git::open(&program, &global.repository, git_options(&children(Some(&args.bot))))
        .map_err(|error| CliError::from_source(ExitCode::Repository, "the bare repository cannot be opened", &error))?;
    let bare = git.common_dir().to_path_buf();
    let root = bare
        .parent()
        .ok_or_else(|| CliError::new(ExitCode::Usage, "the bare repository has no folder around it"))?
        .to_path_buf();
    if git.work_tree().is_some() {
        return Err(CliError::new(ExitCode::Usage, format!("`{}` is no bare repository", global.repository.display()))
            .hint("make one with `git clone --bare`, and name it with `--repository`"));
    }
    let bot = user_name(&args.bot)?;
    let mut users = vec![User { name: bot.clone(), role: Role::Write, bot: true }];
    for text in &args.users {
        users.push(parse_user(text)?);
    }
    let mut branches = BTreeMap::new();
    for text in &args.protect {
        let (branch, required) = text.split_once('=').unwrap_or((text.as_str(), ""));
        let required_statuses = required
            .split(',')
            .filter(|context| !context.is_empty())
            .map(|context| RequiredStatus { context: context.to_owned(), source: Some(bot.clone()) })
            .collect();
        branches.insert(branch_name(branch)?, BranchRules { required_statuses, bypass: vec![bot.clone()] });
    }
    let written = LocalForge::init(&root, &ForgeSettings { users, branches }).map_err(forge_error)?;
    let forge = LocalForge::open(&root, git, Some(bot)).map_err(forge_error)?;
    let binary = std::env::current_exe()
        .map_err(|error| CliError::from_source(ExitCode::Bug, "the program does not know where it is", &error))?;
    forge.install_hook(&HookProgram { binary, arguments: vec!["forge".into(), "hook".into()] }).map_err(forge_error)?;
    let words = match written {
        Written::Created => "is made",
        Written::Updated | Written::Unchanged => "is there already",
    };
    let path = root.join("forge");
    let document = serde_json::json!({ "command": "forge init", "forge": path.display().to_string() });
    Ok(Report::new(ExitCode::Done, format!("the forge {words}: {}\n", path.display()), document))
}

/// Judges a push; git refuses it where this ends with another code than 0.
pub(crate) fn hook(args: &HookArgs, global: &GlobalArgs) -> CliResult<Report> {
    let program = find_git()?;
    let git = Git::open(&program, &args.bare, git_options(&children(global.actor.as_deref())))
        .map_err(|error| CliError::from_source(ExitCode::Repository, "the bare repository cannot be opened", &error))?;
    let root = git
        .common_dir()
        .parent()
        .ok_or_else(|| CliError::new(ExitCode::Usage, "the bare repository has no folder around it"))?
        .to_path_buf();
    let actor = global.actor.as_deref().map(user_name).transpose()?;
    let forge = LocalForge::open(&root, git, actor).map_err(forge_error)?;
    let now = fixed_clock()?.now(0);
    let verdict = forge.judge_update(&args.reference, &args.old, &args.new, now).map_err(forge_error)?;
    let code = match verdict {
        Verdict::Allowed | Verdict::Bypassed { .. } => ExitCode::Done,
        Verdict::Refused { .. } => ExitCode::Denied,
    };
    let human = match &verdict {
        Verdict::Allowed => String::new(),
        Verdict::Bypassed { .. } | Verdict::Refused { .. } => format!("{}: {verdict}\n", args.reference),
    };
    let document =
        serde_json::json!({ "command": "forge hook", "ref": args.reference, "verdict": verdict.to_string() });
    Ok(Report::new(code, human, document))
}

async fn open(context: &Context, args: &OpenArgs) -> CliResult<Report> {
    let new = NewPullRequest {
        title: args.title.clone(),
        body: args.body.clone(),
        head: branch_name(&args.head)?,
        base: branch_name(&args.base)?,
        readiness: Readiness::Ready,
    };
    let opened = context.forge.open_pull_request(&new, now(context).await?).await.map_err(forge_error)?;
    let (words, pull_request) = match opened {
        Opened::Created(made) => ("opened", made),
        Opened::Exists(other) => ("is open already", other),
    };
    Ok(one(&pull_request, &format!("pull request {} {words}", pull_request.number)))
}

async fn ready(context: &Context, number: u64) -> CliResult<Report> {
    let edit = PullRequestEdit { readiness: Some(Readiness::Ready), ..PullRequestEdit::default() };
    context.forge.edit_pull_request(number, &edit, now(context).await?).await.map_err(forge_error)?;
    let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
    Ok(one(&pull_request, &format!("pull request {number} is ready")))
}

async fn show(context: &Context, number: u64) -> CliResult<Report> {
    let pull_request = context.forge.pull_request(number).await.map_err(forge_error)?;
    let mut report = one(&pull_request, &state(&pull_request));
    if let MergeRef::Conflict { paths, .. } = context.forge.merge_ref(number).await.map_err(forge_error)?
        && pull_request.merge.is_none()
    {
        append(&mut report.human, format!("  conflicts: {}\n", paths.join(", ")));
    }
    let mut statuses = Table::new(&["status", "state", "says"]);
    for status in context.forge.statuses(&pull_request.head).await.map_err(forge_error)? {
        statuses.row([status.context, format!("{:?}", status.state).to_lowercase(), status.description]);
    }
    let mut reviews = Table::new(&["review", "stance", "commit"]);
    for review in context.forge.reviews(number).await.map_err(forge_error)? {
        reviews.row([
            review.user.to_string(),
            stance_word(review.stance).to_owned(),
            review.commit.short(12).to_owned(),
        ]);
    }
    for table in [statuses, reviews] {
        if !table.is_empty() {
            report.human.push('\n');
            report.human.push_str(&table.render());
        }
    }
    for comment in context.forge.comments(number).await.map_err(forge_error)? {
        append(&mut report.human, format!("\n--- comment by {}\n{}\n", comment.user, comment.body.trim_end()));
    }
    Ok(report)
}

async fn list(context: &Context) -> CliResult<Report> {
    let all = context.forge.pull_requests(None).await.map_err(forge_error)?;
    let mut table = Table::new(&["number", "state", "from", "to", "head", "title"]);
    for pull_request in &all {
        table.row([
            pull_request.number.to_string(),
            state_word(pull_request).to_owned(),
            pull_request.head_branch.to_string(),
            pull_request.base_branch.to_string(),
            pull_request.head.short(12).to_owned(),
            pull_request.title.clone(),
        ]);
    }
    let human = if all.is_empty() { "there are no pull requests\n".to_owned() } else { table.render() };
    let document = serde_json::json!({
        "command": "forge pr list",
        "pull_requests": all.iter().map(document).collect::<Vec<_>>(),
    });
    Ok(Report::new(ExitCode::Done, human, document))
}

async fn review(context: &Context, args: &ReviewArgs) -> CliResult<Report> {
    let pull_request = context.forge.pull_request(args.number).await.map_err(forge_error)?;
    let stance = match args.stance {
        StanceArgument::Approve => Some(Stance::Approved),
        StanceArgument::RequestChanges => Some(Stance::ChangesRequested),
        StanceArgument::Comment => Some(Stance::Commented),
        StanceArgument::Dismiss => None,
    };
    let now = now(context).await?;
    let review = match stance {
        Some(stance) => {
            let submitted = context.forge.submit_review(args.number, &pull_request.head, stance, now).await;
            submitted.map_err(forge_error)?
        }
        None => dismiss(context, args.number, now).await?,
    };
    let words = stance_word(review.stance);
    let document = serde_json::json!({
        "command": "forge review", "pull_request": args.number, "user": review.user.to_string(),
        "stance": words, "commit": review.commit, "tree": review.tree,
    });
    let human = format!("{} {words} pull request {} at {}\n", review.user, args.number, review.commit.short(12));
    Ok(Report::new(ExitCode::Done, human, document))
}

/// Takes back the newest verdict of whoever acts.
async fn dismiss(context: &Context, number: u64, now: lock_model::Timestamp) -> CliResult<Review> {
    let reviews = context.forge.reviews(number).await.map_err(forge_error)?;
    let mine = |review: &Review| review.user.to_string() == context.run.actor && review.stance != Stance::Commented;
    let Some(mut review) = reviews.into_iter().rfind(mine) else {
        let message = format!("`{}` has given no verdict on pull request {number}", context.run.actor);
        return Err(CliError::new(ExitCode::Usage, message).hint("say whose it is with `--as USER`"));
    };
    context.forge.dismiss_review(number, review.seq, "taken back by its author", now).await.map_err(forge_error)?;
    review.stance = Stance::Dismissed;
    Ok(review)
}

async fn merge(context: &Context, args: &ForgeMergeArgs) -> CliResult<Report> {
    let pull_request = context.forge.pull_request(args.number).await.map_err(forge_error)?;
    let expected = match &args.expected_head {
        Some(text) => CommitId::try_from(text.as_str())
            .map_err(|error| CliError::from_source(ExitCode::Usage, "`--expected-head` is no commit", &error))?,
        None => pull_request.head.clone(),
    };
    let bypass = if args.bypass { Bypass::Yes } else { Bypass::No };
    let outcome =
        context.forge.merge(args.number, &expected, bypass, now(context).await?).await.map_err(forge_error)?;
    match outcome {
        MergeOutcome::Merged(merge) | MergeOutcome::AlreadyMerged(merge) => {
            let mut human =
                format!("pull request {} is merged: {} by {}\n", args.number, merge.commit.short(12), merge.by);
            for rule in &merge.bypassed {
                append(&mut human, format!("  bypassed, and recorded: {rule}\n"));
            }
            let document = serde_json::json!({
                "command": "forge merge", "pull_request": args.number, "commit": merge.commit,
                "by": merge.by.to_string(), "bypassed": merge.bypassed,
            });
            Ok(Report::new(ExitCode::Done, human, document))
        }
        MergeOutcome::Refused { reasons } => {
            Err(CliError::new(ExitCode::Refused, format!("pull request {} cannot be merged", args.number)).problems(
                reasons.into_iter().map(|reason| Problem {
                    subject: "rule".to_owned(),
                    message: reason,
                    details: Vec::new(),
                }),
            ))
        }
    }
}

/// Times of the forge come from the same clock as the ledger's.
async fn now(context: &Context) -> CliResult<lock_model::Timestamp> {
    Ok(context.now(LedgerStore::read(context).await?.len()))
}

fn one(pull_request: &PullRequest, words: &str) -> Report {
    let human = format!(
        "{words}\n  {} → {} at {}: {}\n",
        pull_request.head_branch,
        pull_request.base_branch,
        pull_request.head.short(12),
        lock_model::escaping::escape_terminal(&pull_request.title)
    );
    let document = serde_json::json!({ "command": "forge pr", "pull_request": document(pull_request) });
    Report::new(ExitCode::Done, human, document)
}

fn document(pull_request: &PullRequest) -> serde_json::Value {
    serde_json::json!({
        "number": pull_request.number,
        "title": pull_request.title,
        "author": pull_request.author.to_string(),
        "state": state_word(pull_request),
        "head_branch": pull_request.head_branch.to_string(),
        "base_branch": pull_request.base_branch.to_string(),
        "head": pull_request.head,
        "base": pull_request.base,
        "merge_commit": pull_request.merge.as_ref().map(|merge| &merge.commit),
    })
}

fn state(pull_request: &PullRequest) -> String {
    match &pull_request.merge {
        Some(merge) => {
            format!("pull request {} was merged by {} as {}", pull_request.number, merge.by, merge.commit.short(12))
        }
        None => format!("pull request {} is {}", pull_request.number, state_word(pull_request)),
    }
}

fn state_word(pull_request: &PullRequest) -> &'static str {
    match (pull_request.state, pull_request.draft) {
        (::forge::PullRequestState::Open, true) => "draft",
        (::forge::PullRequestState::Open, false) => "open",
        (::forge::PullRequestState::Merged, _) => "merged",
        (::forge::PullRequestState::Closed, _) => "closed",
    }
}

fn stance_word(stance: Stance) -> &'static str {
    match stance {
        Stance::Approved => "approved",
        Stance::ChangesRequested => "requested changes on",
        Stance::Commented => "commented on",
        Stance::Dismissed => "took back the review of",
    }
}

fn user_name(text: &str) -> CliResult<UserName> {
    UserName::try_from(text).map_err(|error| CliError::from_source(ExitCode::Usage, "not a user", &error))
}

fn parse_user(text: &str) -> CliResult<User> {
    let wrong = || {
        CliError::new(
            ExitCode::Usage,
            format!("`--user {}` is not `NAME:ROLE`", lock_model::escaping::escape_terminal(text)),
        )
        .hint("roles are `read`, `write`, `admin`")
    };
    let (name, role) = text.split_once(':').ok_or_else(wrong)?;
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        "admin" => Role::Admin,
        _ => return Err(wrong()),
    };
    Ok(User { name: user_name(name)?, role, bot: false })
}
