//! What the harness was asked to do: the arguments of the command line, and nothing from the environment.
//!
//! A database that is given is used as it is, and keeps the runs; otherwise there is a file that is gone at the end.

use crate::Failure;

const USAGE: &str = "usage: crash [--kills N] [--seed N] [--database FILE|URL] [--sabotage fence|sync]";

pub(crate) struct Options {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    pub(crate) database: Option<String>,
    pub(crate) sabotage: Option<Sabotaged>,
}

/// The promise that is broken, to see whether it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotaged {
    Fence,
    Sync,
}

pub(crate) fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options { kills: 200, seed: 1, database: None, sabotage: None };
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--kills" => options.kills = value.parse()?,
            [name, value] if name == "--seed" => options.seed = value.parse()?,
            [name, value] if name == "--database" => options.database = Some(value.clone()),
            [name, value] if name == "--sabotage" => options.sabotage = Some(value.parse()?),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

impl Sabotaged {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Sync => "sync",
        }
    }
}

impl std::str::FromStr for Sabotaged {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        [Self::Fence, Self::Sync].into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| USAGE.into())
    }
}
