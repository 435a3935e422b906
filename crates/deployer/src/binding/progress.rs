//! How much of a saved plan is done.

use lock_model::ServiceName;

use super::{BoundObject, Moved, PlanBinding};
use crate::batch::BatchPart;

/// What of a saved plan is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanProgress {
    /// All of it, or the rest of it.
    SomethingLeft,
    /// Every object is as the plan makes it.
    NothingLeft,
}

impl BoundObject {
    /// Whether it is in the cluster, and would not be changed.
    fn is_settled(&self) -> bool {
        self.live.is_some() && self.fields.is_empty()
    }

    /// Whether it was to be made or changed, and is now as it was to be; an object that was made anew is another one.
    fn was_done(&self, now: &Self) -> bool {
        let is_same = match (&self.live, &now.live) {
            (None, _) => true,
            (Some(was), is) => !self.fields.is_empty() && is.as_ref().is_some_and(|is| is.uid == was.uid),
        };
        is_same && now.is_settled()
    }
}

impl PlanBinding {
    /// How much of this plan is done already, where `now`, the plan that would be applied, does the rest of it; else what is
    /// not any more as it was when this plan was made.
    ///
    /// An object that this plan was to change, and that is as the plan makes it, has not moved: a run that was killed, or
    /// an earlier one, has done that part.
    ///
    /// # Errors
    ///
    /// Everything that moved.
    pub fn progress(&self, now: &Self) -> Result<PlanProgress, Vec<Moved>> {
        let moved = self.moved(now);
        if !moved.is_empty() {
            return Err(moved);
        }
        let is_open = |object: &BoundObject| match object.part {
            BatchPart::Kept => !object.is_settled(),
            BatchPart::Removed => true,
            BatchPart::Settings | BatchPart::HookBefore | BatchPart::HookAfter => false,
        };
        let is_done = now.helm.is_some() || now.branch_head.is_none();
        Ok(if is_done && !now.objects.is_empty() && !now.objects.iter().any(is_open) {
            PlanProgress::NothingLeft
        } else {
            PlanProgress::SomethingLeft
        })
    }

    /// Whether what is another by now is what the plan did itself; this is the plan that would be applied.
    pub(super) fn is_done(&self, before: Option<&BoundObject>, after: Option<&BoundObject>) -> bool {
        let is_settled = |service: &ServiceName| {
            let mut kept = self.objects.iter().filter(|one| one.service == *service && one.part == BatchPart::Kept);
            kept.all(BoundObject::is_settled)
        };
        match (before, after) {
            (Some(before), Some(after)) if before.part == BatchPart::Kept => before.was_done(after),
            (Some(before), None) if before.part == BatchPart::Removed => true,
            // Hooks run with what they belong to, and those of the next deployment can be others.
            (Some(hook), _) | (None, Some(hook)) => {
                matches!(hook.part, BatchPart::HookBefore | BatchPart::HookAfter) && is_settled(&hook.service)
            }
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use lock_model::Digest;

    use super::super::BoundLive;
    use super::super::tests::{binding, object};
    use super::*;

    #[test]
    fn b32_what_the_plan_did_itself_has_not_moved() {
        let planned = |live: bool, fields: bool| {
            let mut one = object("a", "1", "10", 1);
            one.live = one.live.filter(|_| live);
            one.fields.retain(|_| fields);
            one
        };
        let done = |uid: &str| {
            let mut one =
                BoundObject { wanted: "as stored".to_owned(), fields: Vec::new(), ..object("a", "2", "11", 1) };
            one.live = one.live.map(|live| BoundLive { uid: uid.to_owned(), ..live });
            one
        };
        let progress = |before: Vec<BoundObject>, now: Vec<BoundObject>| {
            binding(before)
                .progress(&binding(now))
                .map_err(|moved| moved.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        // Made, or changed, by a run that was killed afterwards.
        assert_eq!(progress(vec![planned(false, false)], vec![done("u")]), Ok(PlanProgress::NothingLeft));
        assert_eq!(progress(vec![planned(true, true)], vec![done("u")]), Ok(PlanProgress::NothingLeft));
        let open = || BoundObject { object: "Deployment.apps shop/b".to_owned(), ..object("b", "1", "10", 1) };
        let half = progress(vec![planned(true, true), open()], vec![done("u"), open()]);
        assert_eq!(half, Ok(PlanProgress::SomethingLeft));
        // Made anew by another, or changed where the plan changes nothing.
        assert!(progress(vec![planned(true, true)], vec![done("v")]).unwrap_err()[0].contains("made anew"));
        assert!(progress(vec![planned(true, false)], vec![done("u")]).unwrap_err()[0].contains("was changed"));
        // Removed by it.
        let removed = || BoundObject { part: BatchPart::Removed, ..open() };
        assert_eq!(progress(vec![planned(true, true), removed()], vec![done("u")]), Ok(PlanProgress::NothingLeft));
        let left = progress(vec![planned(true, true), removed()], vec![done("u"), removed()]);
        assert_eq!(left, Ok(PlanProgress::SomethingLeft));
        // Nothing is done of a plan for something else.
        let other = PlanBinding { digest: Digest::of(b"other"), ..binding(vec![done("u")]) };
        binding(vec![planned(false, false)]).progress(&other).unwrap_err();
    }
}
