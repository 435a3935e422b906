//! Which variables a text of the file may hold, by its key.

use crate::variables::Variable;

/// Variables of `images.repository`.
pub(super) const REPOSITORY_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
];
/// Variables of `images.tags`.
pub(super) const TAG_VARIABLES: &[Variable] =
    &[Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Sha, Variable::Sha7, Variable::Sha12];
/// Variables of `target.source`.
pub(super) const SOURCE_VARIABLES: &[Variable] =
    &[Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Path, Variable::Mode];
/// Variables of where settings come from.
pub(super) const SERVICE_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
];
/// Variables of settings that are composed.
pub(super) const SET_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
    Variable::Environment,
];
/// Variables of `target.values`.
pub(super) const VALUE_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
    Variable::ImageRegistry,
    Variable::ImagePath,
    Variable::ImageRepository,
    Variable::ImageTag,
    Variable::ImageDigest,
    Variable::ImageReference,
    Variable::ImageOf,
    Variable::Config,
    Variable::Secret,
    Variable::PullSecret,
];
/// Variables of `target.image-values`.
pub(super) const IMAGE_VALUE_VARIABLES: &[Variable] = &[
    Variable::ImageRegistry,
    Variable::ImagePath,
    Variable::ImageRepository,
    Variable::ImageTag,
    Variable::ImageDigest,
    Variable::ImageReference,
];
/// Variables of what runs against an environment.
pub(super) const RUN_VARIABLES: &[Variable] = &[Variable::Url, Variable::Mode];
/// Variables of what is fixed for an environment.
pub(super) const MODE_VARIABLES: &[Variable] = &[Variable::Mode];
/// Variables of `release.tag`.
pub(super) const RELEASE_TAG_VARIABLES: &[Variable] = &[Variable::Date, Variable::Id8, Variable::Mode];
