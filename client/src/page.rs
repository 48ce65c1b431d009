//! Lists: a page at a time, or item by item over all pages.
//!
//! The next page begins where the header `link` of the page before says, whatever was added meanwhile.

use std::collections::VecDeque;

use futures_core::Stream;
use futures_util::stream::try_unfold;
use hyper::{
    Method,
    header::{HeaderMap, LINK},
};
use serde::de::DeserializeOwned;

use crate::{body, client::Client, error::Error, query::Query};

/// Items that are read at once where somebody wants all of them: the most that a server gives.
const ITEMS_AT_ONCE: usize = 1_000;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor with which the next page begins; none if no item follows.
    pub next: Option<String>,
}

impl Client {
    /// The page of a list that begins at a cursor.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<T>, Error> {
        let query = query.with("limit", Some(limit)).with("cursor", cursor);
        let request = self.request(Method::GET, &format!("{path}{query}"), body::empty())?;
        let answer = self.send(request).await?;
        let next = next_cursor(answer.headers());
        Ok(Page { items: answer.json().await?, next })
    }

    /// All items of a list, read a page at a time.
    pub(crate) fn items<T: DeserializeOwned>(
        &self,
        path: String,
        query: Query,
    ) -> impl Stream<Item = Result<T, Error>> + use<T> {
        let start = (self.clone(), VecDeque::new(), Some(None));
        try_unfold(start, move |(client, mut items, mut next)| {
            let (path, query) = (path.clone(), query.clone());
            async move {
                while items.is_empty() {
                    let Some(cursor) = next else { return Ok(None) };
                    let page = client.page::<T>(&path, query.clone(), ITEMS_AT_ONCE, Option::as_deref(&cursor)).await?;
                    (items, next) = (page.items.into(), page.next.map(Some));
                }
                Ok(items.pop_front().map(|item| (item, (client, items, next))))
            }
        })
    }
}

/// The cursor in `<path?…&cursor=…>; rel="next"`.
pub(crate) fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let (address, relation) = headers.get(LINK)?.to_str().ok()?.strip_prefix('<')?.split_once('>')?;
    let (_, query) = address.split_once('?').filter(|_| relation == "; rel=\"next\"")?;
    query.split('&').find_map(|pair| pair.strip_prefix("cursor=")).map(str::to_owned)
}
