//! `config check` and `config show`.

use config::ShowOrigin;
use orchestrator::{Result, check_config, show_config};

use crate::arguments::{ConfigArgs, ConfigShowArgs, GlobalArgs};
use crate::output::Shown;
use crate::surroundings::surroundings;

pub(crate) fn check(args: &ConfigArgs, global: &GlobalArgs) -> Result<Shown> {
    Ok(Shown::report(&check_config(
        &global.repository,
        args.rev.as_deref(),
        global.forge().as_deref(),
        &surroundings(),
    )?))
}

pub(crate) fn show(args: &ConfigShowArgs, global: &GlobalArgs) -> Result<Shown> {
    let origin = if args.origin { ShowOrigin::Shown } else { ShowOrigin::Hidden };
    let revision = args.config.rev.as_deref();
    let report = show_config(&global.repository, revision, args.environment.as_ref(), origin, &surroundings())?;
    Ok(Shown::report(&report))
}
