//! Which values of a chart become others, and what that is: another image, other settings, or anything else.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{ChangeReason, changed_fields};
use crate::image_pinning::ImagePin;

/// Why values differ. `pins` are the locked images, `settings` the names of the versions of settings.
pub(crate) fn value_reasons(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    pins: &[ImagePin],
    settings: &[(String, ChangeReason)],
) -> BTreeSet<ChangeReason> {
    let mut reasons = BTreeSet::new();
    for value in changed_values(before, after) {
        let is_named = |(name, reason): &(String, ChangeReason)| value.contains(name.as_str()).then_some(*reason);
        let reason =
            settings.iter().find_map(is_named).or_else(|| is_image(&value, pins).then_some(ChangeReason::Image));
        reasons.insert(reason.unwrap_or(ChangeReason::Values));
    }
    reasons
}

/// The texts that values become, or were where they go.
fn changed_values(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let changes = changed_fields(&Value::Object(before.clone()), &Value::Object(after.clone()));
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    changes.into_iter().filter_map(|change| change.after.or(change.before).map(text)).collect()
}

fn is_image(value: &str, pins: &[ImagePin]) -> bool {
    let is_of = |pin: &ImagePin| {
        value.contains(pin.digest.as_str())
            || value == pin.repository.to_string()
            || pin.tag.as_ref().is_some_and(|tag| value == tag.as_str())
    };
    pins.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_and_the_name_of_a_setting_are_no_other_values() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let pin = ImagePin::new("r.io/cart".try_into().unwrap(), digest("2").as_str().try_into().unwrap());
        let before = map(
            json!({ "image": { "repository": "r.io/cart", "tag": format!("1@{}", digest("1")) }, "config": "cart-config-11111111", "size": 1 }),
        );
        let reasons = |after: Value| {
            let settings = [("cart-config-22222222".to_owned(), ChangeReason::Configuration)];
            value_reasons(&before, &map(after), std::slice::from_ref(&pin), &settings).into_iter().collect::<Vec<_>>()
        };
        let image = json!({ "repository": "r.io/cart", "tag": format!("2@{}", digest("2")) });
        assert_eq!(
            reasons(json!({ "image": image, "config": "cart-config-11111111", "size": 1 })),
            [ChangeReason::Image]
        );
        assert_eq!(
            reasons(json!({ "image": image, "config": "cart-config-22222222" })),
            [ChangeReason::Image, ChangeReason::Values, ChangeReason::Configuration]
        );
        assert_eq!(reasons(Value::Object(before.clone())), []);
    }
}
