//! Ways of writing a string to sign that differ from the canonical one.

use crate::catalog::Tolerance;

/// What departs from the canonical rule; nothing in [`Variant::CANONICAL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    pub raw_path: bool,
    pub empty_equals: bool,
    pub query_first: bool,
    pub byte_order: bool,
    pub comma_joined: bool,
}

/// In the order in which they are tried.
pub(super) const ALL: [Tolerance; 5] =
    [Tolerance::RawPath, Tolerance::EmptyValueEquals, Tolerance::QueryFirst, Tolerance::ByteOrder, Tolerance::CommaJoined];

impl Variant {
    pub const CANONICAL: Self =
        Self { raw_path: false, empty_equals: false, query_first: false, byte_order: false, comma_joined: false };

    pub fn has(self, tolerance: Tolerance) -> bool {
        match tolerance {
            Tolerance::RawPath => self.raw_path,
            Tolerance::EmptyValueEquals => self.empty_equals,
            Tolerance::QueryFirst => self.query_first,
            Tolerance::ByteOrder => self.byte_order,
            Tolerance::CommaJoined => self.comma_joined,
        }
    }

    pub fn with(mut self, tolerance: Tolerance) -> Self {
        match tolerance {
            Tolerance::RawPath => self.raw_path = true,
            Tolerance::EmptyValueEquals => self.empty_equals = true,
            Tolerance::QueryFirst => self.query_first = true,
            Tolerance::ByteOrder => self.byte_order = true,
            Tolerance::CommaJoined => self.comma_joined = true,
        }
        self
    }

    /// The variants to try on a string that `sensitive` of them change, where `allowed` are: each alone, then each two
    /// together (a client that signs the path as sent may also sign `k=`).
    pub fn alternatives(sensitive: Self, allowed: &[Tolerance]) -> impl Iterator<Item = Self> {
        let usable = move |tolerance: &Tolerance| sensitive.has(*tolerance) && allowed.contains(tolerance);
        let one = ALL.into_iter().filter(usable).map(|tolerance| Self::CANONICAL.with(tolerance));
        let two = (0..ALL.len()).flat_map(|second| (0..second).map(move |first| (ALL[first], ALL[second])));
        one.chain(two.filter(move |(a, b)| usable(a) && usable(b)).map(|(a, b)| Self::CANONICAL.with(a).with(b)))
    }
}
