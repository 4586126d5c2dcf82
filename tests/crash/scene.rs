//! The commands that are harmed, each on a directory that gives it much to do, and what is served before and after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use lockgate::catalog::{self, Backend};
use lockgate::publish::{self, Author, Request, Target};
use lockgate_test_support::{Api, Call, Config, Fault, counted, lockgate, succeeds, traced, with_fault};
use tempfile::TempDir;

/// What is served: the timeout of each API in each stage, by which its version is known.
pub type Served = BTreeMap<String, u128>;

const APIS: &[(&str, &[&str])] = &[("pay", &["bill", "card"]), ("shop", &["cart", "item", "stock"])];

/// A group that only one scene has.
const MANY: &str = "many";
const APIS_OF_MANY: usize = 16;

pub struct Scene {
    pub name: &'static str,
    pub directory: TempDir,
    command: &'static [&'static str],
    /// The stage that it changes.
    pub stage: &'static str,
    pub before: Served,
    pub after: Served,
    /// The calls that it makes when nothing happens to it.
    pub trace: Vec<Call>,
}

/// Every scene has a test of its own: they run at once, and each in bounded time.
macro_rules! in_every_scene {
    ($test:ident) => {
        #[test]
        fn of_the_first_publication() {
            $test(&crate::scene::first());
        }
        #[test]
        fn of_a_publication_of_many() {
            $test(&crate::scene::many());
        }
        #[test]
        fn of_a_later_publication() {
            $test(&crate::scene::later());
        }
        #[test]
        fn of_a_publication_to_another_stage() {
            $test(&crate::scene::another_stage());
        }
        #[test]
        fn of_a_publication_after_one_that_died() {
            $test(&crate::scene::after_one_that_died());
        }
        #[test]
        fn of_a_rollback() {
            $test(&crate::scene::rollback());
        }
        #[test]
        fn of_going_offline() {
            $test(&crate::scene::offline());
        }
    };
}
pub(crate) use in_every_scene;

pub fn first() -> Scene {
    let directory = drafts();
    Scene::new("first", directory, "RELEASE", &["publish", "--all", "--remarks", "first"])
}

/// So many that they are not synced one by one.
pub fn many() -> Scene {
    let directory = drafts();
    fs::create_dir(directory.path().join("groups").join(MANY)).unwrap();
    fs::write(directory.path().join("groups").join(MANY).join("group.toml"), "name = \"many\"\nbase_path = \"/many\"\n").unwrap();
    write_drafts(directory.path(), 1_000);
    Scene::new("many", directory, "RELEASE", &["publish", "--all"])
}

pub fn later() -> Scene {
    Scene::new("later", with_history(), "RELEASE", &["publish", "shop", "pay/card"])
}

pub fn another_stage() -> Scene {
    Scene::new("another stage", with_history(), "TEST", &["publish", "--all", "--stage", "TEST"])
}

pub fn after_one_that_died() -> Scene {
    const COMMAND: &[&str] = &["publish", "--all"];
    let directory = with_history();
    let trace = trace_of(directory.path(), COMMAND);
    let points = counted(&trace, false);
    let renamed = |at: &&usize| matches!(&trace[**at], Call::Rename(_, to) if to.ends_with("published/manifest.toml"));
    let root = points.iter().position(|at| renamed(&at)).expect("the root is put in its place");
    let mut dies = with_fault(command(directory.path(), COMMAND), directory.path(), root + 1, Fault::KilledBefore);
    assert!(!dies.status().expect("it runs").success());
    Scene::new("after one that died", directory, "RELEASE", COMMAND)
}

pub fn rollback() -> Scene {
    Scene::new("rollback", with_history(), "RELEASE", &["rollback", "shop", "pay/card", "--stage", "RELEASE"])
}

pub fn offline() -> Scene {
    Scene::new("offline", with_history(), "RELEASE", &["offline", "pay", "shop/item"])
}

impl Scene {
    fn new(name: &'static str, directory: TempDir, stage: &'static str, words: &'static [&'static str]) -> Self {
        let before = served(directory.path());
        let done = copy(directory.path());
        let (trace, _) = traced(command(done.path(), words), done.path());
        let trace = trace.into_iter().map(|call| moved(call, done.path(), directory.path())).collect();
        let after = served(done.path());
        assert_ne!(before, after, "{name}: there is something to change");
        Self { name, directory, command: words, stage, before, after, trace }
    }

    /// The command, on a copy of the scene.
    pub fn command(&self, directory: &Path) -> Command {
        command(directory, self.command)
    }

    /// Whether what is served is what it is to be; `false`: it is what it was.
    ///
    /// # Panics
    /// When it is anything else, or cannot be read.
    #[track_caller]
    pub fn is_done(&self, directory: &Path, what: &str) -> bool {
        let served = served(directory);
        readable(directory, what);
        assert!(served == self.before || served == self.after, "{}: {what}: a mixture: {served:?}", self.name);
        served == self.after
    }

    /// Publishes all drafts anew, as the next one who comes by; nothing unfinished is left after that.
    #[track_caller]
    pub fn goes_on(&self, directory: &Path, what: &str) {
        write_drafts(directory, 9_000);
        let author = Author { by: "next".to_owned(), remarks: String::new(), now: Timestamp::now() };
        let request = Request { target: Target::All, stage: self.stage.to_owned(), author };
        publish::publish(directory, &request, &|_, _, _| {}).unwrap_or_else(|error| panic!("{}: {what}: {error}", self.name));
        let mut of_stage = served(directory);
        of_stage.retain(|api, _| api.starts_with(self.stage));
        let all = 5 + if has_many(directory) { APIS_OF_MANY } else { 0 };
        assert!(of_stage.len() == all && of_stage.values().all(|timeout| *timeout == 9_000), "{}: {what}", self.name);
        let left = unfinished(directory);
        assert!(left.is_empty(), "{}: {what}: left behind: {left:?}", self.name);
        let versions = publish::versions(directory, &Target::All, None).unwrap_or_else(|error| panic!("{what}: {error}"));
        let files = files(&directory.join("published")).into_iter().filter(|path| path.components().count() == 4).count();
        assert_eq!(versions.len(), files, "{}: {what}: version files that no version is", self.name);
    }
}

