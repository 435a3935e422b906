//! `images explain`.

use orchestrator::{Opened, Result, explain_image};

use crate::arguments::ImagesExplainArgs;
use crate::output::Shown;

pub(crate) async fn explain(opened: &Opened, args: &ImagesExplainArgs) -> Result<Shown> {
    Ok(Shown::report(&explain_image(opened, &args.rev, &args.service).await?))
}
