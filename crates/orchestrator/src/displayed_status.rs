//! Statuses on the head of a pull request, which whoever may write can set, and which count only from a bot.

use forge::StatusState;
use lock_model::CommitId;

use crate::context::Context;
use crate::error::Result;

/// Sets a status. Where the forge has bots, only theirs count: a person sets none, and the answer says so.
pub(crate) async fn set_status(
    context: &Context,
    head: &CommitId,
    base: Option<&CommitId>,
    name: &str,
    state: StatusState,
    text: &str,
) -> Result<Option<String>> {
    if let Err(unknown) = context.needs_actor() {
        return Ok(Some(format!("status `{name}` is not set: {}", unknown.message())));
    }
    let bots = context.bots().await?;
    let actor = &context.run.actor;
    if !bots.contains(actor) {
        let statuses = context.forge.statuses(head).await?;
        if let Some(kept) = statuses.iter().find(|one| one.context == name && bots.contains(one.by.as_str())) {
            return Ok(Some(format!(
                "status `{name}` stays {}, as `{}` set it: `{actor}` is no bot",
                kept.state, kept.by
            )));
        }
        if let Some(bot) = bots.first() {
            return Ok(Some(format!(
                "status `{name}` is not set: `{actor}` is no bot, and only one of `{bot}` counts"
            )));
        }
    }
    context.forge.set_status(head, base, name, state, text).await?;
    Ok(None)
}
