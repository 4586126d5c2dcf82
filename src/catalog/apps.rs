//! All apps, in the lists that documents hold: a list whose document has not changed is shared with the catalog before.

use std::sync::Arc;

use super::App;

/// The place of an app: the list, and the app in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId {
    pub list: u32,
    pub nth: u32,
}

#[derive(Clone, Default)]
pub struct Apps {
    lists: Arc<Vec<Arc<[App]>>>,
    count: usize,
}

impl Apps {
    pub fn new(lists: Vec<Arc<[App]>>) -> Self {
        let count = lists.iter().map(|list| list.len()).sum();
        Self { lists: Arc::new(lists), count }
    }

    #[inline]
    pub fn get(&self, id: AppId) -> Option<&App> {
        self.lists.get(id.list as usize)?.get(id.nth as usize)
    }

    pub fn lists(&self) -> impl Iterator<Item = &[App]> {
        self.lists.iter().map(|list| &**list)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn ids(&self) -> impl Iterator<Item = (AppId, &App)> {
        let of_list = |(list, apps): (u32, &'_ Arc<[App]>)| (list, apps.len() as u32);
        let places =
            (0..).zip(self.lists.iter()).map(of_list).flat_map(|(list, len)| (0..len).map(move |nth| AppId { list, nth }));
        places.filter_map(|id| Some((id, self.get(id)?)))
    }

    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.lists.iter().flat_map(|list| list.iter())
    }

    /// The same lists, and not only equal ones.
    pub fn is(&self, other: &Self) -> bool {
        let mut pairs = self.lists.iter().zip(other.lists.iter());
        self.lists.len() == other.lists.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    #[cfg(test)]
    pub fn push(&mut self, app: App) -> AppId {
        Arc::make_mut(&mut self.lists).push(Arc::new([app]));
        self.count += 1;
        AppId { list: self.lists.len() as u32 - 1, nth: 0 }
    }

    /// Of one that was pushed.
    #[cfg(test)]
    pub fn pushed(&mut self, id: AppId) -> &mut App {
        &mut Arc::get_mut(&mut Arc::make_mut(&mut self.lists)[id.list as usize]).expect("nobody else has it")[id.nth as usize]
    }
}
