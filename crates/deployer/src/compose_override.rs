//! The images of a lock for `docker compose`: an override file with images and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::{ErrorClass, ImageReference};
use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};

use crate::image_pinning::ImagePin;
use crate::manifest::{Fault, Node};
use crate::problem::escaped;
use crate::yaml_writer;

/// Largest compose file that is read.
const SIZE_LIMIT: usize = 1024 * 1024;
/// Lists of a service whose entries may run an image of their own; `docker compose` appends to them when files merge.
const HOOKS: [&str; 3] = ["pre_start", "post_start", "pre_stop"];

/// An override file, and what it cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeOverride {
    /// The file: `docker compose -f FILE -f OVERRIDE up` runs the locked images.
    pub text: String,
    /// The services that it pins.
    pub pinned: BTreeMap<String, ImagePin>,
    /// What runs, or may run, something else.
    pub warnings: Vec<ComposeWarning>,
}

/// One thing that an override file cannot reach, or that the lock does not know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ComposeWarning {
    /// A service whose image is not the lock's business, and is named without a digest.
    Unpinned {
        /// The service.
        service: String,
        /// What the file says.
        image: String,
    },
    /// A service that is built here, since the lock has no image for it.
    Built {
        /// The service.
        service: String,
    },
    /// A pinned service that the file could also build, which `up --build` does.
    MayBeBuilt {
        /// The service.
        service: String,
    },
    /// A pinned service that the file builds at every start: the override takes that away.
    NotBuilt {
        /// The service.
        service: String,
    },
    /// A hook with an image of its own: hooks of an override are added, they replace nothing.
    Hook {
        /// The service.
        service: String,
        /// The list that the hook is in.
        hook: &'static str,
        /// The hook's image.
        image: String,
    },
    /// A volume that is an image.
    Volume {
        /// The service.
        service: String,
        /// The image.
        image: String,
    },
    /// A pinned service that extends one of another file, which was not looked at: the override takes away what it may build.
    ExtendsFile {
        /// The service.
        service: String,
        /// The file.
        file: String,
    },
    /// Services of other files, which were not looked at.
    Included,
    /// A locked service that the file does not run.
    NotInFile {
        /// The service, by the name that the file would have for it.
        service: String,
    },
}

impl fmt::Display for ComposeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned { service, image } => {
                write!(f, "`{}` runs `{}`, which no digest fixes", escaped(service), escaped(image))
            }
            Self::Built { service } => write!(f, "`{}` is built here: the lock has no image for it", escaped(service)),
            Self::MayBeBuilt { service } => {
                write!(f, "`{}` has `build:` as well: with `--build` it is not the locked image", escaped(service))
            }
            Self::NotBuilt { service } => write!(
                f,
                "`{}` is not built here any more: the override takes its `build:` away, which docker compose 2.24 and newer \
                 understand",
                escaped(service)
            ),
            Self::Hook { service, hook, image } => write!(
                f,
                "`{}` runs `{}` in `{hook}`, which an override file cannot replace",
                escaped(service),
                escaped(image)
            ),
            Self::Volume { service, image } => {
                write!(f, "`{}` mounts the image `{}`, which no digest fixes", escaped(service), escaped(image))
            }
            Self::ExtendsFile { service, file } => write!(
                f,
                "`{}` extends a service of `{}`, which was not looked at: the override takes any `build:` away, which docker \
                 compose 2.24 and newer understand",
                escaped(service),
                escaped(file)
            ),
            Self::Included => f.write_str("`include:` brings services of other files, which were not looked at"),
            Self::NotInFile { service } => write!(f, "`{}` is locked, and no service of the file", escaped(service)),
        }
    }
}

/// A compose file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// It is too large, not UTF-8, or not YAML.
    #[error("`{file}`{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Unreadable {
        /// The file.
        file: String,
        /// The line, where it is known.
        line: Option<u64>,
        /// What the reader says.
        message: String,
    },
    /// It has no services.
    #[error("`{file}` has no `services:`, so it is no compose file")]
    NoServices {
        /// The file.
        file: String,
    },
    /// None of its services is locked: the result would change nothing.
    #[error("no service of `{file}` is in the lock; the file has {}, the lock {}", list(there), list(locked))]
    NothingLocked {
        /// The file.
        file: String,
        /// The services of the file.
        there: Vec<String>,
        /// The services of the lock, as the file would call them.
        locked: Vec<String>,
    },
}

