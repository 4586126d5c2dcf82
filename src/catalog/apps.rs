//! All apps, in the lists that documents hold: a list whose document has not changed is shared with the catalog before.

use std::sync::Arc;

use ahash::RandomState;

use super::App;

/// The place of an app: the list, and the app in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId {
    pub list: u32,
    pub nth: u32,
}

/// The apps of a document, and what their names, keys and AppCodes are looked up by: hashes that are seeded at random, made
/// once for all who ask.
pub struct AppList {
    apps: Box<[App]>,
    fingerprints: [Box<[u64]>; 3],
}

/// What belongs to one app alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Name,
    Key,
    AppCode,
}

impl Own {
    pub const ALL: [Self; 3] = [Self::Name, Self::Key, Self::AppCode];

    fn of(self, app: &App, add: &mut impl FnMut(&str)) {
        match self {
            Self::Name => add(&app.name),
            Self::Key => app.keys.iter().for_each(|key| add(&key.key)),
            Self::AppCode => app.app_codes.iter().for_each(|code| add(code.expose())),
        }
    }

    fn count(self, app: &App) -> usize {
        match self {
            Self::Name => 1,
            Self::Key => app.keys.len(),
            Self::AppCode => app.app_codes.len(),
        }
    }
}

impl AppList {
    pub fn new(apps: Vec<App>, random: &RandomState) -> Self {
        let of = |own: Own| {
            let mut all = Vec::with_capacity(apps.len());
            apps.iter().for_each(|app| own.of(app, &mut |text| all.push(random.hash_one(text.as_bytes()))));
            all.into_boxed_slice()
        };
        Self { fingerprints: Own::ALL.map(of), apps: apps.into() }
    }

    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    pub fn fingerprints(&self, own: Own) -> &[u64] {
        &self.fingerprints[own as usize]
    }

    /// Each fingerprint, with the place of its app, and which of the app's it is.
    pub fn places(&self, own: Own) -> impl Iterator<Item = (u64, u32, u32)> {
        let places = (0..).zip(&self.apps).flat_map(move |(nth, app)| (0..own.count(app) as u32).map(move |which| (nth, which)));
        self.fingerprints(own).iter().zip(places).map(|(fingerprint, (nth, which))| (*fingerprint, nth, which))
    }
}

#[derive(Clone, Default)]
pub struct Apps {
    /// Of fingerprints.
    random: RandomState,
    lists: Arc<Vec<Arc<AppList>>>,
    count: usize,
}

impl Apps {
    /// `random`: what the lists' fingerprints are made by.
    pub fn new(random: RandomState, lists: Vec<Arc<AppList>>) -> Self {
        let count = lists.iter().map(|list| list.apps.len()).sum();
        Self { random, lists: Arc::new(lists), count }
    }

    #[inline]
    pub fn get(&self, id: AppId) -> Option<&App> {
        self.lists.get(id.list as usize)?.apps.get(id.nth as usize)
    }

    /// What a name, a key or an AppCode is looked up by.
    #[inline]
    pub fn fingerprint(&self, text: &[u8]) -> u64 {
        self.random.hash_one(text)
    }

    pub fn lists(&self) -> &[Arc<AppList>] {
        &self.lists
    }

    /// The apps of these names, as far as there are any. Names are looked for together: each time, all apps are gone through.
    pub fn named<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<(&'n str, AppId)> {
        let wanted: ahash::AHashMap<u64, &str> = names.map(|name| (self.fingerprint(name.as_bytes()), name)).collect();
        let mut found = Vec::new();
        if wanted.is_empty() {
            return found;
        }
        for (list, apps) in (0..).zip(self.lists.iter()) {
            for (fingerprint, nth, _) in apps.places(Own::Name) {
                let (Some(name), id) = (wanted.get(&fingerprint), AppId { list, nth }) else { continue };
                if self.get(id).is_some_and(|app| *app.name == **name) {
                    found.push((*name, id));
                }
            }
        }
        found
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn ids(&self) -> impl Iterator<Item = (AppId, &App)> {
        let of_list = |(list, apps): (u32, &'_ Arc<AppList>)| (list, apps.apps.len() as u32);
        let places =
            (0..).zip(self.lists.iter()).map(of_list).flat_map(|(list, len)| (0..len).map(move |nth| AppId { list, nth }));
        places.filter_map(|id| Some((id, self.get(id)?)))
    }

    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.lists.iter().flat_map(|list| list.apps.iter())
    }

    /// The same lists, and not only equal ones.
    pub fn is(&self, other: &Self) -> bool {
        let mut pairs = self.lists.iter().zip(other.lists.iter());
        self.lists.len() == other.lists.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

/// One list of them all.
impl FromIterator<App> for Apps {
    fn from_iter<T: IntoIterator<Item = App>>(apps: T) -> Self {
        let random = RandomState::new();
        let list = AppList::new(apps.into_iter().collect(), &random);
        Self::new(random, vec![Arc::new(list)])
    }
}

#[cfg(test)]
impl Apps {
    pub fn push(&mut self, app: App) -> AppId {
        let list = Arc::new(AppList::new(vec![app], &self.random));
        Arc::make_mut(&mut self.lists).push(list);
        self.count += 1;
        AppId { list: self.lists.len() as u32 - 1, nth: 0 }
    }

    /// Of one that was pushed.
    pub fn change(&mut self, id: AppId, change: impl FnOnce(&mut App)) {
        let list = &mut Arc::make_mut(&mut self.lists)[id.list as usize];
        let before = std::mem::replace(list, Arc::new(AppList::new(Vec::new(), &self.random)));
        let mut apps = Arc::into_inner(before).expect("nobody else has it").apps.into_vec();
        change(&mut apps[id.nth as usize]);
        *list = Arc::new(AppList::new(apps, &self.random));
    }
}
