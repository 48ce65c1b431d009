//! The actor of a request: the name that the history of a run records.
//!
//! The name is a note for people and proves nothing: every user that may use the database may make requests.

use crate::cli::ActorArgs;
use crate::config::Config;

/// `--actor`, or the user and the machine.
pub(crate) fn name(arguments: &ActorArgs, config: &Config) -> String {
    match &arguments.actor {
        Some(actor) => actor.clone(),
        None => {
            let user = config.user.clone().unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
            let machine = rustix::system::uname();
            format!("{user}@{}", machine.nodename().to_string_lossy())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_given_or_is_the_user_on_this_machine() {
        let config = Config { user: Some("ada".to_owned()), ..Config::from_env() };
        let given = ActorArgs { actor: Some("the night shift".to_owned()) };
        assert_eq!(name(&given, &config), "the night shift");
        let found = name(&ActorArgs { actor: None }, &config);
        assert!(found.starts_with("ada@") && found.len() > 4, "{found}");
        assert!(!name(&ActorArgs { actor: None }, &Config { user: None, ..config }).starts_with('@'));
    }
}
