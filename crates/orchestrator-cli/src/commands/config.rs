//! `config check`, `config show` and `config init`.

use config::ShowOrigin;
use orchestrator::report::v1::ConfigCheckReport;
use orchestrator::{
    Clock as _, ConfigInitRequest, Opened, Result, check_config, init_config, show_config, suggest_image_values,
};

use crate::arguments::{ConfigCheckArgs, ConfigInitArgs, ConfigShowArgs, GlobalArgs};
use crate::clock::clock;
use crate::output::Shown;
use crate::surroundings::surroundings;

pub(crate) fn check(args: &ConfigCheckArgs, global: &GlobalArgs) -> Result<Shown> {
    Ok(Shown::report(&judged(args, global)?))
}

pub(crate) async fn suggest(opened: &Opened, args: &ConfigCheckArgs, global: &GlobalArgs) -> Result<Shown> {
    let report = judged(args, global)?;
    Ok(Shown::report(&suggest_image_values(opened, args.config.rev.as_deref(), report).await?))
}

fn judged(args: &ConfigCheckArgs, global: &GlobalArgs) -> Result<ConfigCheckReport> {
    let (revision, forge) = (args.config.rev.as_deref(), global.forge());
    check_config(&global.repository, revision, forge.as_deref(), &surroundings(), clock()?.now().date())
}

pub(crate) fn show(args: &ConfigShowArgs, global: &GlobalArgs) -> Result<Shown> {
    let origin = if args.origin { ShowOrigin::Shown } else { ShowOrigin::Hidden };
    let revision = args.config.rev.as_deref();
    let report = show_config(&global.repository, revision, args.environment.as_ref(), origin, &surroundings())?;
    Ok(Shown::report(&report))
}

pub(crate) fn init(opened: &Opened, args: ConfigInitArgs) -> Result<Shown> {
    let mut request = ConfigInitRequest::default();
    request.repository = args.image;
    request.tags = args.tag;
    Ok(Shown::report(&init_config(opened, &request)?))
}
