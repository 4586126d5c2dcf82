//! A copy of the sample instance, and the built binary beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub struct Sample {
    directory: TempDir,
}

impl Sample {
    pub fn new() -> Self {
        let sample = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &sample.path(""));
        sample
    }

    /// A place for a config directory, without one.
    pub fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        let config = self.directory.path().join("config");
        if file.is_empty() { config } else { config.join(file) }
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Changes the first `from` of a file.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(self.path(file), text.replacen(from, to, 1)).unwrap();
    }

    /// Runs `lockgate` beside the config directory.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockgate")).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }

    /// Runs a command that must succeed; its output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail; what it says.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // Without the line that leads editors to the schema: it would move every place that tests name.
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(&target, text.split_inclusive('\n').filter(|line| !line.starts_with("#:schema ")).collect::<String>())
                .unwrap();
            // A checkout cannot say that a file is for its owner alone.
            if from.ends_with("apps") {
                fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
}
