//! Writes a file that a user named: completely or not at all, and only in the place of a file.
//!
//! A regular file is written beside its place and renamed, so that no reader finds half of it. A symbolic link is followed:
//! what it leads to is replaced, and the link stays. A device or a FIFO is written to, because something else is behind
//! its name; anything else is refused. Nothing but a regular file is ever replaced.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

/// As many links are followed as the system does.
const LINKS_MAX: usize = 40;
/// How long to wait for a program that reads from a FIFO.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Writes a whole file, or leaves what was there.
///
/// # Errors
/// What the system says; for a folder, a socket or a disk that it is none that can be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && !is_of_process(path) => replace_file(&target(path)?, bytes, Some(&found)),
        Ok(found) => write_through(path, found.file_type(), bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => replace_file(&target(path)?, bytes, None),
        Err(error) => Err(error),
    }
}

/// Where a path leads to: through all links, also if there is nothing at their end.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = folder(&path).join(fs::read_link(&path)?),
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Whether the path leads to something that a process has open, such as `/dev/stdout`: that is to be written to and not
/// its name.
fn is_of_process(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if path.starts_with("/proc") || path.starts_with("/dev/fd") {
            return true;
        }
        match fs::read_link(&path) {
            Ok(link) => path = folder(&path).join(link),
            Err(_) => return false,
        }
    }
    false
}

fn replace_file(path: &Path, bytes: &[u8], before: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".cloacina-").tempfile_in(folder(path))?;
    file.write_all(bytes)?;
    permit(file.as_file(), before)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A file keeps its mode; a new one may be read by everybody and written by its owner.
#[cfg(unix)]
fn permit(file: &File, before: Option<&fs::Metadata>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let permissions = before.map_or_else(|| PermissionsExt::from_mode(0o644), fs::Metadata::permissions);
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn permit(_file: &File, _before: Option<&fs::Metadata>) -> io::Result<()> {
    Ok(())
}

/// Writes to what is there.
fn write_through(path: &Path, kind: FileType, bytes: &[u8]) -> io::Result<()> {
    let mut file = match Kind::of(kind) {
        Kind::File | Kind::Device => OpenOptions::new().write(true).truncate(kind.is_file()).open(path)?,
        Kind::Fifo => open_fifo(path)?,
        Kind::Folder => return Err(ErrorKind::IsADirectory.into()),
        Kind::Other(what) => return Err(io::Error::new(ErrorKind::InvalidInput, format!("{what}, and not a file"))),
    };
    file.write_all(bytes)?;
    file.flush()
}

enum Kind {
    File,
    /// One that takes characters.
    Device,
    Fifo,
    Folder,
    Other(&'static str),
}

impl Kind {
    fn of(kind: FileType) -> Self {
        if kind.is_file() {
            return Self::File;
        }
        if kind.is_dir() {
            return Self::Folder;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;

            if kind.is_char_device() {
                return Self::Device;
            }
            if kind.is_fifo() {
                return Self::Fifo;
            }
            if kind.is_block_device() {
                return Self::Other("it is a disk");
            }
            if kind.is_socket() {
                return Self::Other("it is a socket");
            }
        }
        Self::Other("it is something else")
    }
}

/// Opens a FIFO once a program reads from it. Without one the thread that waits ends with the process.
fn open_fifo(path: &Path) -> io::Result<File> {
    let (opened, open) = mpsc::channel();
    let fifo = path.to_owned();
    thread::Builder::new().name("clcn-fifo".to_owned()).spawn(move || {
        // This fails only when the receiver has stopped waiting.
        opened.send(OpenOptions::new().write(true).open(fifo)).ok();
    })?;
    let no_reader = || io::Error::new(ErrorKind::TimedOut, "no program reads from the FIFO");
    open.recv_timeout(READER_WAIT).unwrap_or_else(|_| Err(no_reader()))
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::{
        fs::{FileTypeExt, PermissionsExt, symlink},
        net::UnixListener,
    };

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let before = File::open(&path).unwrap();
        replace(&path, b"newer").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), io::read_to_string(before).unwrap()),
            (b"newer".to_vec(), "new".to_owned())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        for (link, leads_to) in
            [("far", "deep/real"), ("near", "far"), ("absolute", path("deep/other").to_str().unwrap())]
        {
            symlink(leads_to, path(link)).unwrap();
        }
        // First there is nothing at the end.
        for text in ["one", "two"] {
            for (link, real) in [("near", "deep/real"), ("absolute", "deep/other")] {
                replace(&path(link), text.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(path(real)).unwrap(), text);
                assert!(fs::symlink_metadata(path(link)).unwrap().is_symlink());
            }
        }
        symlink("circle", path("circle")).unwrap();
        assert!(replace(&path("circle"), b"x").is_err());
        assert!(fs::symlink_metadata(path("circle")).unwrap().is_symlink());
    }

    #[test]
    fn other_things_than_files_are_written_to_or_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        replace(Path::new("/dev/null"), b"x").unwrap();
        assert_eq!(replace(Path::new("/dev/full"), b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        symlink("/dev/full", path("full")).unwrap();
        assert_eq!(replace(&path("full"), b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        assert_eq!(replace(&path("socket"), b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(replace(folder.path(), b"x").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert!(fs::metadata(path("socket")).unwrap().file_type().is_socket());
    }

    #[test]
    fn a_fifo_is_written_to_once_it_has_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let read = fifo.clone();
        let reader = thread::spawn(move || fs::read(read).unwrap());
        replace(&fifo, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert_eq!(replace(&fifo, b"lost").unwrap_err().to_string(), "no program reads from the FIFO");
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }
}
