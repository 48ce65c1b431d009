//! A part of a list, whatever is listed: how many items, and after which place.
//!
//! A list reads one item more than a page has, to know whether any follows. Where all items are wanted, they are read page by
//! page, so that no answer of a database is larger than a page.

use crate::id::RunId;

/// Items that are read at once where all are wanted.
const ALL_AT_ONCE: usize = 1_000;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<Place = RunId> {
    /// How many items at most.
    pub limit: usize,
    /// The last item of the page before; none for the first page.
    pub after: Option<Place>,
}

impl<Place> Page<Place> {
    /// The first items of a list, so many at most.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }

    /// How many items are asked for: one more than the page has.
    pub(super) fn n_asked(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Leaves the items of the page, and returns after which the next page begins; nothing if no item follows.
    pub(super) fn cut<Item>(&self, found: &mut Vec<Item>, place: impl FnOnce(&Item) -> Place) -> Option<Place> {
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        found.last().filter(|_| has_more).map(place)
    }
}

/// All items of a list. `next` reads a page, and says where the next one begins.
pub(crate) fn all<Item, Place, Error>(
    mut next: impl FnMut(&Page<Place>) -> Result<(Vec<Item>, Option<Place>), Error>,
) -> Result<Vec<Item>, Error> {
    let (mut items, mut page) = (Vec::new(), Page::first(ALL_AT_ONCE));
    loop {
        let (more, after) = next(&page)?;
        items.extend(more);
        match after {
            Some(_) => page.after = after,
            None => return Ok(items),
        }
    }
}

/// As [`all`], where a page has to be waited for.
pub(crate) async fn wait_for_all<Item, Place, Error, Next>(
    mut next: impl FnMut(Page<Place>) -> Next,
) -> Result<Vec<Item>, Error>
where
    Next: Future<Output = Result<(Vec<Item>, Option<Place>), Error>>,
{
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let (more, last) = next(Page { limit: ALL_AT_ONCE, after }).await?;
        items.extend(more);
        match last {
            Some(_) => after = last,
            None => return Ok(items),
        }
    }
}
