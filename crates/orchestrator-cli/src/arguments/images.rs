//! Arguments of the `images` commands.

/// Commands about images.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImagesCommand {
    /// Show which images were looked for, what the registry said, and which one is taken.
    Explain(ImagesExplainArgs),
}

/// Whose image.
#[derive(Debug, clap::Args)]
pub(crate) struct ImagesExplainArgs {
    /// The service: its name, or its short name.
    #[arg(add = super::completions::services_and_short_names())]
    pub service: lock_model::ServiceName,
    /// The commit or branch whose gitlink counts.
    #[arg(long, value_name = "REV", default_value = "HEAD", add = super::completions::revisions())]
    pub rev: String,
}
