//! `man`: a manual page for the program and for each of its commands.
//!
//! The pages are made from what clap knows, as the help texts are.

use clap::CommandFactory;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::{Cli, ManArgs};
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The manual pages that were written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    /// The folder.
    folder: String,
    /// The names of the files, in order.
    pages: Vec<String>,
}

impl Document for Written {}

/// Writes the pages to a folder.
pub(crate) fn man(arguments: &ManArgs, output: &Output) -> Result<u8, Error> {
    let folder = arguments.folder.as_path();
    let failed = |source| Error::Io { action: "write manual pages to", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    // Names the commands below with the names above them, as their pages are named.
    command.build();
    let mut pages = Vec::new();
    write(&command, &mut |name, page| {
        pages.push(name.to_owned());
        std::fs::write(folder.join(name), page)
    })
    .map_err(failed)?;
    pages.sort();
    let written = Written { folder: folder.display().to_string(), pages };
    output.answer(&written, |_| format!("{} pages in {}\n", written.pages.len(), written.folder))?;
    Ok(exit::SUCCESS)
}

/// Passes on the page of a command, and those of the commands below it.
fn write(command: &clap::Command, keep: &mut impl FnMut(&str, &[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    keep(&page.get_filename(), &text)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write(below, keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_commands(command: &clap::Command) -> usize {
        1 + command.get_subcommands().filter(|below| !below.is_hide_set()).map(n_commands).sum::<usize>()
    }

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let mut pages = std::collections::BTreeMap::new();
        write(&command, &mut |name, page| {
            pages.insert(name.to_owned(), String::from_utf8(page.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        assert_eq!(pages.len(), n_commands(&command), "no two commands have a page of the same name");
        for (name, words) in [
            ("cloacina-ctl.1", ["Exit codes", "runs list"]),
            ("cloacina-ctl-runs-list.1", ["\\-\\-server", "\\-\\-state"]),
            ("cloacina-ctl-package-register.1", ["\\-\\-tenant", "Examples"]),
        ] {
            let page = pages.get(name).unwrap_or_else(|| panic!("{name}: {:?}", pages.keys()));
            assert!(words.iter().all(|word| page.contains(word)), "{name}: {page}");
        }
    }
}
