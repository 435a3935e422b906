//! Who acts on the forge: a user who is named, the forge's bot, or the person whose address git has. A person is never
//! taken for the bot.

use forge::User;
use lock_model::UserName;
use lock_model::escaping::escape_short;
use process::EnvVars;

use crate::error::{Error, ErrorKind};
use crate::labels::other_names;

/// How many settings of a job's variables are looked through.
const MOST_SETTINGS: usize = 1000;

/// How a caller says who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// This user of the forge.
    Named(UserName),
    /// The forge's only bot, as in a CI job.
    Bot,
    /// The person to whom the forge gives the `user.email` that git has in the repository.
    OfGit,
    /// It does not matter who acts, since the call only reads: git is not asked for an address.
    NotAsked,
}

/// Why nobody is known to act: enough to read, and not to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The call said that it only reads.
    NotAsked,
    /// Git has no address.
    NoAddress,
    /// No user of the forge has git's address.
    Stranger { mail: String },
    /// Several have it.
    Several { mail: String, names: Vec<String> },
    /// A bot has it.
    IsBot { mail: String, bot: String },
    /// The forge has no user of this name.
    NoSuchUser { name: UserName, users: Vec<String> },
    /// The forge has no bot, or several.
    NoSingleBot { bots: Vec<String> },
}

/// Finds who acts among the forge's users; `mail` is git's address.
pub(crate) fn identify(actor: &Actor, users: &[User], mail: Option<&str>) -> Result<UserName, Unknown> {
    match actor {
        Actor::Named(name) if users.iter().any(|user| user.name == *name) => Ok(name.clone()),
        Actor::Named(name) => {
            let users = users.iter().map(|user| user.name.to_string()).collect();
            Err(Unknown::NoSuchUser { name: name.clone(), users })
        }
        Actor::Bot => match users.iter().filter(|user| user.bot).collect::<Vec<_>>().as_slice() {
            [bot] => Ok(bot.name.clone()),
            bots => Err(Unknown::NoSingleBot { bots: bots.iter().map(|bot| bot.name.to_string()).collect() }),
        },
        Actor::NotAsked => Err(Unknown::NotAsked),
        Actor::OfGit => {
            let Some(mail) = mail.map(str::trim).filter(|mail| !mail.is_empty()) else {
                return Err(Unknown::NoAddress);
            };
            let has = |user: &&User| user.mails.iter().any(|known| known.eq_ignore_ascii_case(mail));
            let mail = mail.to_owned();
            match users.iter().filter(has).collect::<Vec<_>>().as_slice() {
                [] => Err(Unknown::Stranger { mail }),
                [user] if user.bot => Err(Unknown::IsBot { mail, bot: user.name.to_string() }),
                [user] => Ok(user.name.clone()),
                several => {
                    Err(Unknown::Several { mail, names: several.iter().map(|user| user.name.to_string()).collect() })
                }
            }
        }
    }
}

impl Unknown {
    /// What a command that needs somebody who acts ends with.
    pub(crate) fn error(&self) -> Error {
        let name_yourself = "name the user who acts: `--as USER`, or `ORCHESTRATOR_AS=USER`";
        let shown = |mail: &str| format!("`{}`, the `user.email` of git,", escape_short(mail.as_bytes(), 100));
        match self {
            Self::NotAsked => Error::new(ErrorKind::Bug, "a call that only reads is about to write"),
            Self::NoAddress => Error::new(ErrorKind::Usage, "it is not known who acts: git has no `user.email` here")
                .hint(name_yourself)
                .hint("or give git the address that the forge has for you: `git config user.email ADDRESS`"),
            Self::Stranger { mail } => {
                let address = escape_short(mail.as_bytes(), 100);
                Error::new(ErrorKind::Denied, format!("{} belongs to no user of the forge", shown(mail)))
                    .hint(name_yourself)
                    .hint(format!(
                        "or give the forge the address: `\"mail\": [\"{address}\"]` at your name in its `users.json`, \
                         or `forge init --update` with `--user NAME:ROLE:{address}`"
                    ))
            }
            Self::Several { mail, names } => {
                let message = format!("{} belongs to several users of the forge: {}", shown(mail), names.join(", "));
                Error::new(ErrorKind::Usage, message).hint(name_yourself)
            }
            Self::IsBot { mail, bot } => {
                Error::new(ErrorKind::Denied, format!("{} belongs to the bot `{bot}`", shown(mail)))
                    .hint(format!("a bot acts where it is named, `--as {bot}`, and where `CI` is `true`"))
                    .hint("as a person, give git an address of your own: `git config user.email ADDRESS`")
            }
            Self::NoSuchUser { name, users } => {
                let known = other_names(name.as_str(), "the forge", users.iter().map(String::as_str));
                Error::new(ErrorKind::Denied, format!("`{name}` is no user of the forge")).hint(known)
            }
            Self::NoSingleBot { bots } => {
                let message = match bots.as_slice() {
                    [] => "the forge has no bot".to_owned(),
                    several => format!("the forge has several bots: {}", several.join(", ")),
                };
                Error::new(ErrorKind::Usage, message).hint(name_yourself)
            }
        }
    }
}

