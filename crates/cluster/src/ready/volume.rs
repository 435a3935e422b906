use crate::ready::{Facts, Memory, VolumeBinding};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

pub(super) fn claim(facts: &Facts<'_>, memory: &mut Memory) -> Verdict {
    let claim = facts.object;
    match (claim.text("/status/phase"), facts.binding) {
        (Some("Bound"), _) => Verdict::ready("is bound"),
        (Some("Lost"), _) => {
            let message = "the volume that it was bound to is gone";
            let cause = Cause::new(FailureClass::Volume, Permanence::Permanent, claim.key(), message);
            Verdict::failed("has lost its volume", vec![cause])
        }
        (_, Some(VolumeBinding::Immediate)) => {
            let said = facts.warnings_of(claim).map(|warning| warning.message.as_str()).next();
            let message = said.unwrap_or("no volume is bound to it yet");
            let cause = Cause::new(FailureClass::Volume, Permanence::Temporary, claim.key(), message);
            memory.judged("is not bound", vec![cause])
        }
        (_, Some(VolumeBinding::WaitForFirstConsumer)) => Verdict::undefined("is bound when the first pod uses it"),
        // Without a class only a volume that is there already can be bound.
        (_, None) if claim.text("/spec/storageClassName") == Some("") => {
            let message =
                "no volume is bound to it yet, and it names no class that makes one (`storageClassName: \"\"`)";
            let cause = Cause::new(FailureClass::Volume, Permanence::Temporary, claim.key(), message);
            memory.judged("is not bound", vec![cause])
        }
        // The pod that uses the claim is waited for in any case, and names it where it is not bound.
        (_, None) => Verdict::undefined("is not bound, and its storage class could not be read"),
    }
}
