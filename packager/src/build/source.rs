//! Which revision of the sources is built, as far as git knows.

use std::path::Path;
use std::process::Command;

/// The revision of the sources in that folder; `-dirty` behind it if files differ from it.
///
/// Archives and the target folder are what builds leave behind, so they do not count.
pub(super) fn revision(folder: &Path, target_dir: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "HEAD"])?;
    let root = git(&["rev-parse", "--show-toplevel"])?;
    let mut status = vec!["status", "--porcelain", "--", ":/", ":(top,exclude,glob)**/*.cloacina"];
    let target = target_dir.strip_prefix(root).ok().and_then(Path::to_str).filter(|target| !target.is_empty());
    let target = target.map(|target| format!(":(top,exclude){target}"));
    status.extend(target.as_deref());
    match git(&status)?.is_empty() {
        true => Some(revision),
        false => Some(format!("{revision}-dirty")),
    }
}
