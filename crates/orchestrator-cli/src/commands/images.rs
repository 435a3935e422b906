//! `images explain`.

use orchestrator::{Context, Result, explain_image};

use crate::arguments::ImagesExplainArgs;
use crate::output::Shown;

pub(crate) async fn explain(context: &Context, args: &ImagesExplainArgs) -> Result<Shown> {
    Ok(Shown::report(&explain_image(context, &args.rev, &args.service).await?))
}
