//! Whether somebody still reads what this program prints: a command that goes on for long ends with its reader.
//!
//! A pipe tells its end only to those who write to it, and a command that follows something may write nothing for hours. So
//! a thread asks the system about stdout, and sleeps until that is broken: a pipe that nobody reads, a terminal that hung
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

    /// Waits until nobody reads stdout any more.
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
