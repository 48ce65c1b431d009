//! Detects that the reader of stdout has closed it: a long-running command ends then.
//!
//! A pipe reports its end only to a writer, and a command that follows a run may write nothing for hours. So a thread polls
//! stdout, and sleeps until it is broken: a pipe without a reader, a terminal that hung
//! up. A file never is.

use tokio::sync::watch;

/// The reader of stdout.
#[derive(Debug)]
pub(crate) struct Reader {
    gone: watch::Receiver<()>,
}

impl Reader {
    /// Watches from now on. Where no thread can be had, the reader never goes away.
    pub(crate) fn watch() -> Self {
        let (tell, gone) = watch::channel(());
        let watching = std::thread::Builder::new().name("clcn-reader".to_owned()).spawn(move || {
            if wait() {
                tell.send_replace(());
            }
        });
        drop(watching);
        Self { gone }
    }

    /// Waits until the reader of stdout has closed it.
    pub(crate) async fn gone(&mut self) {
        if self.gone.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// True when stdout is broken; false if that cannot be seen.
#[cfg(unix)]
fn wait() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let stdout = std::io::stdout();
    // Errors are told without being asked for.
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) => return polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(not(unix))]
fn wait() -> bool {
    false
}