/// The trace of a command as if it had run in another directory.
fn moved(call: Call, from: &Path, to: &Path) -> Call {
    let moved = |path: PathBuf| to.join(path.strip_prefix(from).expect("only what is below is told"));
    match call {
        Call::Create(path) => Call::Create(moved(path)),
        Call::Truncate(path) => Call::Truncate(moved(path)),
        Call::Open(fd, path) => Call::Open(fd, moved(path)),
        Call::Unlink(path) => Call::Unlink(moved(path)),
        Call::Mkdir(path) => Call::Mkdir(moved(path)),
        Call::Rmdir(path) => Call::Rmdir(moved(path)),
        Call::Rename(one, other) => Call::Rename(moved(one), moved(other)),
        Call::Link(one, other) => Call::Link(moved(one), moved(other)),
        other => other,
    }
}

fn trace_of(directory: &Path, words: &[&str]) -> Vec<Call> {
    let done = copy(directory);
    traced(command(done.path(), words), done.path()).0
}

fn command(directory: &Path, words: &[&str]) -> Command {
    let mut command = lockgate(directory);
    command.args(words);
    command
}

/// A config directory with drafts, and nothing published.
fn drafts() -> TempDir {
    let config = Config::new().vpc_access("backend", ([127, 0, 0, 1], 9).into(), "");
    let config = APIS.iter().fold(config, |config, (group, _)| config.group(group, &[], &format!("base_path = \"/{group}\"")));
    config.write("gateway.toml", SETTINGS);
    write_drafts(config.path(), 1_000);
    copy(config.path())
}

/// Little is kept, so that each publication takes something away.
const SETTINGS: &str = "[instance]\nname = \"test\"\nstate_directory = \"state\"\n\n[[listener]]\naddress = \"127.0.0.1:9\"\n\
                        protocol = \"http\"\n\n[publish]\nversions_kept = 2\ngenerations_kept = 2\n";

/// All published twice, and the drafts changed since.
fn with_history() -> TempDir {
    let directory = drafts();
    for timeout in [1_000, 2_000, 3_000] {
        write_drafts(directory.path(), timeout);
        succeeds(lockgate(directory.path()).args(["publish", "--all"]));
    }
    write_drafts(directory.path(), 4_000);
    directory
}

fn write_drafts(directory: &Path, timeout_ms: u64) {
    for (group, apis) in APIS {
        let place = directory.join("groups").join(group).join("apis");
        fs::create_dir_all(&place).unwrap();
        for api in *apis {
            let document = Api::open(api, &format!("/{api}")).timeout_ms(timeout_ms).document();
            fs::write(place.join(format!("{api}.toml")), document).unwrap();
        }
    }
    if has_many(directory) {
        let place = directory.join("groups").join(MANY).join("apis");
        fs::create_dir_all(&place).unwrap();
        for api in (0..APIS_OF_MANY).map(|n| format!("api-{n}")) {
            let document = Api::open(&api, &format!("/{api}")).timeout_ms(timeout_ms).document();
            fs::write(place.join(format!("{api}.toml")), document).unwrap();
        }
    }
}

fn has_many(directory: &Path) -> bool {
    directory.join("groups").join(MANY).is_dir()
}

/// What a gateway that starts now serves.
#[track_caller]
pub fn served(directory: &Path) -> Served {
    let (catalog, _) = catalog::load_served(directory, &mut catalog::Kept::default(), &|_, _, _| ());
    let catalog = catalog.unwrap_or_else(|report| panic!("{report}"));
    let api = |api: &std::sync::Arc<catalog::Api>| {
        let (stage, group) = (&catalog.stages[api.stage.index()], &catalog.groups[api.group.index()].name);
        let Backend::Vpc { timeout, .. } = &api.backend;
        (format!("{stage} {group}/{}", api.name), timeout.as_millis())
    };
    catalog.apis.iter().map(api).collect()
}

/// The history can be read, every version that is kept, and the check passes.
#[track_caller]
fn readable(directory: &Path, what: &str) {
    publish::versions(directory, &Target::All, None).unwrap_or_else(|error| panic!("{what}: {error}"));
    publish::generations(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    catalog::load(directory).unwrap_or_else(|report| panic!("{what}: {report}"));
}

/// Files that were being written.
pub fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let is_unfinished = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".new"));
    files(&directory.join("published")).into_iter().filter(is_unfinished).collect()
}

/// All files and directories below a directory, by their paths from there.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(here) = left.pop() {
        for entry in fs::read_dir(&here).into_iter().flatten() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(directory).unwrap().to_path_buf());
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

/// In memory, where there is such a place: thousands of commands sync their files, and none of it has to last.
pub fn temporary() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn copy(from: &Path) -> TempDir {
    let to = temporary();
    copy_into(from, to.path());
    to
}

pub fn copy_into(from: &Path, to: &Path) {
    for path in files(from) {
        match from.join(&path).is_dir() {
            true => fs::create_dir_all(to.join(&path)).unwrap(),
            false => drop(fs::copy(from.join(&path), to.join(&path)).unwrap()),
        }
    }
}
