//! A campaign: inputs are generated and mutated, judged, and kept as material when they come out in a new way. The first
//! fault ends it; its input, made as small as it gets, is kept.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::mutate::{mutate, shrink};
use crate::random::Random;
use crate::targets::{Judge, Target};

/// Inputs kept for mutation.
const MOST_MATERIAL: usize = 4096;
/// Different outcomes told apart; text of the input in an outcome could make more of them.
const MOST_OUTCOMES: usize = 20_000;

/// What was wrong with which input.
#[derive(Debug)]
pub struct Fault {
    pub target: Target,
    pub input: Vec<u8>,
    pub what: String,
}

/// The work on one target by one thread.
pub struct Campaign {
    pub target: Target,
    pub runs: u64,
    /// How often each outcome came.
    pub outcomes: BTreeMap<String, u64>,
    random: Random,
    material: Vec<Vec<u8>>,
    judge: Judge,
}

impl Campaign {
    /// `seeds`: inputs to begin with, besides generated ones.
    pub fn new(target: Target, seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        let random = Random::new(seed ^ Random::of(target.name().as_bytes()).word());
        Self { target, runs: 0, outcomes: BTreeMap::new(), random, material: seeds, judge: Judge::default() }
    }

    /// Judges `runs` inputs.
    pub fn run(&mut self, runs: u64) -> Result<(), Fault> {
        for _ in 0..runs {
            let input = self.input();
            self.runs += 1;
            match self.judge.judge(self.target, &input) {
                Ok(outcome) => self.came_out(outcome, input),
                Err(_) => return Err(self.fault(input)),
            }
        }
        Ok(())
    }

    fn input(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        if self.material.is_empty() || random.one_in(3) {
            let generated = self.target.generate(random);
            return if random.one_in(2) { generated } else { mutate(&generated, &[], random) };
        }
        let input = &self.material[random.below(self.material.len())];
        let other = &self.material[random.below(self.material.len())];
        mutate(input, other, random)
    }

    fn came_out(&mut self, outcome: String, input: Vec<u8>) {
        if let Some(times) = self.outcomes.get_mut(&outcome) {
            *times += 1;
        } else if self.outcomes.len() < MOST_OUTCOMES {
            self.outcomes.insert(outcome, 1);
            if self.material.len() < MOST_MATERIAL {
                self.material.push(input);
            } else {
                let place = self.random.below(MOST_MATERIAL);
                self.material[place] = input;
            }
        }
    }

    fn fault(&mut self, input: Vec<u8>) -> Fault {
        let target = self.target;
        let input = shrink(&input, |smaller| self.judge.judge(target, smaller).is_err());
        let what = self.judge.judge(target, &input).err().unwrap_or_else(|| "it came out well when tried again".into());
        Fault { target, input, what }
    }
}

/// Where the package lies that this one is about.
pub fn repository() -> &'static Path {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    fuzz.parent().unwrap_or(fuzz)
}

/// Kept inputs lie in `tests/fuzz_corpus/TARGET/`.
pub fn directory(target: Target) -> PathBuf {
    repository().join("tests/fuzz_corpus").join(target.name())
}

/// The kept inputs of a target, with their files.
pub fn kept(target: Target) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files: Vec<PathBuf> = match fs::read_dir(directory(target)) {
        Ok(entries) => entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.sort();
    files.into_iter().map(|file| fs::read(&file).map(|bytes| (file, bytes))).collect()
}

impl Fault {
    /// Keeps the input; the file it lies in then.
    pub fn keep(&self) -> io::Result<PathBuf> {
        let directory = directory(self.target);
        fs::create_dir_all(&directory)?;
        let file = directory.join(format!("{:016x}", Random::of(&self.input).word()));
        fs::write(&file, &self.input)?;
        Ok(file)
    }
}
