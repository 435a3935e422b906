//! Templates: text with variables such as `{name}` and `{sha7}`.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::escaping::escape_terminal;
use lock_model::{CommitId, Digest, ErrorClass, ImageRepository, LockedImage, ServiceName, Tag, TreePath};

use super::values::EnvironmentVariable;

lock_model::words! {
    /// A variable of the configuration's templates. The set is fixed; there are no expressions.
    Variable, "variable" {
        /// The service's name.
        Name = "name",
        /// The name without the project's prefix; the whole name where it does not start with it.
        Short = "short",
        /// `short` with `_` for `-` and `.`.
        ShortUnderscore = "short_",
        /// `name` as an environment variable would be called: `SHOP_CART`.
        NameUpper = "NAME",
        /// `short` as an environment variable would be called: `CART`.
        ShortUpper = "SHORT",
        /// The submodule's path.
        Path = "path",
        /// The whole commit id.
        Sha = "sha",
        /// Its first seven digits.
        Sha7 = "sha7",
        /// Its first twelve digits.
        Sha12 = "sha12",
        /// The environment's mode.
        Mode = "mode",
        /// The environment's address.
        Url = "url",
        /// Name of the service's configuration object.
        Config = "config",
        /// Name of the service's secret.
        Secret = "secret",
        /// Name of the pull secret.
        PullSecret = "pull-secret",
        /// The registry of the service's locked image: `ghcr.io`.
        ImageRegistry = "image.registry",
        /// Its repository without the registry: `shop/cart`.
        ImagePath = "image.path",
        /// Its repository: `ghcr.io/shop/cart`.
        ImageRepository = "image.repository",
        /// Its tag.
        ImageTag = "image.tag",
        /// Its digest.
        ImageDigest = "image.digest",
        /// All of it: `ghcr.io/shop/cart:main-1111111@sha256:2222…`.
        ImageReference = "image.reference",
        /// Part of another service's locked image: `{image:shop-web.tag}`.
        ImageOf = "image:SERVICE.tag",
        /// An environment variable: `{env:DB_PASSWORD}`; its name may hold variables of the service.
        Environment = "env:NAME",
        /// The day, UTC, as `2025-11-20`.
        Date = "date",
        /// The first eight digits of the release id.
        Id8 = "id8",
        /// The user of the service's database.
        DatabaseUser = "db.user",
        /// The name of the service's database.
        DatabaseName = "db.name",
        /// The password of the service's database.
        DatabasePassword = "db.password",
    }
}

impl Variable {
    /// Whether a later version gives it values.
    fn is_later(self) -> bool {
        matches!(self, Self::DatabaseUser | Self::DatabaseName | Self::DatabasePassword)
    }
}

/// Text with variables; `{{` is a literal brace. What a variable stands for is never read for variables again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(Variable),
    /// A variable that is named in full after others are filled in: `env:NAME`, `image:SERVICE.PART`.
    Named(Variable, Vec<Self>),
}

/// The parts of an image that `{image:SERVICE.PART}` can name.
const IMAGE_PARTS: [(&str, Variable); 6] = [
    ("registry", Variable::ImageRegistry),
    ("path", Variable::ImagePath),
    ("repository", Variable::ImageRepository),
    ("tag", Variable::ImageTag),
    ("digest", Variable::ImageDigest),
    ("reference", Variable::ImageReference),
];

/// Text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TemplateError {
    why: String,
    offset: usize,
    width: usize,
    unknown: Option<String>,
}

