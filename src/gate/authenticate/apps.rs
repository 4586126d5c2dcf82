//! Apps by key and by AppCode.

use crate::catalog::{AppId, AppKey, Catalog};

pub struct Apps {}

impl Apps {
    pub fn build(_catalog: &Catalog) -> Self {
        Self {}
    }
    pub fn by_key<'c>(&self, _catalog: &'c Catalog, _key: &[u8]) -> Option<(AppId, &'c AppKey)> {
        todo!()
    }
    /// Compared in constant time.
    pub fn by_app_code(&self, _catalog: &Catalog, _code: &[u8]) -> Option<AppId> {
        todo!()
    }
}
