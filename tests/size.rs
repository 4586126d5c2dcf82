//! At size: of many documents only what has changed is read, and apps may share a document.

mod sample;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use lockgate::catalog::{Backend, Catalog, Effort, Kept, load_served};
use lockgate::gate::route::Built;
use lockgate::gate::{Shared, Tables};
use lockgate_test_support::eventually;
use sample::Sample;

const LIST: &str = "app-lists/partners.toml";

/// A sample with some groups of some APIs, all published, and two lists of apps.
fn many(groups: usize, apis: usize) -> Sample {
    let sample = Sample::new();
    for group in 0..groups {
        let directory = sample.path(&format!("groups/g{group}/apis"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.with_file_name("group.toml"), format!("name = \"g{group}\"\n")).unwrap();
        for api in 0..apis {
            fs::write(directory.join(format!("a{api}.toml")), api_document(api, 1000)).unwrap();
        }
    }
    fs::create_dir(sample.path("app-lists")).unwrap();
    write_list(&sample, LIST, 0..3);
    write_list(&sample, "app-lists/others.toml", 3..5);
    sample.ok(&["publish", "--all"]);
    sample
}

fn api_document(api: usize, timeout_ms: usize) -> String {
    format!(
        "name = \"a{api}\"\n[authentication]\ntype = \"none\"\n[request]\npath = \"/a{api}\"\nmethod = \"GET\"\n\
         [backend]\ntype = \"vpc\"\nvpc_access = \"nginx-microservice\"\npath = \"/\"\ntimeout_ms = {timeout_ms}\n"
    )
}

fn write_list(sample: &Sample, file: &str, apps: std::ops::Range<usize>) {
    let app = |app: usize| {
        format!(
            "[[app]]\nname = \"p{app}\"\napp_key = \"5000{app}\"\napp_secret = \"secret-{app}\"\napp_code = \"code-{app}\"\n\
             [[app.authorization]]\napi = \"nginx-demo/nginx-test\"\nstages = [\"RELEASE\"]\n"
        )
    };
    fs::write(sample.path(file), apps.map(app).collect::<String>()).unwrap();
    fs::set_permissions(sample.path(file), fs::Permissions::from_mode(0o600)).unwrap();
}

fn load(directory: &Path, kept: &mut Kept) -> Catalog {
    let (catalog, _) = load_served(directory, kept, &|_, _, _| ());
    catalog.unwrap_or_else(|report| panic!("{report}"))
}

/// What it serves, in words.
fn served(catalog: &Catalog) -> (String, Vec<String>) {
    let group = |api: &lockgate::catalog::Api| catalog.groups[api.group.index()].name.clone();
    let apis = catalog.apis.iter().map(|api| {
        let Backend::Vpc { vpc_access, timeout, .. } = &api.backend;
        let access = &catalog.vpc_accesses[vpc_access.index()].name;
        format!("{}/{} is {} {} {access} {timeout:?}", group(api), api.name, catalog.names.name(api.id), api.version)
    });
    let apps = catalog.apps.iter().map(|app| {
        let mut may: Vec<_> = app.authorizations.iter().map(|one| (catalog.names.name(one.api), one.stage)).collect();
        may.sort_unstable();
        format!("{} {} {may:?}", app.name, app.keys.len())
    });
    (catalog.sha256.clone(), apis.chain(apps).collect())
}

#[test]
fn of_many_only_what_has_changed_is_read_and_put_together() {
    let sample = many(40, 3);
    let directory = sample.path("");
    let mut kept = Kept::default();
    let none = Effort::default();
    load(&directory, &mut kept);
    assert_eq!(kept.effort(), Effort { groups: 41, published_files: 2 * 41 + 2 * 40, app_documents: 3 });
    // Files are believed to be what they look like when they were written a while ago.
    eventually("files are believed to be what they look like", || {
        load(&directory, &mut kept);
        (kept.effort() == none).then_some(())
    });
    let mut changes = |what: &str, effort: Effort| {
        let catalog = load(&directory, &mut kept);
        assert_eq!(kept.effort(), effort, "{what}");
        assert_eq!(served(&catalog), served(&load(&directory, &mut Kept::default())), "{what}");
        catalog
    };

    fs::write(sample.path("groups/g7/apis/a1.toml"), api_document(1, 1001)).unwrap();
    sample.ok(&["publish", "g7/a1"]);
    let catalog = changes("one API is published", Effort { groups: 1, published_files: 2, ..none });
    assert!(served(&catalog).1.iter().any(|api| api.ends_with("1.001s")));

    sample.ok(&["rollback", "g7/a1"]);
    changes("one API is rolled back", Effort { groups: 1, published_files: 2, ..none });

    sample.ok(&["offline", "g8/a0"]);
    changes("one API is taken offline", Effort { groups: 1, published_files: 1, ..none });

    write_list(&sample, "app-lists/others.toml", 3..6);
    let catalog = changes("a list of apps has one more", Effort { app_documents: 1, ..none });
    assert_eq!(catalog.apps.len(), 7);

    // The places of all groups and VPC accesses that come after are others now.
    write_list(&sample, "app-lists/others.toml", 3..5);
    sample.ok(&["group", "create", "a-first"]);
    sample.ok(&[
        "vpc-access",
        "create",
        "a-first",
        "--vpc-id",
        "v",
        "--address",
        "127.0.0.1",
        "--instance-id",
        "i",
        "--port",
        "1",
    ]);
    changes("a group and a VPC access come before all others", Effort { app_documents: 1, ..none });
}

/// The benchmark of `loadtest size` in small, counted and not timed.
#[test]
fn one_publication_among_many_builds_the_tables_of_one_group() {
    let sample = many(200, 10);
    for list in 0..5 {
        write_list(&sample, &format!("app-lists/many-{list}.toml"), 1000 * (list + 1)..1000 * (list + 2));
    }
    let directory = sample.path("");
    let mut kept = Kept::default();
    let shared = Shared::for_preview(&load(&directory, &mut kept));
    eventually("files are believed to be what they look like", || {
        load(&directory, &mut kept);
        (kept.effort() == Effort::default()).then_some(())
    });
    let first = Arc::new(load(&directory, &mut kept));
    assert_eq!((first.apis.len(), first.apps.len()), (2001, 5006));
    let before = Tables::build(first, &shared);
    assert_eq!(before.built, Built { all: 201, anew: 201 });

    fs::write(sample.path("groups/g150/apis/a7.toml"), api_document(7, 1001)).unwrap();
    sample.ok(&["publish", "g150/a7"]);
    let catalog = load(&directory, &mut kept);
    assert_eq!(kept.effort(), Effort { groups: 1, published_files: 2, app_documents: 0 });
    let after = Tables::after(Some(&before), Arc::new(catalog), &shared);
    assert_eq!(after.built, Built { all: 201, anew: 1 });
    assert!(Arc::ptr_eq(&before.apps, &after.apps), "no app has changed");
}

#[test]
fn what_is_wrong_is_found_whatever_was_kept() {
    let sample = many(2, 2);
    let directory = sample.path("");
    let mut kept = Kept::default();
    load(&directory, &mut kept);
    let mut said = |what: &str| {
        let (catalog, _) = load_served(&directory, &mut kept, &|_, _, _| ());
        let kept = catalog.err().unwrap_or_else(|| panic!("{what} is an error")).to_string();
        let (catalog, _) = load_served(&directory, &mut Kept::default(), &|_, _, _| ());
        assert_eq!(kept, catalog.err().unwrap().to_string(), "{what}");
        kept
    };
    let access = sample.path("vpc-access/nginx-microservice.toml");
    fs::rename(&access, sample.path("aside")).unwrap();
    assert!(said("a VPC access that is gone").contains("there is no VPC access `nginx-microservice`"));
    fs::rename(sample.path("aside"), &access).unwrap();

    let group = sample.path("groups/g1");
    fs::rename(&group, sample.path("aside")).unwrap();
    assert!(said("a group that is gone").contains("there is no group `g1`"));
    fs::rename(sample.path("aside"), &group).unwrap();

    sample.edit(LIST, "nginx-demo/nginx-test", "nginx-demo/nginx-tset");
    let text = said("an API that no app can call");
    assert!(text.contains("app-lists/partners.toml:7:7") && text.contains("did you mean `nginx-demo/nginx-test`?"), "{text}");
    sample.edit(LIST, "nginx-demo/nginx-tset", "nginx-demo/nginx-test");

    load(&directory, &mut kept);
}

#[test]
fn an_app_of_a_list_is_authorized_where_it_stands() {
    let sample = many(1, 1);
    let said = sample.ok(&["authorize", "p4", "g0/a0", "--stage", "RELEASE", "--expires", "2030-01-01T00:00:00Z"]);
    assert!(said.contains("app-lists/others.toml: p4 may call g0/a0 in RELEASE"), "{said}");
    let listed = sample.ok(&["app", "list"]);
    let of_p4 = listed.split("p4  app key").nth(1).unwrap();
    assert!(of_p4.contains("  g0/a0  RELEASE  until 2030-01-01T00:00:00Z\n"), "{listed}");
    assert_eq!(listed.matches("g0/a0").count(), 1, "{listed}");
    assert!(sample.read("app-lists/others.toml").starts_with("[[app]]\nname = \"p3\"\n"));
    let said = sample.fails(&["authorize", "p9", "g0/a0"]);
    assert!(said.contains("there is no app `p9`"), "{said}");
}

#[test]
fn apps_of_a_list_are_checked_like_others_and_with_them() {
    let sample = many(1, 1);
    let listed = sample.ok(&["app", "list"]);
    assert!(listed.contains("p4  app key 50004  AppCodes 1") && listed.contains("demo-app  app key 24601001"), "{listed}");
    for (from, to, error, place) in [
        ("app_key = \"50001\"", "app_kee = \"50001\"", "unknown key `app_kee`", "partners.toml:11:1"),
        ("\"50001\"", "\"50004\"", "the app key `50004` is used twice", "partners.toml:11:11"),
        ("\"50001\"", "\"24601001\"", "the app key `24601001` is used twice", "demo-app.toml:3:11"),
        ("code-1", "code-4", "this AppCode is used twice", "others.toml:13:12"),
        ("name = \"p1\"", "name = \"p4\"", "there are two apps of the name `p4`", "partners.toml:10:8"),
        ("name = \"p1\"", "name = \"demo-app\"", "there are two apps of the name `demo-app`", "partners.toml:10:8"),
        ("name = \"p1\"", "name = \"p 1\"", "`p 1` is not a name of an app", "partners.toml:10:8"),
    ] {
        sample.edit(LIST, from, to);
        let said = sample.fails(&["check"]);
        assert!(said.contains(&format!("error: {error}")) && said.contains(place), "{error} at {place}: {said}");
        assert!(!said.contains("secret-") && !said.contains("code-"), "{said}");
        sample.edit(LIST, to, from);
    }
    sample.ok(&["check", "--deny-warnings"]);
    fs::set_permissions(sample.path(LIST), fs::Permissions::from_mode(0o644)).unwrap();
    let said = sample.fails(&["check", "--deny-warnings"]);
    assert!(said.contains("every user of this machine can read a secret of the app `p0`"), "{said}");
    assert_eq!(said.matches("every user of this machine").count(), 1, "once of a document: {said}");
}
