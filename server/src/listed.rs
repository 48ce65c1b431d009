//! Lists: JSON arrays, a page at a time, with the address of the next page in the header `link`.
//!
//! A cursor is the place after the last item of a page, so that a page goes on correctly whatever was added meanwhile.

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use cloacina::{Page, RunId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::refused::Refused;

/// Items of a page, unless the request says otherwise.
const LIMIT_DEFAULT: usize = 50;

/// Items of a page at most.
const LIMIT_MAX: usize = 1_000;

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Listed<T> {
    /// All that there is.
    pub(crate) fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// A page, and the cursor with which the next one begins, if there is a next one.
    pub(crate) fn page(items: Vec<T>, uri: &Uri, next: Option<String>) -> Self {
        Self { items, next: next.map(|cursor| address(uri, &cursor)) }
    }

    /// A page of at most so many items. If it has as many, another one may follow, which begins where the last item says.
    pub(crate) fn up_to(n_max: usize, items: Vec<T>, uri: &Uri, place: impl FnOnce(&T) -> Option<String>) -> Self {
        let next = items.last().filter(|_| items.len() == n_max).and_then(place);
        Self::page(items, uri, next)
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most, 1 to 1,000; 50 unless said otherwise.
    limit: Option<usize>,
    /// Where the page begins, as the header `link` of the page before says.
    cursor: Option<String>,
}

impl PageQuery {
    /// The page of a list of runs.
    pub(crate) fn page(&self) -> Result<Page, Refused> {
        page(self.limit, self.cursor.as_deref())
    }

    /// The number of items, and where the page begins.
    pub(crate) fn place(&self) -> Result<(usize, Option<&str>), Refused> {
        Ok((limit(self.limit)?, self.cursor.as_deref()))
    }
}

/// The page of a list of runs that has so many items and begins there.
pub(crate) fn page(asked: Option<usize>, cursor: Option<&str>) -> Result<Page, Refused> {
    let unknown = |_| Refused::Parameter { part: "query", reason: "the cursor is none of this list".to_owned() };
    let after = cursor.map(|text| text.parse::<RunId>().map_err(unknown)).transpose()?;
    Ok(Page { limit: limit(asked)?, after })
}

/// The number of items of a page.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Refused> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Refused::Parameter {
            part: "query",
            reason: format!("limit is {limit}, and 1 to {LIMIT_MAX} are allowed"),
        }),
    }
}

/// The place after which a page begins, as a text for the address.
pub(crate) fn cursor_of(place: &impl Serialize) -> String {
    // Names, numbers and timestamps are always JSON.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// The place that such a text stands for.
pub(crate) fn place_of<T: DeserializeOwned>(cursor: &str) -> Result<T, Refused> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| Refused::Parameter { part: "query", reason: "the cursor is not of this list".to_owned() })
}

/// The address of the same list from that cursor on.
fn address(uri: &Uri, cursor: &str) -> String {
    let others =
        uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<&str> = others.collect();
    let between = if query.is_empty() { "" } else { "&" };
    format!("{}?{}{between}cursor={cursor}", uri.path(), query.join("&"))
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.items).into_response();
        let link = self.next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter_and_replaces_the_cursor() {
        for (uri, expected) in [
            ("/api/v1/runs", "/api/v1/runs?cursor=b"),
            ("/api/v1/runs?state=failed&limit=2", "/api/v1/runs?state=failed&limit=2&cursor=b"),
            ("/api/v1/runs?cursor=a&limit=2", "/api/v1/runs?limit=2&cursor=b"),
        ] {
            assert_eq!(address(&uri.parse().unwrap(), "b"), expected);
        }
    }

    #[test]
    fn a_cursor_stands_for_its_place_and_no_other_text_does() {
        let place = ("name".to_owned(), 7);
        assert_eq!(place_of::<(String, i32)>(&cursor_of(&place)).unwrap(), place);
        for text in ["", "x", "!", "bnVsbA"] {
            assert!(place_of::<(String, i32)>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_an_item_at_least_and_a_thousand_at_most() {
        assert_eq!(limit(None).unwrap(), LIMIT_DEFAULT);
        assert_eq!(limit(Some(1_000)).unwrap(), 1_000);
        assert!(limit(Some(0)).is_err() && limit(Some(1_001)).is_err());
    }
}
