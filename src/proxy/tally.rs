//! Where the cells of each API of a generation are: found by name once, when the API is first called.

use std::cell::Cell;

use crate::catalog::{ApiId, Catalog};
use crate::observe::counters::{ApiCells, Counters};
use crate::observe::series::Place;

/// By [`ApiId`].
pub struct Tally(Box<[Cell<Option<Place>>]>);

impl Tally {
    pub fn of(catalog: &Catalog) -> Self {
        Self(catalog.apis.iter().map(|_| Cell::new(None)).collect())
    }

    /// The cells that a call of this API is counted in.
    pub fn cells<'c>(&self, api: Option<ApiId>, catalog: &Catalog, counters: &'c Counters) -> &'c ApiCells {
        let Some(api) = api else { return &counters.no_api };
        let Some(place) = self.0.get(api.index()) else { return &counters.apis.other };
        let found = place.get().unwrap_or_else(|| find(api, catalog, counters));
        place.set(Some(found));
        counters.apis.cells(found)
    }
}

#[cold]
fn find(api: ApiId, catalog: &Catalog, counters: &Counters) -> Place {
    let api = &catalog.apis[api.index()];
    counters.apis.place([&catalog.groups[api.group.index()].name, &api.name, &catalog.stages[api.stage.index()]])
}
