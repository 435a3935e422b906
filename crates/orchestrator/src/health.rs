//! Asking an environment whether it can take a deployment, without recording anything.

use lock_model::EnvironmentName;

use crate::context::Context;
use crate::engine;
use crate::environment_policy::{branch_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::report::v1::HealthReport;
use crate::revision::Revision;

/// Asks every probe of an environment.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the environment has no probes: nothing can be said about it.
pub async fn health(context: &Context, name: &EnvironmentName) -> Result<HealthReport> {
    context.sync()?;
    let environment = find_environment(context, name).await?;
    let head = context.branch_head(&branch_of(&environment)?).await?;
    let revision = Revision::load(context, &head)?;
    let report = engine::health(context, &revision, &environment).await?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("environment `{name}` has no probes: nothing can be said about it"))
            .hint("name some under `health:` in orchestrator.yaml")
    })?;
    Ok(HealthReport { environment: name.clone(), report })
}
