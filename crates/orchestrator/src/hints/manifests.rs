//! What to do about a service whose manifests or chart are refused.

use deployer::ProblemKind;
use lock_model::EnvironmentName;

use super::CHART_SIZE;

/// What to do about a service that cannot be deployed to an environment.
pub(crate) fn of_manifest(kind: ProblemKind, environment: &EnvironmentName) -> Option<String> {
    let hint = match kind {
        ProblemKind::Path => "rename these files in the service's repository",
        ProblemKind::Unreadable => {
            "correct these files in the service's repository; what is no manifest lies outside of `target.source`"
        }
        ProblemKind::NeedsHelm => {
            "target `render` makes manifests of charts where `target.chart` names their folder in place of `target.source`; or \
             leave the service out for a time with `not-deployed`"
        }
        ProblemKind::NeedsKustomize => {
            "target `apply` renders the folder that `target.kustomization` names; for another, let the service's repository \
             hold the output of `kubectl kustomize` in `target.source`, or leave the service out for a time with `not-deployed`"
        }
        ProblemKind::Kustomization => {
            "correct the kustomization; what it builds on lies below `target.source`, as files of the same commit"
        }
        ProblemKind::Namespace => {
            return Some(format!(
                "leave the namespace out of the manifest, name it in `environments.{environment}.namespaces.allow`, or let \
                 it be replaced with `namespaces: {{ rewrite: true }}`"
            ));
        }
        ProblemKind::ChartNamespace => {
            return Some(format!(
                "leave the namespace out of the chart, or name it in `environments.{environment}.namespaces.allow`"
            ));
        }
        ProblemKind::ChartImage => {
            "name the paths of the chart's values that its images come from in `target.image-values`, such as `{ image: \
             \"{image.reference}\" }` or `{ image.repository: \"{image.repository}\", image.digest: \"{image.digest}\" }`; images \
             of other services in `target.values`, as `{image:SERVICE.reference}`"
        }
        ProblemKind::ClusterScoped => {
            return Some(format!(
                "leave these objects out: who administers the cluster creates what belongs to no namespace; or name them in \
                 `environments.{environment}.namespaces.cluster-scoped`, as `KIND/NAME`"
            ));
        }
        ProblemKind::Privileged => {
            return Some(format!(
                "leave this out of the manifest, or name the object in `environments.{environment}.namespaces.privileged`, as \
                 `KIND/NAME`"
            ));
        }
        ProblemKind::Duplicate => "keep the object in one place",
        ProblemKind::NothingToDeploy => {
            "correct `target.source` or the service's `images:`; a service that is never deployed here is no match of \
             `deploy:`, and `locked-only` says why"
        }
        ProblemKind::Image => "write the image as `REPOSITORY:TAG`, with the tag of the lock",
        ProblemKind::UnpinnedImage => {
            return Some(format!(
                "write the digest, or name the image in `environments.{environment}.unpinned-images`"
            ));
        }
        ProblemKind::TestHook => "write the digest in the chart's test, or take `target.test-hooks: refuse` out",
        ProblemKind::Chart => "correct the chart in the service's repository, or `target.values`",
        ProblemKind::ChartSchema => {
            "let the schemas of the chart and of those in its `charts/` refer to nothing but themselves: helm would load the rest \
             from the disk or network of the job and quote it in its errors"
        }
        ProblemKind::ChartSize => CHART_SIZE,
        ProblemKind::Adoption => {
            "let helm take the object over: `kubectl label KIND NAME app.kubernetes.io/managed-by=Helm` and `kubectl annotate KIND \
             NAME meta.helm.sh/release-name=SERVICE meta.helm.sh/release-namespace=NAMESPACE`; or delete it by hand where nothing \
             needs it. An object that moves to another chart is first deployed with neither of them having it"
        }
        ProblemKind::ForeignRelease => {
            "a release that is this service is taken over where the chart has the old name for one deployment; another one gives \
             the name away with `helm uninstall`, which deletes its objects, or the service gets another `name` in `services`"
        }
        ProblemKind::HookOwner => {
            "give the hook another name; where nothing needs that object, delete it by hand: helm deletes what has the name of a \
             hook, whose ever it is"
        }
        ProblemKind::HookName => {
            "name events that helm knows, such as `pre-install,pre-upgrade`, or take the annotation out; definitions of kinds go \
             into `templates/`, without `crd-install`"
        }
        ProblemKind::HookDeletion => {
            "make it an object of the chart, with the annotation `helm.sh/resource-policy: keep`, in place of a hook"
        }
        ProblemKind::Definitions => {
            "put the definitions into `templates/`, or let who administers the cluster install them before: helm installs the \
             folder `crds/` by itself, at the first installation only, and no plan shows it"
        }
        ProblemKind::Unstable => {
            "take the time, chance, `lookup` and `.Release.Revision` out of the chart: what is reviewed must be what is installed"
        }
        ProblemKind::FieldOwner => {
            return Some(format!(
                "`--take MANAGER --reason …` of `deploy` and `rollback` takes them over once, `environments.{environment}.conflicts: \
                 {{ take: [MANAGER] }}` always; fields that another program should have are left out of the manifest"
            ));
        }
        ProblemKind::Owner => {
            "let one of them have the object: without ConfigMap/orchestrator-inventory-SERVICE, or without the Secrets of the \
             helm release (`kubectl delete secret -l owner=helm,name=RELEASE`), the object stays and is taken over"
        }
        ProblemKind::Quota => "make room in the quota, or ask for less in the object",
        ProblemKind::Admission => {
            "the rule that refuses it says why: correct the object, or let who administers the cluster change the rule"
        }
        ProblemKind::Ending => {
            "run the same command again once it is gone; where it stays, its `metadata.finalizers` say which program has to let it go"
        }
        ProblemKind::NamespaceGone => "make the namespace before, or let the object name another one",
        ProblemKind::Cluster => "correct the chart or manifest",
        ProblemKind::Unserved => {
            "take the kind out of the stored release as helm's documentation says (`helm mapkubeapis`)"
        }
        ProblemKind::ImmutableField => {
            "leave the field as it is, give the object another name (a Job whose image changes needs one), or delete the object by hand before the deployment: \
             `kubectl delete --cascade=orphan` lets its pods run on, and volumes of a PersistentVolumeClaim go with it"
        }
        ProblemKind::Label => {
            "let the chart take the label from another value than the image's tag, and give the digest in `image-values`"
        }
        ProblemKind::Reserved => {
            "take another name, and leave labels and annotations of `orchestrator.dev/` out, apart from the annotation \
             `orchestrator.dev/prune`"
        }
        ProblemKind::Inventory => {
            "put back what was edited; or delete the ConfigMap, and then by hand what the service no longer has: without an \
             inventory nothing is removed"
        }
        ProblemKind::Volumes => {
            "deploy it once with a rule that keeps volumes, and then without it: `persistentVolumeClaimRetentionPolicy: { \
             whenDeleted: Retain }` for a StatefulSet, the annotation `helm.sh/resource-policy: keep` for a claim of a chart"
        }
        // What lies in a place is judged before; the others are faults of this program.
        ProblemKind::Place | ProblemKind::Request | ProblemKind::Proof => return None,
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of problem of a deployment, and the words of its hint that tell it from the others.
    #[test]
    fn each_manifest_problem_has_its_own_way_out() {
        let shop = EnvironmentName::try_from("shop").expect("it is a name");
        let hint = |kind: ProblemKind| of_manifest(kind, &shop);
        for (kind, words) in [
            (ProblemKind::Path, "rename these files"),
            (ProblemKind::Unreadable, "correct these files"),
            (ProblemKind::NeedsHelm, "target.chart"),
            (ProblemKind::NeedsKustomize, "kubectl kustomize"),
            (ProblemKind::Kustomization, "below `target.source`"),
            (ProblemKind::Namespace, "environments.shop.namespaces.allow"),
            (ProblemKind::ChartNamespace, "environments.shop.namespaces.allow"),
            (ProblemKind::ChartImage, "`target.image-values`"),
            (ProblemKind::ClusterScoped, "environments.shop.namespaces.cluster-scoped"),
            (ProblemKind::Privileged, "environments.shop.namespaces.privileged"),
            (ProblemKind::Duplicate, "in one place"),
            (ProblemKind::NothingToDeploy, "target.source"),
            (ProblemKind::Image, "REPOSITORY:TAG"),
            (ProblemKind::UnpinnedImage, "environments.shop.unpinned-images"),
            (ProblemKind::TestHook, "target.test-hooks"),
            (ProblemKind::Chart, "target.values"),
            (ProblemKind::Adoption, "meta.helm.sh/release-name"),
            (ProblemKind::ForeignRelease, "helm uninstall"),
            (ProblemKind::ChartSchema, "refer to nothing but themselves"),
            (ProblemKind::ChartSize, "`.helmignore`"),
            (ProblemKind::Unstable, "the time, chance"),
            (ProblemKind::HookOwner, "give the hook another name"),
            (ProblemKind::HookDeletion, "in place of a hook"),
            (ProblemKind::HookName, "events that helm knows"),
            (ProblemKind::Definitions, "`crds/`"),
            (ProblemKind::NamespaceGone, "make the namespace"),
            (ProblemKind::Cluster, "correct the chart or manifest"),
            (ProblemKind::Unserved, "helm mapkubeapis"),
            (ProblemKind::ImmutableField, "--cascade=orphan"),
            (ProblemKind::Quota, "room in the quota"),
            (ProblemKind::Admission, "the rule that refuses it"),
            (ProblemKind::Ending, "metadata.finalizers"),
            (ProblemKind::FieldOwner, "environments.shop.conflicts"),
            (ProblemKind::Owner, "orchestrator-inventory-SERVICE"),
            (ProblemKind::Label, "image-values"),
            (ProblemKind::Reserved, "another name"),
            (ProblemKind::Inventory, "delete the ConfigMap"),
            (ProblemKind::Volumes, "whenDeleted: Retain"),
        ] {
            let hint = hint(kind).unwrap_or_default();
            assert!(hint.contains(words), "{kind:?}: {hint}");
            assert!(!hint.contains("by name"), "no key is filled with names of objects: {hint}");
        }
        for kind in [ProblemKind::Place, ProblemKind::Request, ProblemKind::Proof] {
            assert_eq!(hint(kind), None, "{kind:?}");
        }
    }
}
