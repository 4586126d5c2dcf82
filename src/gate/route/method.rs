//! Methods as bits of a set. Those of RFC 9110 and RFC 5789 have bits of their own, the same in every table; of others a set
//! says only that there are some.

/// The method of a call. Methods are case-sensitive (RFC 9110, section 9.1).
#[derive(Clone, Copy)]
pub(super) struct Method<'a> {
    /// Empty, of a method without a bit.
    pub bit: Set,
    pub name: &'a [u8],
}

/// A set of methods.
pub(super) type Set = u32;

/// Every method.
pub(super) const ANY: Set = 1 << 31;
/// The value is not an API, but where the answers of the template begin.
pub(super) const SEVERAL: Set = 1 << 30;

impl<'a> Method<'a> {
    #[inline]
    pub fn of(name: &'a [u8]) -> Self {
        let bit = match name {
            b"GET" => 1,
            b"POST" => 1 << 1,
            b"PUT" => 1 << 2,
            b"DELETE" => 1 << 3,
            b"PATCH" => 1 << 4,
            b"HEAD" => 1 << 5,
            b"OPTIONS" => 1 << 6,
            b"TRACE" => 1 << 7,
            _ => 0,
        };
        Self { bit, name }
    }
}
