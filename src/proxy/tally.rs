//! Which cells a request is counted in: those of its API, which are found by name once for each API of the tables.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::catalog::ApiId;
use crate::gate::Tables;
use crate::observe::counters::{ApiCells, Counters};
use crate::observe::series::Place;

/// Places of the APIs of the tables in force.
#[derive(Default)]
pub struct Tally {
    tables: RefCell<Weak<Tables>>,
    places: RefCell<Box<[Cell<Option<Place>>]>>,
}

impl Tally {
    /// The cells of an API. `in_force`: the tables that new requests get; this one may still have others.
    pub fn cells<'c>(
        &self,
        counters: &'c Counters,
        tables: &Rc<Tables>,
        in_force: &Rc<Tables>,
        api: Option<ApiId>,
    ) -> &'c ApiCells {
        let Some(api) = api else { return &counters.no_api };
        if !Rc::ptr_eq(tables, in_force) {
            return counters.apis.cells(by_name(counters, tables, api));
        }
        if self.tables.borrow().as_ptr() != Rc::as_ptr(tables) {
            *self.tables.borrow_mut() = Rc::downgrade(tables);
            *self.places.borrow_mut() = tables.catalog.apis.iter().map(|_| Cell::new(None)).collect();
        }
        let places = self.places.borrow();
        let Some(known) = places.get(api.index()) else { return &counters.apis.other };
        let place = known.get().unwrap_or_else(|| by_name(counters, tables, api));
        known.set(Some(place));
        counters.apis.cells(place)
    }
}

#[cold]
fn by_name(counters: &Counters, tables: &Tables, api: ApiId) -> Place {
    let catalog = &tables.catalog;
    let api = &catalog.apis[api.index()];
    counters.apis.place([&catalog.groups[api.group.index()].name, &api.name, &catalog.stages[api.stage.index()]])
}
