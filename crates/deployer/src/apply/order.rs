//! In which order objects are written: what others need comes first.

use crate::manifest::ObjectId;

/// Whether an object makes a place for others, or their kind: those others cannot be asked about before it is there.
pub(super) fn makes_room(id: &ObjectId) -> bool {
    rank(id) < 2
}

/// Objects of a lower rank are written first, and removed last.
pub(super) fn rank(id: &ObjectId) -> u8 {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 1,
        (_, kind) if kind.ends_with("Class") => 2,
        ("", "ServiceAccount" | "ConfigMap" | "Secret" | "ResourceQuota" | "LimitRange")
        | ("networking.k8s.io", "NetworkPolicy") => 3,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 4,
        ("rbac.authorization.k8s.io", _) => 5,
        ("", "PersistentVolume") => 6,
        ("", "PersistentVolumeClaim") => 7,
        ("", "Service") => 8,
        ("apps" | "batch", _) | ("", "Pod" | "ReplicationController" | "PodTemplate") => 10,
        ("autoscaling" | "policy" | "networking.k8s.io" | "gateway.networking.k8s.io", _) => 11,
        ("apiregistration.k8s.io" | "admissionregistration.k8s.io", _) => 12,
        // Custom resources often make what workloads read, such as Secrets.
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b29_what_others_need_comes_first() {
        let id = |(group, kind): (&str, &str)| ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: "a".to_owned(),
        };
        let in_order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("storage.k8s.io", "StorageClass"),
            ("", "ConfigMap"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "PersistentVolumeClaim"),
            ("", "Service"),
            ("external-secrets.io", "ExternalSecret"),
            ("apps", "Deployment"),
            ("networking.k8s.io", "Ingress"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks: Vec<u8> = in_order.map(|kind| rank(&id(kind))).to_vec();
        assert!(ranks.is_sorted_by(|one, other| one < other), "{ranks:?}");
        let room: Vec<bool> = in_order.map(|kind| makes_room(&id(kind))).to_vec();
        assert_eq!(room.iter().position(|makes| !makes), Some(2));
    }
}
