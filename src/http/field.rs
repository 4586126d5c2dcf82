//! Field names the gateway acts on, recognised by length and first bytes.

/// A known field name; `Other` is every name the gateway only passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldId {
    #[default]
    Other,
    Accept,
    Authorization,
    Connection,
    ContentLength,
    ContentMd5,
    ContentType,
    Date,
    Expect,
    Host,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    XCaErrorCode,
    XCaErrorMessage,
    XCaKey,
    XCaNonce,
    /// Any `X-Ca-Proxy-*` name: the gateway's own word to a backend; a client's never passes.
    XCaProxy,
    XCaRequestId,
    XCaRequestMode,
    XCaSignature,
    XCaSignatureHeaders,
    XCaSignatureMethod,
    XCaStage,
    XCaTimestamp,
    XForwardedFor,
    XForwardedProto,
}

impl FieldId {
    pub const COUNT: usize = FieldId::XForwardedProto as usize + 1;

    /// The known name that `name` spells, in any case.
    pub fn of(_name: &[u8]) -> FieldId {
        todo!()
    }
}
