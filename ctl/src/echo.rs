//! The `^C` that a terminal shows for Ctrl-C. It would stand behind the last line of a display, which then has a line more
//! than the program knows of, and drawing it again would leave one behind.

/// While this exists, the terminal of stderr shows no control characters that are typed.
#[derive(Debug)]
pub(crate) struct NoEcho {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl NoEcho {
    /// Absent where stderr is not the terminal that this program controls now: in the background it would be stopped.
    pub(crate) fn begin() -> Option<Self> {
        use rustix::process::getpgrp;
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

        let stderr = std::io::stderr();
        if tcgetpgrp(&stderr).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&stderr).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(&stderr, OptionalActions::Now, &silent).ok()?;
        Some(Self { before })
    }
}

#[cfg(unix)]
impl Drop for NoEcho {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        // The terminal may be gone by now.
        tcsetattr(std::io::stderr(), OptionalActions::Now, &self.before).ok();
    }
}

#[cfg(not(unix))]
impl NoEcho {
    pub(crate) fn begin() -> Option<Self> {
        None
    }
}
