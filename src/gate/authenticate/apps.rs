//! Apps by key and by AppCode.
//!
//! Two hash tables of places in the catalog; the keys and codes themselves stay in the catalog. Hashes are seeded at
//! random, so that a caller can neither choose collisions nor learn codes from the time a lookup takes.

use hashbrown::HashTable;
use subtle::ConstantTimeEq;

use crate::catalog::{AppId, AppKey, Catalog, Own, Secret, both};

pub struct Apps {
    keys: HashTable<Place>,
    app_codes: HashTable<Place>,
}

/// The `nth` key or code of an app.
#[derive(Clone, Copy)]
struct Place {
    app: AppId,
    nth: u32,
}

impl Apps {
    pub fn build(catalog: &Catalog) -> Self {
        let (keys, app_codes) = both(|| table(catalog, Own::Key), || table(catalog, Own::AppCode));
        Self { keys, app_codes }
    }

    pub fn by_key<'c>(&self, catalog: &'c Catalog, key: &[u8]) -> Option<(AppId, &'c AppKey)> {
        let place = self.keys.find(catalog.apps.fingerprint(key), |place| place.key(catalog) == Some(key))?;
        Some((place.app, place.app_key(catalog)?))
    }

    /// Compared in constant time.
    pub fn by_app_code(&self, catalog: &Catalog, code: &[u8]) -> Option<AppId> {
        let same = |place: &Place| place.app_code(catalog).is_some_and(|known| known.ct_eq(code).into());
        self.app_codes.find(catalog.apps.fingerprint(code), same).map(|place| place.app)
    }
}

/// By the fingerprints that the catalog has: of a million apps, none is looked at.
fn table(catalog: &Catalog, own: Own) -> HashTable<Place> {
    let lists = catalog.apps.lists();
    let mut table = HashTable::with_capacity(lists.iter().map(|list| list.fingerprints(own).len()).sum());
    let hash = |place: &Place| {
        let text = if own == Own::Key { place.key(catalog) } else { place.app_code(catalog) };
        catalog.apps.fingerprint(text.unwrap_or_default())
    };
    for (list, apps) in (0..).zip(lists) {
        for (fingerprint, of, nth) in apps.places(own) {
            table.insert_unique(fingerprint, Place { app: AppId { list, nth: of }, nth }, hash);
        }
    }
    table
}

impl Place {
    fn app_key(self, catalog: &Catalog) -> Option<&AppKey> {
        catalog.apps.get(self.app)?.keys.get(self.nth as usize)
    }
    fn key(self, catalog: &Catalog) -> Option<&[u8]> {
        self.app_key(catalog).map(|key| key.key.as_bytes())
    }
    fn app_code(self, catalog: &Catalog) -> Option<&[u8]> {
        let code: &Secret = catalog.apps.get(self.app)?.app_codes.get(self.nth as usize)?;
        Some(code.expose().as_bytes())
    }
}