impl TemplateError {
    /// Where in the text, counted in characters.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many characters it concerns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The name between the braces, where it is none that has a value here.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// A variable that a template uses and that was given no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{{{}}}` has no value in `{}`", escape_terminal(variable), escape_terminal(template))]
pub struct MissingValue {
    variable: String,
    template: String,
}

impl MissingValue {
    /// The variable, without braces.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// Always [`ErrorClass::Bug`]: templates are checked when they are parsed, so the caller forgot a value.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

impl Template {
    /// Parses a template in which only some variables have a value.
    pub fn new(text: &str, allowed: &[Variable]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut characters = text.char_indices().enumerate().peekable();
        while let Some((offset, (start, character))) = characters.next() {
            if character != '{' {
                literal.push(character);
                continue;
            }
            if characters.next_if(|(_, (_, next))| *next == '{').is_some() {
                literal.push('{');
                continue;
            }
            let rest = text.get(start + 1..).unwrap_or_default();
            let Some(name) = rest.get(..end_of_name(rest)) else {
                return Err(TemplateError {
                    why: "`{` opens a variable that no `}` closes; a literal brace is `{{`".to_owned(),
                    offset,
                    width: 1,
                    unknown: None,
                });
            };
            let length = name.chars().count();
            let part = part(name, allowed).map_err(|why| TemplateError {
                why,
                offset,
                width: length + 2,
                unknown: Some(name.to_owned()),
            })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            for _ in 0..=length {
                characters.next();
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it uses a variable, also within the name of another.
    pub fn uses(&self, variable: Variable) -> bool {
        uses(&self.parts, variable)
    }

    /// The environment variables whose values it needs.
    pub fn environment(&self, values: &Values) -> Result<Vec<String>, MissingValue> {
        let named = self.parts.iter().filter_map(|part| match part {
            Part::Named(Variable::Environment, name) => Some(self.fill(name, values)),
            Part::Literal(_) | Part::Variable(_) | Part::Named(..) => None,
        });
        named.map(|name| Ok(name?.strip_prefix("env:").unwrap_or_default().to_owned())).collect()
    }

    /// Fills the variables in.
    pub fn expand(&self, values: &Values) -> Result<String, MissingValue> {
        self.fill(&self.parts, values)
    }

    fn fill(&self, parts: &[Part], values: &Values) -> Result<String, MissingValue> {
        let mut text = String::with_capacity(self.text.len());
        let missing = |variable: String| MissingValue { variable, template: self.text.clone() };
        for part in parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable(variable) => {
                    text.push_str(values.of.get(variable).ok_or_else(|| missing(variable.to_string()))?);
                }
                Part::Named(_, name) => {
                    let name = self.fill(name, values)?;
                    text.push_str(values.named.get(&name).ok_or_else(|| missing(name))?);
                }
            }
        }
        Ok(text)
    }
}

fn uses(parts: &[Part], variable: Variable) -> bool {
    parts.iter().any(|part| match part {
        Part::Literal(_) => false,
        Part::Variable(used) => *used == variable,
        Part::Named(used, name) => *used == variable || uses(name, variable),
    })
}

/// Where the name of a variable ends: at the brace that closes it, past those of variables within it. The length of the
/// text and one more where nothing does.
fn end_of_name(rest: &str) -> usize {
    let mut open = 0_usize;
    for (index, character) in rest.char_indices() {
        match character {
            '{' => open += 1,
            '}' if open == 0 => return index,
            '}' => open -= 1,
            _ => {}
        }
    }
    rest.len() + 1
}

/// What stands between two braces.
fn part(name: &str, allowed: &[Variable]) -> Result<Part, String> {
    let named = [("env:", Variable::Environment), ("image:", Variable::ImageOf)];
    let prefix = named.into_iter().find(|(prefix, _)| name.starts_with(prefix));
    let Some((prefix, variable)) = prefix.filter(|(_, variable)| allowed.contains(variable)) else {
        return find(name, allowed).map(Part::Variable);
    };
    let shown = escape_terminal(name);
    let inner = Template::new(name, &allowed.iter().copied().filter(|one| !is_named(*one)).collect::<Vec<_>>())
        .map_err(|error| format!("`{{{shown}}}`: {error}"))?;
    let is_well = match variable {
        Variable::Environment => {
            let sample = Values::sample();
            let filled = inner.expand(&sample).map_err(|error| error.to_string())?;
            let name = filled.strip_prefix(prefix).unwrap_or_default();
            name.parse::<EnvironmentVariable>().is_ok_and(|name| !name.is_login())
        }
        _ => name.rsplit_once('.').is_some_and(|(service, part)| {
            let service = service.strip_prefix(prefix).unwrap_or_default();
            service.parse::<ServiceName>().is_ok() && IMAGE_PARTS.iter().any(|(known, _)| *known == part)
        }),
    };
    if is_well {
        Ok(Part::Named(variable, inner.parts))
    } else {
        Err(format!("`{{{shown}}}` is not of the form `{{{variable}}}`"))
    }
}

fn is_named(variable: Variable) -> bool {
    matches!(variable, Variable::Environment | Variable::ImageOf)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn find(name: &str, allowed: &[Variable]) -> Result<Variable, String> {
    if let Some(variable) = allowed.iter().find(|variable| variable.as_str() == name) {
        return Ok(*variable);
    }
    let shown = escape_terminal(name);
    let what = match name.parse::<Variable>() {
        Ok(variable) if variable.is_later() => return Err(format!("`{{{shown}}}` is not available yet: remove it")),
        Ok(_) => "has no value here",
        Err(_) => "is no variable",
    };
    let list: Vec<String> = allowed.iter().map(|variable| format!("`{{{variable}}}`")).collect();
    match list.as_slice() {
        [] => Err(format!("`{{{shown}}}` {what}")),
        list => Err(format!("`{{{shown}}}` {what}; there are {}", list.join(", "))),
    }
}

/// The values of variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values {
    of: BTreeMap<Variable, String>,
    /// By their whole names: `env:DB_PASSWORD`.
    named: BTreeMap<String, String>,
}

/// Without values, which can be secret.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.of.keys()).entries(self.named.keys()).finish()
    }
}

impl Values {
    /// A set in which no variable has a value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives one variable a value.
    #[must_use]
    pub fn with(mut self, variable: Variable, value: impl Into<String>) -> Self {
        self.of.insert(variable, value.into());
        self
    }

    /// Gives an environment variable its value.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.named.insert(format!("env:{name}"), value.into());
        self
    }

