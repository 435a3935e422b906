//! The futures of every public async function are `Send`: servers may spawn them.

use deployer::{ApplyOptions, DeployEvent, DeployRequest, Plan, RenderTarget, Target};

fn is_send<T: Send>(_: &T) {}

/// Compiling is the test.
#[expect(dead_code, reason = "nothing calls it")]
fn futures_are_send(
    target: &Target,
    render: &RenderTarget,
    request: &DeployRequest,
    plan: &Plan,
    options: &ApplyOptions,
    events: &(dyn Fn(DeployEvent) + Sync),
) {
    is_send(&target.plan(request));
    is_send(&target.apply(plan, options, events));
    is_send(&target.prove(request));
    is_send(&render.read_stored());
}
