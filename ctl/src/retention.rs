//! What of the past is kept: from the settings to the rule that engines follow.
//!
//! A variable counts before the file, and both before the default. A value that makes no sense is an error, as a rule
//! that is not followed would be noticed when it is too late.

use std::time::Duration;

use cloacina::Retention;
use serde::Deserialize;

use crate::config::Config;
use crate::error::Error;

/// The names of all settings.
pub(crate) const SETTINGS: [&str; 12] = [
    "enabled",
    "finished",
    "completed",
    "partially_completed",
    "cancelled",
    "failed",
    "dead_letters",
    "runs_max",
    "contexts",
    "events",
    "logs",
    "logs_max",
];

/// The word for keeping everything of a kind.
const OFF: &str = "off";

/// `[retention]` of `cloacina.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionSection {
    enabled: Option<Setting>,
    finished: Option<Setting>,
    completed: Option<Setting>,
    partially_completed: Option<Setting>,
    cancelled: Option<Setting>,
    failed: Option<Setting>,
    dead_letters: Option<Setting>,
    runs_max: Option<Setting>,
    contexts: Option<Setting>,
    events: Option<Setting>,
    logs: Option<Setting>,
    logs_max: Option<Setting>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Number(u64),
    Flag(bool),
}

/// The rule that the surroundings ask for.
pub(crate) fn retention(config: &Config) -> Result<Retention, Error> {
    let section = Config::file()?.retention;
    rule(&|name| config.retention.get(name).cloned().or_else(|| section.get(name)))
}

/// The rule, from the text of each setting.
fn rule(setting: &dyn Fn(&str) -> Option<String>) -> Result<Retention, Error> {
    if let Some(enabled) = setting("enabled") {
        match enabled.as_str() {
            "true" | "on" => {}
            "false" | OFF => return Ok(Retention::off()),
            _ => return Err(bad("enabled", &enabled, "it is `true` or `false`")),
        }
    }
    let mut rule = Retention::default();
    for name in
        ["completed", "partially_completed", "cancelled", "failed", "dead_letters", "contexts", "events", "logs"]
    {
        let is_finished = matches!(name, "completed" | "partially_completed" | "cancelled" | "failed");
        let (name, text) = match (setting(name), is_finished) {
            (Some(text), _) => (name, text),
            (None, true) => match setting("finished") {
                Some(text) => (name, text),
                None => continue,
            },
            (None, false) => continue,
        };
        *age_of(&mut rule, name) = age(name, &text)?;
    }
    if let Some(text) = setting("runs_max") {
        rule.runs_max = number("runs_max", &text)?;
    }
    if let Some(text) = setting("logs_max") {
        rule.logs_max = number("logs_max", &text)?;
    }
    Ok(rule)
}

fn age_of<'a>(rule: &'a mut Retention, name: &str) -> &'a mut Option<Duration> {
    match name {
        "completed" => &mut rule.completed,
        "partially_completed" => &mut rule.partially_completed,
        "cancelled" => &mut rule.cancelled,
        "failed" => &mut rule.failed,
        "dead_letters" => &mut rule.dead_letters,
        "contexts" => &mut rule.contexts,
        "events" => &mut rule.events,
        _ => &mut rule.logs,
    }
}

fn age(name: &str, text: &str) -> Result<Option<Duration>, Error> {
    if text == OFF {
        return Ok(None);
    }
    humantime::parse_duration(text)
        .map(Some)
        .map_err(|error| bad(name, text, &format!("{error}; use a duration such as `30d`, or `off`")))
}

fn number(name: &str, text: &str) -> Result<Option<u64>, Error> {
    if text == OFF {
        return Ok(None);
    }
    text.replace('_', "").parse().map(Some).map_err(|_| bad(name, text, "use a number or `off`"))
}

fn bad(name: &str, text: &str, reason: &str) -> Error {
    Error::BadSetting { name: format!("retention.{name}"), text: text.to_owned(), reason: reason.to_owned() }
}

impl RetentionSection {
    fn get(&self, name: &str) -> Option<String> {
        let setting = match name {
            "enabled" => &self.enabled,
            "finished" => &self.finished,
            "completed" => &self.completed,
            "partially_completed" => &self.partially_completed,
            "cancelled" => &self.cancelled,
            "failed" => &self.failed,
            "dead_letters" => &self.dead_letters,
            "runs_max" => &self.runs_max,
            "contexts" => &self.contexts,
            "events" => &self.events,
            "logs" => &self.logs,
            "logs_max" => &self.logs_max,
            _ => return None,
        };
        setting.as_ref().map(|setting| match setting {
            Setting::Text(text) => text.clone(),
            Setting::Number(number) => number.to_string(),
            Setting::Flag(flag) => flag.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn read(text: &str) -> Result<Retention, Error> {
        let section: RetentionSection = toml::from_str(text).unwrap();
        rule(&|name| section.get(name))
    }

    #[test]
    fn settings_change_what_they_name() {
        assert_eq!(read("").unwrap(), Retention::default());
        assert_eq!(read("enabled = false").unwrap(), Retention::off());
        let rule = read("finished = '7d'\nfailed = 'off'\nlogs = '36h'\nruns_max = 1000\nlogs_max = 'off'").unwrap();
        assert_eq!((rule.completed, rule.cancelled, rule.failed), (Some(7 * DAY), Some(7 * DAY), None));
        assert_eq!((rule.logs, rule.runs_max, rule.logs_max), (Some(DAY + DAY / 2), Some(1000), None));
        assert_eq!(rule.dead_letters, None);
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for text in ["logs = 'soon'", "runs_max = 'many'", "enabled = 'maybe'", "events = 5"] {
            assert!(matches!(read(text), Err(Error::BadSetting { .. })), "{text}");
        }
        assert!(toml::from_str::<RetentionSection>("log = '1d'").is_err());
    }

    #[test]
    fn every_setting_has_its_place() {
        for name in SETTINGS {
            let section: RetentionSection = toml::from_str(&format!("{name} = 'x'")).unwrap();
            assert_eq!(section.get(name).as_deref(), Some("x"));
        }
    }
}
