//! The last generation that is whole: what a gateway starts with where a file of the current one is damaged or gone.

use std::path::Path;

use super::Catalog;
use super::check::{group_manifest, root_manifest, version_of};
use super::load::load_as_served;
use crate::document::manifest::Manifest;
use crate::document::{Document, Layout, Place, Report, read_text};

pub enum LastWhole {
    /// Nothing of what is published is damaged: whatever is wrong, an older generation does not help.
    Undamaged,
    /// No generation that is kept is whole, and good with the other documents as they are.
    None,
    Found(Box<Catalog>),
}

/// Finds the newest generation that is whole, and loads it as it would be served.
pub fn last_whole(config_dir: &Path) -> LastWhole {
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    if is_whole(&layout) {
        return LastWhole::Undamaged;
    }
    for generation in generations(&layout).into_iter().rev() {
        let Ok(text) = read_text(&layout.generation(generation), Manifest::BYTES) else { continue };
        let then = layout.clone().with(layout.manifest(), text);
        if is_whole(&then)
            && let Ok(catalog) = load_as_served(then)
        {
            return LastWhole::Found(Box::new(catalog));
        }
    }
    LastWhole::None
}

/// Every file that the root manifest names, and that those name, has the digest that it should have.
fn is_whole(layout: &Layout) -> bool {
    let mut report = Report::default();
    let Some(root) = root_manifest(layout, &mut report) else { return report.is_empty() };
    for (stage, groups) in &root.document.stage {
        for (group, entry) in groups {
            let place = Place::of(&root.source, entry);
            let Some(of_group) = group_manifest(layout, stage, group, entry, &place, &mut report) else { return false };
            for (api, current) in &of_group.document.current {
                let place = Place::of(&of_group.source, current);
                if version_of(layout, stage, group, api, current, &place, &mut report).is_none() {
                    return false;
                }
            }
        }
    }
    report.is_empty()
}

/// The generations whose root manifests are kept, oldest first.
pub(super) fn generations(layout: &Layout) -> Vec<u64> {
    // One that cannot be listed has none that could be used.
    let entries = layout.documents(&layout.generations(), &mut Report::default());
    let mut generations: Vec<u64> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
    generations.sort_unstable();
    generations
}
