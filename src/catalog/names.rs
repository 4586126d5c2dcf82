//! Names of APIs as numbers, which stay the same from one load to the next: an authorization is kept by the number of
//! what it is for, whatever is published meanwhile.

use std::sync::Arc;

use ahash::AHashMap;

use super::ApiName;

/// `GROUP/API`, each with its number. One that is gone keeps its own.
#[derive(Clone, Default)]
pub struct ApiNames {
    names: Vec<Arc<str>>,
    numbers: AHashMap<Arc<str>, u32>,
}

impl ApiNames {
    pub fn find(&self, name: &str) -> Option<ApiName> {
        self.numbers.get(name).copied().map(ApiName)
    }

    /// `GROUP/API`
    pub fn name(&self, name: ApiName) -> &str {
        self.names.get(name.index()).map_or("", |name| name)
    }

    /// Every number that was given.
    pub fn all(&self) -> impl Iterator<Item = ApiName> {
        (0..self.names.len() as u32).map(ApiName)
    }

    /// The number of a name, which is given one if it has none.
    pub fn number(names: &mut Arc<Self>, name: &str) -> ApiName {
        if let Some(known) = names.find(name) {
            return known;
        }
        let names = Arc::make_mut(names);
        let (number, name) = (names.names.len() as u32, Arc::<str>::from(name));
        names.names.push(name.clone());
        names.numbers.insert(name, number);
        ApiName(number)
    }
}
