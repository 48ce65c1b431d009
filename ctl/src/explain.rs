//! `explain`: the page of an error code, from the program itself.

use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::ExplainArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// Every code with its page, in the order of the codes.
pub(crate) const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    /// The code.
    code: &'static str,
    /// The first line of the page.
    title: &'static str,
    /// The page, in Markdown.
    page: &'static str,
}

impl Document for Explained {}

/// A code with its title.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The code.
    code: &'static str,
    /// The first line of its page.
    title: &'static str,
}

impl Document for Vec<Listed> {}

/// Shows the page of a code, or without a code lists all codes.
pub(crate) fn explain(arguments: &ExplainArgs, output: &Output) -> Result<u8, Error> {
    let Some(asked) = &arguments.code else {
        let codes: Vec<Listed> = PAGES.iter().map(|(code, page)| Listed { code, title: title(page) }).collect();
        output
            .answer(&codes, |_| codes.iter().map(|listed| format!("{}  {}\n", listed.code, listed.title)).collect())?;
        return Ok(exit::SUCCESS);
    };
    let code = code(asked);
    let Some((code, page)) = PAGES.iter().find(|(known, _)| *known == code) else {
        let near =
            PAGES.iter().map(|(known, _)| *known).filter(|known| code.len() >= 3 && known.starts_with(&code[..3]));
        return Err(Error::UnknownCode { code: asked.clone(), near: near.map(str::to_owned).collect() });
    };
    output.answer(&Explained { code, title: title(page), page }, |_| (*page).to_owned())?;
    Ok(exit::SUCCESS)
}

/// The code in the form that it has everywhere, also where it was copied with what stands around it.
fn code(asked: &str) -> String {
    let letters = asked.trim().trim_start_matches("error").trim_start_matches("warning");
    letters.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// What the code stands for: the heading without the code.
fn title(page: &'static str) -> &'static str {
    let heading = page.lines().next().unwrap_or_default();
    heading.split_once(": ").map_or(heading, |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_understood_as_it_is_copied() {
        for asked in ["CTL0001", " ctl0001\n", "error[CTL0001]:", "error[CTL0001]", "[CTL0001]"] {
            assert_eq!(code(asked), "CTL0001", "{asked}");
        }
    }

    #[test]
    fn every_page_has_a_title() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")) && title(page).len() > 5, "{code}");
        }
        assert!(PAGES.len() > 150);
    }
}
