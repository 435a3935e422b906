//! Planning with the cluster.

use super::ConflictRule;
use super::kustomization::rendered;
use super::live::{Wanted, judge, look};
use super::plan::{assemble, read, wanted};
use crate::error::DeployError;
use crate::namespace::{EnvironmentNamespace, Rendering, missing_references};
use crate::plan::Plan;
use crate::program_search::ProgramSearch;
use crate::request::DeployRequest;

/// The plain manifests of one environment, in one namespace of a cluster.
#[derive(Clone, Debug)]
pub struct ApplyTarget {
    pub(super) namespace: EnvironmentNamespace,
    pub(super) conflicts: ConflictRule,
    /// Where the program is looked for that renders kustomizations.
    pub(super) search: ProgramSearch,
}

impl ApplyTarget {
    /// A target whose objects are in a namespace, and may be in others that the request's rules allow.
    ///
    /// `search` finds the program that renders kustomizations; plain manifests need none.
    pub fn new(mut search: ProgramSearch, namespace: EnvironmentNamespace, conflicts: ConflictRule) -> Self {
        search.interrupt = namespace.interrupt.clone();
        Self { namespace, conflicts, search }
    }

    /// The same target, whose plans take over every field that another program owns.
    pub(crate) fn taking_everything(&self) -> Self {
        Self { conflicts: ConflictRule { take_all: true, ..self.conflicts.clone() }, ..self.clone() }
    }

    pub(crate) async fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        let request = &*rendered(&self.search, request).await?;
        let mut manifests = read(request)?;
        self.namespace.refuse_other_owner(request).await?;
        let settings = self.namespace.settings(request).await?;
        manifests.name_settings(&settings);
        let EnvironmentNamespace { connection, name, .. } = &self.namespace;
        let wanted = wanted(&manifests)?;
        let found = look(connection, name, &wanted).await?;
        let renderings: Vec<(_, Rendering)> =
            request.services.iter().map(|service| (service.name.clone(), manifests.rendering(&service.name))).collect();
        let asked: Vec<_> = renderings.iter().map(|(service, rendering)| (service.clone(), rendering)).collect();
        let references = missing_references(connection, name, &asked, &settings).await?;
        let is_accepted = |wanted: &Wanted| {
            let service = request.services.iter().find(|service| service.name == wanted.service);
            service.is_some_and(|service| wanted.id.is_in(&request.rule_of(service).cluster_scoped))
        };
        let accepted = wanted.iter().filter(|wanted| is_accepted(wanted)).map(|wanted| wanted.id.clone()).collect();
        let judged = judge(connection, &found, wanted, &accepted, (&self.conflicts, &request.noise())).await?;
        Ok(assemble(request, &manifests, found, judged, references, settings)?.in_order()?)
    }
}
