//! Connections of a worker that have switched to another protocol. No request of theirs comes by any more that would
//! notice what has changed: what ends them, or takes them over into the next generation, finds them here.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::task::Waker;

use super::core::Running;
use crate::catalog::{ApiId, AppId, Catalog};
use crate::gate::authorize;
use crate::net::Watch;
use crate::observe::record::Ended;

/// All of a worker.
#[derive(Default)]
pub struct Upgraded {
    list: RefCell<Vec<Weak<Switched>>>,
    count: Rc<Cell<u64>>,
}

/// What a connection was let through as, in some generation.
#[derive(Clone)]
pub struct Standing {
    pub tables: Rc<Running>,
    pub api: ApiId,
    pub app: Option<AppId>,
}

/// One connection, as long as it lasts.
pub struct Switched {
    watch: Rc<Watch>,
    names: Names,
    api: Cell<ApiId>,
    app: Cell<Option<AppId>>,
    /// The same in a later generation, until its task has taken it.
    next: Cell<Option<Standing>>,
    task: Cell<Option<Waker>>,
    ended: Cell<Option<Ended>>,
    count: Rc<Cell<u64>>,
}

/// What it was let through as, whatever the generation.
struct Names {
    /// Group, API, stage.
    api: [String; 3],
    version: String,
    app: Option<String>,
}

impl Upgraded {
    pub fn add(&self, watch: Rc<Watch>, standing: &Standing) -> Rc<Switched> {
        self.count.set(self.count.get() + 1);
        let catalog = &standing.tables.catalog;
        let names = Names {
            api: api_names(catalog, standing.api).map(str::to_owned),
            version: catalog.apis[standing.api.index()].version.clone(),
            app: standing.app.and_then(|app| catalog.apps.get(app)).map(|app| app.name.to_string()),
        };
        let switched = Rc::new(Switched {
            watch,
            names,
            api: Cell::new(standing.api),
            app: Cell::new(standing.app),
            next: Cell::default(),
            task: Cell::default(),
            ended: Cell::default(),
            count: self.count.clone(),
        });
        let mut list = self.list.borrow_mut();
        // Of those that are over, no more are kept than there are others.
        if list.len() as u64 > 2 * self.count.get() {
            list.retain(|one| one.strong_count() > 0);
        }
        list.push(Rc::downgrade(&switched));
        switched
    }

    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// Takes all into this generation; those whose API is not served as it was, or whose app may not call it any more,
    /// are ended. `now_ms`: Unix time.
    pub fn follow(&self, running: &Rc<Running>, now_ms: u64) {
        let index = Index { catalog: &running.catalog, apis: OnceCell::new(), apps: OnceCell::new() };
        for one in self.alive() {
            match one.standing(running, &index, now_ms) {
                Some(standing) => one.move_on(standing),
                None => one.end(Ended::Withdrawn),
            }
        }
    }

    pub fn end_all(&self, why: Ended) {
        self.alive().iter().for_each(|one| one.end(why));
    }

    fn alive(&self) -> Vec<Rc<Switched>> {
        self.list.borrow().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Switched {
    /// Why it was ended from outside.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    /// What it has become, if a generation has come since this was last asked. `task` is told of the next one.
    pub fn poll_next(&self, task: &Waker) -> Option<Standing> {
        self.task.set(Some(task.clone()));
        self.next.take()
    }

    fn standing(&self, running: &Rc<Running>, index: &Index<'_>, now_ms: u64) -> Option<Standing> {
        let api = index.api(&self.names.api, self.api.get())?;
        if running.catalog.apis[api.index()].version != self.names.version {
            return None;
        }
        let app = match (&self.names.app, self.app.get()) {
            (Some(name), Some(before)) => {
                let app = index.app(name, before)?;
                authorize::check(&running.catalog, app, api, now_ms).ok()?;
                Some(app)
            }
            _ => None,
        };
        Some(Standing { tables: running.clone(), api, app })
    }

    fn move_on(&self, standing: Standing) {
        self.api.set(standing.api);
        self.app.set(standing.app);
        self.next.set(Some(standing));
        self.task.take().into_iter().for_each(Waker::wake);
    }

    fn end(&self, why: Ended) {
        self.ended.set(self.ended.get().or(Some(why)));
        self.watch.cut();
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
    }
}

fn api_names(catalog: &Catalog, api: ApiId) -> [&str; 3] {
    let api = &catalog.apis[api.index()];
    [&catalog.groups[api.group.index()].name, &api.name, &catalog.stages[api.stage.index()]]
}

/// A catalog by names. Most things stand where they stood: only for others is the whole of it gone through, once.
struct Index<'c> {
    catalog: &'c Catalog,
    apis: OnceCell<HashMap<[&'c str; 3], ApiId>>,
    apps: OnceCell<HashMap<&'c str, AppId>>,
}

impl<'c> Index<'c> {
    fn api(&self, names: &[String; 3], before: ApiId) -> Option<ApiId> {
        let names = [names[0].as_str(), names[1].as_str(), names[2].as_str()];
        if before.index() < self.catalog.apis.len() && api_names(self.catalog, before) == names {
            return Some(before);
        }
        let all = || (0..self.catalog.apis.len() as u32).map(|n| (api_names(self.catalog, ApiId(n)), ApiId(n))).collect();
        self.apis.get_or_init(all).get(&names).copied()
    }

    fn app(&self, name: &str, before: AppId) -> Option<AppId> {
        if self.catalog.apps.get(before).is_some_and(|app| *app.name == *name) {
            return Some(before);
        }
        let all = || self.catalog.apps.ids().map(|(id, app)| (&*app.name, id)).collect();
        self.apps.get_or_init(all).get(name).copied()
    }
}
