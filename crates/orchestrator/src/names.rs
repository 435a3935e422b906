//! Names that a work tree, a clone and its forge know, for completions.

use std::collections::BTreeSet;
use std::path::Path;

use ::forge::PullRequestState;
use config::{Config, ServiceAssignment};
use lock_gen::Gitmodules;
use lock_model::{CONFIG_FILE, TreePath};

use crate::context::{Local, Surroundings};
use crate::forge_location::find_forge;
use crate::input_file::read_input;

/// Names in the files of a work tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownNames {
    /// Environments of `orchestrator.yaml`.
    pub environments: Vec<String>,
    /// Suites of `orchestrator.yaml`.
    pub suites: Vec<String>,
    /// Services: what the rules of `orchestrator.yaml` make of the submodules in `.gitmodules`.
    pub services: Vec<String>,
    /// The services' names without the prefix of the project, where they have it.
    pub short_names: Vec<String>,
}

/// What the work tree around a folder knows, as its files are now; nothing where they are missing or cannot be read.
pub fn known_names(folder: &Path) -> KnownNames {
    let root = folder.ancestors().find(|folder| folder.join(CONFIG_FILE).is_file());
    let read = |name: &str| root.and_then(|root| read_input(&root.join(name)).ok()).unwrap_or_default();
    let Ok(config) = Config::parse(CONFIG_FILE, &read(CONFIG_FILE)) else { return KnownNames::default() };
    let declared = Gitmodules::parse(&read(".gitmodules")).declared;
    let paths: Vec<TreePath> = declared.into_iter().map(|submodule| submodule.path).collect();
    let services = config.assign_services(&paths).unwrap_or_default();
    KnownNames {
        environments: config.environments.keys().map(ToString::to_string).collect(),
        suites: config.suites.keys().map(ToString::to_string).collect(),
        short_names: services.iter().filter_map(short_name).collect(),
        services: services.into_iter().map(|service| service.name.to_string()).collect(),
    }
}

/// Names in a clone and on its local forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClonedNames {
    /// Branches and tags, of the forge as they were fetched last.
    pub revisions: BTreeSet<String>,
    /// Open pull requests: number and title.
    pub pull_requests: Vec<(u64, String)>,
    /// Tags of releases, the newest last.
    pub releases: Vec<String>,
    /// People and bots.
    pub users: Vec<String>,
}

/// What the clone around a folder knows, and its forge: that of the folder `forge`, or the one where `origin` lies. Nothing is
/// fetched; what cannot be read is left out.
pub fn cloned_names(folder: &Path, forge: Option<&Path>, surroundings: &Surroundings) -> ClonedNames {
    let Ok(local) = Local::open(folder, surroundings) else { return ClonedNames::default() };
    let prefixes =
        ["refs/heads/", "refs/tags/", "refs/remotes/origin/", "refs/orchestrator/heads/", "refs/orchestrator/tags/"];
    let names = prefixes.into_iter().flat_map(|prefix| {
        let refs = local.git.refs(prefix).unwrap_or_default();
        refs.into_iter().filter_map(move |found| Some(found.name.strip_prefix(prefix)?.to_owned())).collect::<Vec<_>>()
    });
    let revisions = names.collect();
    let Ok(Some(forge)) = find_forge(folder, forge, surroundings) else {
        return ClonedNames { revisions, ..ClonedNames::default() };
    };
    let open = forge.pull_requests(Some(PullRequestState::Open)).unwrap_or_default();
    ClonedNames {
        revisions,
        pull_requests: open.into_iter().map(|one| (one.number, one.title)).collect(),
        releases: forge.releases().unwrap_or_default().into_iter().map(|release| release.tag.to_string()).collect(),
        users: forge.users().unwrap_or_default().into_iter().map(|user| user.name.to_string()).collect(),
    }
}

fn short_name(service: &ServiceAssignment) -> Option<String> {
    Some(service.short_name()).filter(|short| *short != service.name.as_str()).map(str::to_owned)
}
