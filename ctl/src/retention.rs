//! What of the past is kept: from the settings to the rule that engines follow.
//!
//! A variable counts before the file, and both before the default. A value that makes no sense is an error, as a rule
//! that is not followed would be noticed when it is too late.

use cloacina::Retention;

use crate::config::{Settings, value};
use crate::error::Error;

/// The rule that the settings ask for.
pub(crate) fn retention(settings: &Settings) -> Result<Retention, Error> {
    if settings.value("retention.enabled", value::flag)? == Some(false) {
        return Ok(Retention::off());
    }
    let age = |name: &str| settings.value(name, value::age_or_off);
    let number = |name: &str| settings.value(name, value::number_or_off);
    let finished = age("retention.finished")?;
    let of_state = |name: &str, default| Ok::<_, Error>(age(name)?.or(finished).unwrap_or(default));
    let mut rule = Retention::default();
    rule.completed = of_state("retention.completed", rule.completed)?;
    rule.partially_completed = of_state("retention.partially_completed", rule.partially_completed)?;
    rule.cancelled = of_state("retention.cancelled", rule.cancelled)?;
    rule.failed = of_state("retention.failed", rule.failed)?;
    rule.dead_letters = age("retention.dead_letters")?.unwrap_or(rule.dead_letters);
    rule.contexts = age("retention.contexts")?.unwrap_or(rule.contexts);
    rule.events = age("retention.events")?.unwrap_or(rule.events);
    rule.logs = age("retention.logs")?.unwrap_or(rule.logs);
    rule.runs_max = number("retention.runs_max")?.unwrap_or(rule.runs_max);
    rule.logs_max = number("retention.logs_max")?.unwrap_or(rule.logs_max);
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn read(text: &str) -> Result<Retention, Error> {
        retention(&Settings::of_text(&format!("[retention]\n{text}"))?)
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
        assert!(matches!(read("log = '1d'"), Err(Error::BadConfig { .. })));
    }
}