/// The `user.email` that the job gives git with `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_N` and `GIT_CONFIG_VALUE_N`, which git
/// takes before its files.
pub(crate) fn mail_of_job(job: &EnvVars) -> Option<String> {
    let text = |name: &str| job.get(name).and_then(|value| value.to_str());
    let count: usize = text("GIT_CONFIG_COUNT")?.parse().ok()?;
    let is_mail = |index: &usize| {
        text(&format!("GIT_CONFIG_KEY_{index}")).is_some_and(|key| key.eq_ignore_ascii_case("user.email"))
    };
    let index = (0..count.min(MOST_SETTINGS)).rev().find(is_mail)?;
    text(&format!("GIT_CONFIG_VALUE_{index}")).map(|mail| mail.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use forge::Role;

    use super::*;

    fn user(name: &str, bot: bool, mails: &[&str]) -> User {
        let name = name.parse().unwrap();
        let user = if bot { User::bot(name, Role::Write) } else { User::person(name, Role::Write) };
        user.mails(mails.iter().map(|&mail| mail.to_owned()))
    }

    #[test]
    fn t10_a_person_is_never_taken_for_the_bot() {
        let users = [
            user("ana", false, &["ana@shop.example", "Shared@shop.example"]),
            user("ben", false, &["shared@shop.example"]),
            user("robot", true, &["ci@shop.example"]),
        ];
        let found = |actor: &Actor, mail: Option<&str>| match identify(actor, &users, mail) {
            Ok(name) => name.to_string(),
            Err(unknown) => {
                let error = unknown.error();
                assert!(error.hints().iter().any(|hint| hint.contains("--as ")), "{error}");
                format!("{:?}: {}", error.kind(), error.message())
            }
        };
        for (mail, expected) in [
            (Some("ana@shop.example"), "ana"),
            (Some(" ANA@Shop.example\n"), "ana"),
            (None, "Usage: it is not known who acts: git has no `user.email` here"),
            (Some(" "), "Usage: it is not known who acts: git has no `user.email` here"),
            (Some("eve@x\u{1b}"), "Denied: `eve@x\\u{1b}`, the `user.email` of git, belongs to no user of the forge"),
            (
                Some("shared@shop.example"),
                "Usage: `shared@shop.example`, the `user.email` of git, belongs to several users of the forge: ana, ben",
            ),
            (Some("ci@shop.example"), "Denied: `ci@shop.example`, the `user.email` of git, belongs to the bot `robot`"),
        ] {
            assert_eq!(found(&Actor::OfGit, mail), expected, "{mail:?}");
        }
        assert_eq!(found(&Actor::Bot, Some("ana@shop.example")), "robot");
        assert_eq!(found(&Actor::Named("ben".parse().unwrap()), None), "ben");
        for (name, hint) in [
            ("benn", "did you mean `ben`? the forge has: ana, ben, robot"),
            ("Ben", "did you mean `ben`? the forge has: ana, ben, robot"),
            ("carl", "the forge has: ana, ben, robot"),
        ] {
            let error = identify(&Actor::Named(name.parse().unwrap()), &users, None).unwrap_err().error();
            assert_eq!((error.kind(), error.hints()), (ErrorKind::Denied, [hint.to_owned()].as_slice()), "{error}");
        }
        let two = [user("robot", true, &[]), user("other", true, &[])];
        assert_eq!(identify(&Actor::Bot, &two, None).unwrap_err().error().kind(), ErrorKind::Usage);
        assert_eq!(identify(&Actor::Bot, &[], None).unwrap_err().error().kind(), ErrorKind::Usage);
    }

    #[test]
    fn the_mail_of_a_job_is_the_last_one_that_its_variables_give_git() {
        let job = |pairs: &[(&str, &str)]| {
            let mut variables = EnvVars::new().set("GIT_CONFIG_COUNT", pairs.len().to_string());
            for (index, (key, value)) in pairs.iter().enumerate() {
                variables.insert(format!("GIT_CONFIG_KEY_{index}"), key);
                variables.insert(format!("GIT_CONFIG_VALUE_{index}"), value);
            }
            variables
        };
        for (pairs, expected) in [
            (vec![], None),
            (vec![("user.name", "Ana")], None),
            (vec![("user.email", "ana@x"), ("user.name", "Ana")], Some("ana@x")),
            (vec![("User.Email", "ana@x"), ("user.email", "ben@x")], Some("ben@x")),
        ] {
            assert_eq!(mail_of_job(&job(&pairs)).as_deref(), expected, "{pairs:?}");
        }
        assert_eq!(mail_of_job(&EnvVars::new()), None);
        assert_eq!(mail_of_job(&EnvVars::new().set("GIT_CONFIG_COUNT", "x")), None);
    }
}