    /// Gives the parts of another service's locked image their values.
    #[must_use]
    pub fn with_image_of(mut self, service: &ServiceName, image: &LockedImage) -> Self {
        let values = Self::new().image(&image.repository, &image.tag, &image.digest);
        for (part, variable) in IMAGE_PARTS {
            if let Some(value) = values.of.get(&variable) {
                self.named.insert(format!("image:{service}.{part}"), value.clone());
            }
        }
        self
    }

    /// Values of a service, for what is only checked.
    fn sample() -> Self {
        let service = ServiceName::try_from("service").expect("the constant is a name");
        let path = TreePath::try_from("services/service").expect("the constant is a path");
        Self::new().service(&service, &path, "").with(Variable::Mode, "mode")
    }

    /// Gives the variables of a service their values.
    #[must_use]
    pub fn service(self, name: &ServiceName, path: &TreePath, prefix: &str) -> Self {
        let name = name.as_str();
        let short = short(name, prefix);
        let underscored = |text: &str| text.replace(['-', '.'], "_");
        self.with(Variable::Name, name)
            .with(Variable::Short, short)
            .with(Variable::ShortUnderscore, underscored(short))
            .with(Variable::NameUpper, underscored(name).to_ascii_uppercase())
            .with(Variable::ShortUpper, underscored(short).to_ascii_uppercase())
            .with(Variable::Path, path.as_str())
    }

    /// Gives the variables of a locked image their values.
    #[must_use]
    pub fn image(self, repository: &ImageRepository, tag: &Tag, digest: &Digest) -> Self {
        self.with(Variable::ImageRegistry, repository.host())
            .with(Variable::ImagePath, repository.path())
            .with(Variable::ImageRepository, repository.as_str())
            .with(Variable::ImageTag, tag.as_str())
            .with(Variable::ImageDigest, digest.as_str())
            .with(Variable::ImageReference, format!("{repository}:{tag}@{digest}"))
    }

    /// Gives the variables of a commit their values.
    #[must_use]
    pub fn commit(self, commit: &CommitId) -> Self {
        self.with(Variable::Sha, commit.as_str())
            .with(Variable::Sha7, commit.short(7))
            .with(Variable::Sha12, commit.short(12))
    }
}

/// What `{short}` is for a name.
pub(super) fn short<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str) -> Values {
        let path = TreePath::try_from(format!("services/{name}")).unwrap();
        Values::new()
            .service(&ServiceName::try_from(name).unwrap(), &path, "shop-")
            .commit(&CommitId::try_from("0123456789abcdef0123456789abcdef01234567").unwrap())
    }

    #[test]
    fn every_variable_of_a_service_has_its_value() {
        for (template, name, expected) in [
            ("{name}", "shop-cart", "shop-cart"),
            ("{short}", "shop-cart", "cart"),
            ("{short}", "gateway", "gateway"),
            ("{short}", "shop-", "shop-"),
            ("{short_}_db", "shop-cart-v1.2", "cart_v1_2_db"),
            ("{NAME}_SECRETS", "shop-cart", "SHOP_CART_SECRETS"),
            ("{SHORT}", "shop-cart", "CART"),
            ("{path}/deploy", "shop-cart", "services/shop-cart/deploy"),
            ("main-{sha7}", "shop-cart", "main-0123456"),
            ("{sha12}.{sha}", "shop-cart", "0123456789ab.0123456789abcdef0123456789abcdef01234567"),
            ("{{name} {{{name}}", "shop-cart", "{name} {shop-cart}"),
            ("é{short}}", "shop-cart", "écart}"),
            ("", "shop-cart", ""),
        ] {
            let template = Template::new(template, Variable::ALL).unwrap();
            assert_eq!(template.expand(&values(name)).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn values_are_not_read_for_variables_again() {
        let template = Template::new("{url}", &[Variable::Url]).unwrap();
        assert_eq!(template.expand(&Values::new().with(Variable::Url, "{name}")).unwrap(), "{name}");
    }

    #[test]
    fn unknown_and_unclosed_variables_are_located() {
        let error = Template::new("é-{nmae}", &[Variable::Name, Variable::Short]).unwrap_err();
        assert_eq!(error.to_string(), "`{nmae}` is no variable; there are `{name}`, `{short}`");
        assert_eq!((error.offset(), error.width(), error.unknown()), (2, 6, Some("nmae")));
        let error = Template::new("{date}", &[]).unwrap_err();
        assert_eq!(error.to_string(), "`{date}` has no value here");
        let error = Template::new("a{name", &[Variable::Name]).unwrap_err();
        assert_eq!(error.offset(), 1);
        for bad in ["{}", "{ name }", "{Name}", "{name"] {
            assert!(Template::new(bad, Variable::ALL).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_value_is_our_mistake() {
        let template = Template::new("{url}", &[Variable::Url]).unwrap();
        let error = template.expand(&Values::new()).unwrap_err();
        assert_eq!(error.to_string(), "`{url}` has no value in `{url}`");
        assert_eq!(error.class(), ErrorClass::Bug);
    }
}
