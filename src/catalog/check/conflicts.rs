//! Two APIs of a group and stage that answer the same method on the same paths.

use std::collections::HashMap;

use crate::catalog::{GroupId, MethodSet, PathTemplate, StageId};
use crate::document::{Diagnostic, Place, Report};

struct Taken {
    methods: MethodSet,
    name: String,
    place: Place,
}

/// The paths that published APIs answer on.
#[derive(Default)]
pub struct Conflicts {
    taken: HashMap<(StageId, GroupId, String), Vec<Taken>>,
}

/// An API as it takes its path; `place`: of its request path.
pub struct Claim<'a> {
    pub stage: StageId,
    pub stage_name: &'a str,
    pub group: GroupId,
    pub name: &'a str,
    pub methods: &'a MethodSet,
    pub path: &'a PathTemplate,
    pub place: Place,
}

impl Conflicts {
    pub fn claim(&mut self, claim: Claim<'_>, report: &mut Report) {
        let taken = self.taken.entry((claim.stage, claim.group, claim.path.shape())).or_default();
        if let Some((other, method)) = taken.iter().find_map(|other| Some((other, other.methods.common(claim.methods)?))) {
            let message = format!(
                "the APIs `{}` and `{}` of this group both answer {method} on this path in stage {}",
                other.name, claim.name, claim.stage_name
            );
            let diagnostic = Diagnostic::at(claim.place.clone(), message)
                .related(other.place.clone(), format!("the path of `{}`", other.name));
            report
                .push(diagnostic.note("names of path parameters make no difference: `/a/[x]` and `/a/[y]` match the same paths"));
        }
        taken.push(Taken { methods: claim.methods.clone(), name: claim.name.to_owned(), place: claim.place });
    }
}
