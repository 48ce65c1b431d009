//! Building packages again when their sources change: a thread that waits for the file system, and builds.
//!
//! Several saves in a row are one build, and what is saved during a build is the next one. A build that fails says so and
//! leaves what runs as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::Error;
use crate::output::Output;

/// How long nothing must have been saved before a build begins.
const QUIET: Duration = Duration::from_millis(200);

/// The folder into which cargo builds.
const BUILT: &str = "target";

/// Folders that are watched, until this is dropped.
pub(super) struct Watch<'scope> {
    saved: Sender<Saved>,
    thread: Option<thread::ScopedJoinHandle<'scope, ()>>,
}

/// What the thread waits for.
enum Saved {
    File(PathBuf),
    /// Nobody watches any more.
    End,
}

impl<'scope> Watch<'scope> {
    /// Calls `build` with the place of each package whose sources were saved, as long as the watch lives.
    pub(super) fn begin<'env>(
        scope: &'scope thread::Scope<'scope, 'env>,
        places: &'env [PathBuf],
        output: &'env Output,
        mut build: impl FnMut(&Path) + Send + 'scope,
    ) -> Result<Self, Error> {
        let (saved, is_saved) = mpsc::channel();
        let mut watched = watch(places, &saved)?;
        let again = saved.clone();
        let thread = scope.spawn(move || {
            while let Some(changed) = next(&is_saved, places) {
                // Folders may have been made; watched before the build, so that what is saved meanwhile is not missed.
                match watch(places, &again) {
                    Ok(new) => watched = new,
                    Err(error) => output.note(&format!("new folders are not watched: {error}")),
                }
                changed.into_iter().for_each(&mut build);
            }
            drop(watched);
        });
        Ok(Self { saved, thread: Some(thread) })
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // A thread that has ended needs no telling.
        self.saved.send(Saved::End).ok();
        if let Some(Err(panic)) = self.thread.take().map(thread::ScopedJoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The packages that were saved, once nothing is saved for a while; none when nobody watches any more.
fn next<'a>(saved: &Receiver<Saved>, places: &'a [PathBuf]) -> Option<BTreeSet<&'a Path>> {
    let mut changed = BTreeSet::new();
    let mut wait = None;
    loop {
        let heard = match wait {
            None => saved.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => saved.recv_timeout(wait),
        };
        match heard {
            Ok(Saved::File(file)) => {
                let of = places.iter().filter(|place| file.starts_with(place));
                changed.extend(of.map(PathBuf::as_path));
                wait = (!changed.is_empty()).then_some(QUIET);
            }
            Ok(Saved::End) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => return Some(changed),
        }
    }
}

/// Watches every folder of the sources.
fn watch(places: &[PathBuf], saved: &Sender<Saved>) -> Result<RecommendedWatcher, Error> {
    let (saved, roots) = (saved.clone(), places.to_vec());
    let told = move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        if event.kind.is_access() {
            return;
        }
        for path in event.paths.into_iter().filter(|path| is_source(path, &roots)) {
            // Without the thread nobody builds.
            saved.send(Saved::File(path)).ok();
        }
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: notify::Error| Error::Io { action: "watch", path, source: std::io::Error::other(error) }
    };
    let mut watcher = notify::recommended_watcher(told).map_err(failed(Path::new("the sources")))?;
    for place in places {
        // A file that is replaced is another file; its folder tells.
        let folder = if place.is_dir() { place.as_path() } else { place.parent().unwrap_or(Path::new("/")) };
        let folders = if place.is_dir() { folders(folder) } else { vec![folder.to_owned()] };
        for folder in folders {
            watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(failed(&folder))?;
        }
    }
    Ok(watcher)
}

/// The folder and all below it that hold sources.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(folder) = found.get(next) {
        next += 1;
        // A folder that has gone meanwhile has no sources.
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let below: Vec<PathBuf> =
            entries.filter(is_folder).map(|entry| entry.path()).filter(|path| is_source(path, &[])).collect();
        found.extend(below);
    }
    found
}

/// Whether a path may be of the sources: neither what was built nor what is hidden.
fn is_source(path: &Path, roots: &[PathBuf]) -> bool {
    let root = roots.iter().find(|root| path.starts_with(root));
    let below = root.and_then(|root| path.strip_prefix(root).ok());
    let names = below.unwrap_or_else(|| Path::new(path.file_name().unwrap_or_default())).components();
    names.map(|part| part.as_os_str().to_string_lossy().into_owned()).all(|name| {
        let is_archive = name.ends_with(".cloacina") && root.is_some_and(|root| root.is_dir());
        name != BUILT && !name.starts_with('.') && !name.ends_with('~') && !is_archive
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_and_what_is_hidden_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        for (name, expected) in [
            ("src/lib.rs", true),
            ("Cargo.toml", true),
            ("src/.lib.rs.swp", false),
            ("src/lib.rs~", false),
            ("target/debug/x", false),
            (".git/index", false),
            ("my_package.cloacina", false),
        ] {
            assert_eq!(is_source(&root.path().join(name), &roots), expected, "{name}");
        }
    }

    #[test]
    fn folders_below_are_found_but_those_that_are_built() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["src/deep", "target/debug", ".git"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let found: BTreeSet<PathBuf> = folders(root.path()).into_iter().collect();
        let expected = ["", "src", "src/deep"].map(|name| root.path().join(name));
        assert_eq!(found.len(), 3);
        assert!(expected.iter().all(|folder| found.iter().any(|known| known == folder || known.join("") == *folder)));
    }
}
