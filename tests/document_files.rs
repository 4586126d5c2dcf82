//! A config directory as files: what cannot be read is named.

mod sample;

use std::fs;
use std::os::unix::fs::symlink;

use sample::Sample;

#[test]
fn files_that_cannot_be_read_are_named() {
    let sample = Sample::new();
    assert!(sample.ok(&["check"]).contains("no errors"));
    fs::write(sample.path("apps/latin.toml"), b"name = \"a\"\n# caf\xe9\n").unwrap();
    sample.edit("apps/demo-app.toml", "name =", &format!("#{}\nname =", "#".repeat(1024 * 1024)));
    symlink("loop.toml", sample.path("apps/loop.toml")).unwrap();
    fs::create_dir(sample.path("apps/directory.toml")).unwrap();
    let text = sample.fails(&["check"]);
    for (file, problem) in [
        ("latin", "this file is not UTF-8: the first byte that is not is on line 2 (byte 16 of the file)"),
        ("demo-app", "this file is longer than the 1048576 bytes that it may have"),
        ("loop", "this file cannot be read: Too many levels of symbolic links"),
        ("directory", "this is not a regular file"),
    ] {
        let named = text.split("error: ").any(|error| error.starts_with(problem) && error.contains(&format!("/{file}.toml\n")));
        assert!(named, "{file}: {text}");
    }
    assert!(text.ends_with("\n4 errors\n"), "{text}");
}

#[test]
fn a_missing_config_directory_is_an_error() {
    assert!(Sample::empty().fails(&["check"]).contains("there is no such config directory"));
}
