//! The forge, registries and sources of submodules, for the list of policy relaxations.

use std::collections::BTreeSet;

use lock_model::RepositoryUrl;

use super::branches::Role;
use super::policy_relaxation::{ComparedTree, Found, RelaxationKind, is_another, quoted};
use super::submodules::Submodules;
use super::types::{ClientCertificate, Config, DirectPush, Forge, ForgeKind, RegistrySettings};

pub(super) fn compare_forge(old: &Config, new: &Config, found: &mut Found) {
    let place = |config: &Config| {
        config.forge.as_ref().map(|Forge { kind, repository, direct_push: _ }| (*kind, repository.clone()))
    };
    let repository = |place: Option<(ForgeKind, RepositoryUrl)>| {
        place.map_or("of no forge".to_owned(), |(_, repository)| format!("`{repository}`"))
    };
    let (before, after) = (place(old), place(new));
    if before != after {
        let sentence = format!("the repository is {}, it was {}", repository(after), repository(before));
        found.add(RelaxationKind::Forge, sentence);
    }
    let relocks = |config: &Config| config.forge.as_ref().is_some_and(|forge| forge.direct_push == DirectPush::Relock);
    if relocks(new) && !relocks(old) {
        found.add(RelaxationKind::Forge, "commits without a pull request get a lock".to_owned());
    }
    for role in Role::ALL {
        let (before, after) = (old.branches.of(*role), new.branches.of(*role));
        if before != after {
            found.add(RelaxationKind::Forge, format!("branch of role `{role}` is `{after}`, it was `{before}`"));
        }
    }
}

pub(super) fn compare_registries(old: &Config, new: &Config, tree: ComparedTree<'_>, found: &mut Found) {
    for host in old.registries.keys().chain(new.registries.keys()).collect::<BTreeSet<_>>() {
        let before = old.registries.get(host).cloned().unwrap_or_default();
        let after = new.registries.get(host).cloned().unwrap_or_default();
        let RegistrySettings { mirror, plain_http, ca, client_certificate } = &after;
        if before.mirror != *mirror {
            let place = mirror.as_ref().map_or("the registry itself".to_owned(), |mirror| format!("`{mirror}`"));
            found.add(RelaxationKind::Images, format!("requests to `{host}` go to {place}"));
        }
        if *plain_http == Some(true) && before.plain_http != Some(true) {
            found.add(RelaxationKind::Images, format!("`{host}` is asked without TLS"));
        }
        if is_another(before.ca.as_ref(), ca.as_ref(), tree) {
            found.add(RelaxationKind::Images, format!("other authorities are trusted for `{host}`"));
        }
        let certificate = |settings: Option<&ClientCertificate>| {
            settings.map(|ClientCertificate { certificate, key }| (certificate.clone(), key.clone()))
        };
        let (ours, theirs) =
            (certificate(before.client_certificate.as_ref()), certificate(client_certificate.as_ref()));
        let is_other = is_another(ours.as_ref().map(|(one, _)| one), theirs.as_ref().map(|(one, _)| one), tree);
        if theirs.is_some() && (is_other || ours != theirs) {
            found.add(RelaxationKind::Images, format!("`{host}` is shown another certificate of ours"));
        }
    }
}

pub(super) fn compare_submodules(old: &Submodules, new: &Submodules, found: &mut Found) {
    let mut add = |message: String| found.add(RelaxationKind::Submodules, message);
    let Submodules { allow: _, branches: _, pushed: _ } = old;
    match (&old.allow, &new.allow) {
        (None, None) => {}
        (Some(_), None) => add("submodules may come from everywhere".to_owned()),
        // Without a list each keeps its owner.
        (None, Some(after)) => {
            let after = quoted(after).unwrap_or_default();
            add(format!("a submodule may change its owner to any of {after}, that was refused"));
        }
        (Some(before), Some(after)) => {
            let wider = after.iter().filter(|entry| !before.iter().any(|allowed| allowed.covers(entry)));
            if let Some(wider) = quoted(wider) {
                add(format!("submodules may come from {wider}"));
            }
        }
    }
    match (&old.branches, &new.branches) {
        (None, _) => {}
        (Some(_), None) => add("commits of submodules may be on any branch or tag".to_owned()),
        (Some(before), Some(after)) => {
            let wider = after.iter().filter(|pattern| !before.iter().any(|accepted| accepted.covers(pattern)));
            if let Some(wider) = quoted(wider) {
                add(format!("commits of submodules may be on {wider}"));
            }
        }
    }
    if new.pushed > old.pushed {
        add("whether the commits of submodules are pushed is not asked any more".to_owned());
    }
}