impl ComposeError {
    /// Which class of failure this is.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", escaped(name))).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Makes the override file of a compose file. `pins` has the images by the name that the compose file has for a
/// service; `file` is what errors call it.
///
/// The compose file is only read: anchors, merge keys and everything that `docker compose` knows may stand in it.
pub fn compose_override(
    bytes: &[u8],
    file: &str,
    pins: &BTreeMap<String, ImagePin>,
) -> Result<ComposeOverride, ComposeError> {
    let top = parse(bytes, file)?;
    let Some(Value::Object(services)) = top.get("services") else {
        return Err(ComposeError::NoServices { file: file.to_owned() });
    };
    let mut pinned = BTreeMap::new();
    let mut warnings = BTreeSet::new();
    let extended: BTreeMap<&String, Extended> =
        services.keys().map(|name| (name, Extended::of(services, name))).collect();
    for (name, Extended { service, file }) in &extended {
        let name = *name;
        if let Some(pin) = pins.get(name) {
            pinned.insert(name.clone(), pin.clone());
            if let Some(file) = file.as_ref().filter(|_| service.get("pull_policy").is_none()) {
                warnings.insert(ComposeWarning::ExtendsFile { service: name.clone(), file: file.clone() });
            } else if builds_at_every_start(service) {
                warnings.insert(ComposeWarning::NotBuilt { service: name.clone() });
            } else if service.get("build").is_some() {
                warnings.insert(ComposeWarning::MayBeBuilt { service: name.clone() });
            }
        } else if let Some(image) = service.get("image").and_then(Value::as_str) {
            if !has_digest(image) {
                warnings.insert(ComposeWarning::Unpinned { service: name.clone(), image: image.to_owned() });
            }
        } else if service.get("build").is_some() {
            warnings.insert(ComposeWarning::Built { service: name.clone() });
        }
        beyond_reach(name, service, &mut warnings);
    }
    if pinned.is_empty() {
        let (there, locked) = (services.keys().cloned().collect(), pins.keys().cloned().collect());
        return Err(ComposeError::NothingLocked { file: file.to_owned(), there, locked });
    }
    if top.get("include").is_some() {
        warnings.insert(ComposeWarning::Included);
    }
    let absent = pins.keys().filter(|name| !services.contains_key(*name));
    warnings.extend(absent.map(|service| ComposeWarning::NotInFile { service: service.clone() }));
    let images = pinned.iter().map(|(name, pin)| {
        let mut image = Map::from_iter([("image".to_owned(), Value::String(pin.to_string()))]);
        if extended.get(name).is_some_and(Extended::may_build_at_every_start) {
            image.insert("build".to_owned(), Value::Null);
            image.insert("pull_policy".to_owned(), Value::String("missing".to_owned()));
        }
        (name.clone(), Value::Object(image))
    });
    let top = Map::from_iter([("services".to_owned(), Value::Object(images.collect()))]);
    // The writer knows no tags of an application, and nothing else here is null.
    let text = yaml_writer::to_yaml([&top]).replace("    build: null\n", "    build: !reset null\n");
    Ok(ComposeOverride { text, pinned, warnings: warnings.into_iter().collect() })
}

/// A service with what it extends in the same file.
struct Extended {
    service: Value,
    /// Another file that the rest comes from.
    file: Option<String>,
}

impl Extended {
    fn of(services: &Map<String, Value>, name: &str) -> Self {
        let mut service = Map::new();
        let (mut next, mut seen, mut file) = (Some(name), BTreeSet::new(), None);
        while let Some(name) = next.filter(|name| seen.insert(*name)) {
            let own = services.get(name).and_then(Value::as_object);
            for (key, value) in own.into_iter().flatten() {
                match (service.get_mut(key), value) {
                    // Lists are added to each other.
                    (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
                    (Some(_), _) => {}
                    (None, value) => drop(service.insert(key.clone(), value.clone())),
                }
            }
            let extends = own.and_then(|own| own.get("extends"));
            let other = extends.and_then(|extends| extends.get("file")?.as_str());
            file = other.map(str::to_owned);
            let extended = extends.and_then(|extends| extends.as_str().or_else(|| extends.get("service")?.as_str()));
            next = extended.filter(|_| other.is_none());
        }
        Self { service: Value::Object(service), file }
    }

    /// Whether `up` may build it without being asked to.
    fn may_build_at_every_start(&self) -> bool {
        builds_at_every_start(&self.service) || (self.file.is_some() && self.service.get("pull_policy").is_none())
    }
}

/// Whether `up` builds a service without being asked to: an image of an override would never run. A policy that comes from
/// a variable may say so.
fn builds_at_every_start(service: &Value) -> bool {
    let policy = service.get("pull_policy").and_then(Value::as_str);
    policy.is_some_and(|policy| policy == "build" || policy.contains('$'))
}

/// Images that a service runs beside its own.
fn beyond_reach(name: &str, service: &Value, warnings: &mut BTreeSet<ComposeWarning>) {
    let entries = |key: &str| service.get(key).and_then(Value::as_array).into_iter().flatten();
    for hook in HOOKS {
        for image in entries(hook).filter_map(|entry| entry.get("image")?.as_str()) {
            warnings.insert(ComposeWarning::Hook { service: name.to_owned(), hook, image: image.to_owned() });
        }
    }
    for volume in entries("volumes") {
        let word = |key: &str| volume.get(key).and_then(Value::as_str);
        if word("type") == Some("image")
            && let Some(image) = word("source")
            && !has_digest(image)
        {
            warnings.insert(ComposeWarning::Volume { service: name.to_owned(), image: image.to_owned() });
        }
    }
}

fn has_digest(image: &str) -> bool {
    image.parse::<ImageReference>().is_ok_and(|reference| reference.digest.is_some())
}

fn parse(bytes: &[u8], file: &str) -> Result<Map<String, Value>, ComposeError> {
    let unreadable = |line, message| ComposeError::Unreadable { file: file.to_owned(), line, message };
    if bytes.len() > SIZE_LIMIT {
        return Err(unreadable(None, format!("the file has {} bytes, the limit is {SIZE_LIMIT}", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| unreadable(None, format!("not UTF-8: {error}")))?;
    // The limits on aliases are the parser's own: a compose file may use them, a bomb of them may not pass.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let Fault { line, message, column: _ } = Fault::of(&error, text);
        unreadable(line, message)
    })?;
    let Value::Object(top) = node.0 else { return Err(ComposeError::NoServices { file: file.to_owned() }) };
    Ok(top)
}
