//! Apps by key and by AppCode.
//!
//! Two hash tables of places in the catalog; the keys and codes themselves stay in the catalog. Hashes are seeded at
//! random, so that a caller can neither choose collisions nor learn codes from the time a lookup takes.

use ahash::RandomState;
use hashbrown::HashTable;
use subtle::ConstantTimeEq;

use crate::catalog::{AppId, AppKey, Catalog, Secret};

pub struct Apps {
    random: RandomState,
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
        let random = RandomState::new();
        let mut keys = HashTable::with_capacity(catalog.apps.iter().map(|app| app.keys.len()).sum());
        let mut app_codes = HashTable::with_capacity(catalog.apps.iter().map(|app| app.app_codes.len()).sum());
        for (app, entry) in catalog.apps.ids() {
            for (nth, key) in (0..).zip(&entry.keys) {
                let hash = random.hash_one(key.key.as_bytes());
                keys.insert_unique(hash, Place { app, nth }, |place| random.hash_one(place.key(catalog)));
            }
            for (nth, code) in (0..).zip(&entry.app_codes) {
                let hash = random.hash_one(code.expose().as_bytes());
                app_codes.insert_unique(hash, Place { app, nth }, |place| random.hash_one(place.app_code(catalog)));
            }
        }
        Self { random, keys, app_codes }
    }

    pub fn by_key<'c>(&self, catalog: &'c Catalog, key: &[u8]) -> Option<(AppId, &'c AppKey)> {
        let place = self.keys.find(self.random.hash_one(key), |place| place.key(catalog) == Some(key))?;
        Some((place.app, place.app_key(catalog)?))
    }

    /// Compared in constant time.
    pub fn by_app_code(&self, catalog: &Catalog, code: &[u8]) -> Option<AppId> {
        let same = |place: &Place| place.app_code(catalog).is_some_and(|known| known.ct_eq(code).into());
        self.app_codes.find(self.random.hash_one(code), same).map(|place| place.app)
    }
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
