//! Values of a call's parameters, read where they stand.

use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;

use crate::catalog::parameter::{Location, System};
use crate::catalog::{AppId, Catalog, Parameter, Scheme};
use crate::gate::authenticate::charset::Charset;
use crate::gate::authenticate::parameters::first_value;
use crate::gate::client::client_address;
use crate::gate::route::decoded;
use crate::gate::{Call, Forward};
use crate::http::field::{FieldId, trim};
use crate::http::target::host_of;

/// Text kept between calls, in bytes; what a larger call needed is given back at the next one.
const RETAINED_BYTES: usize = 16 * 1024;

/// The values of one call. The buffers are reused from call to call.
#[derive(Default)]
pub struct Values {
    text: Vec<u8>,
    list: Vec<Option<Value>>,
}

struct Value {
    text: Range<usize>,
    /// What is counted by, where that is not the same.
    counted: Option<Range<usize>>,
}

impl Values {
    pub fn read(&mut self, parameters: &[Parameter], call: &Call<'_>, forward: &Forward, catalog: &Catalog) {
        self.text.clear();
        self.list.clear();
        self.text.shrink_to(RETAINED_BYTES);
        for parameter in parameters {
            let start = self.text.len();
            let value = match self.append(&parameter.location, call, forward, catalog) {
                Some(()) => Some(Value { text: start..self.text.len(), counted: self.network(start, &parameter.location) }),
                None => None,
            };
            self.list.push(value);
        }
    }

    /// A parameter's value; `None`: it is missing.
    pub fn of(&self, place: usize) -> Option<&[u8]> {
        self.text.get(self.list.get(place)?.as_ref()?.text.clone())
    }

    /// What it is counted by.
    pub fn counted(&self, place: usize) -> Option<&[u8]> {
        let value = self.list.get(place)?.as_ref()?;
        self.text.get(value.counted.as_ref().unwrap_or(&value.text).clone())
    }

    fn append(&mut self, location: &Location, call: &Call<'_>, forward: &Forward, catalog: &Catalog) -> Option<()> {
        match location {
            Location::Method => self.put(call.request.method()),
            Location::Path => self.put(call.target.path),
            Location::Header(name) => self.put(call.request.named(name.as_bytes())?),
            Location::Query(name) => first_value(call.target.query?, Charset::Utf8, name.as_bytes(), &mut self.text)?,
            Location::Form(name) => {
                let content_type = call.request.field(FieldId::ContentType).unwrap_or_default();
                let charset = Charset::of(content_type).ok()?;
                first_value(call.form?, charset, name.as_bytes(), &mut self.text)?;
            }
            Location::PathParameter(name) => {
                let api = catalog.apis.get(forward.api.index())?;
                let place = api.path.parameters().position(|known| known == name)?;
                let span = forward.path.parameters.get(place)?;
                self.text.extend(decoded(span.of(call.target.path)));
            }
            Location::System(system) => self.append_system(*system, call, forward, catalog)?,
            Location::ForwardedFor(index) => self.put(forwarded_for(call, *index)?),
        }
        Some(())
    }

    fn append_system(&mut self, system: System, call: &Call<'_>, forward: &Forward, catalog: &Catalog) -> Option<()> {
        let api = catalog.apis.get(forward.api.index())?;
        let text = match system {
            System::ClientIp => {
                let address = client_address(&call.request, call.peer, &catalog.security.trusted_proxies).to_canonical();
                write!(self.text, "{address}").ok()?;
                return Some(());
            }
            System::Domain => host_of(&call.request, &call.target).ok()?,
            System::HttpSchema if call.scheme == Scheme::Https => b"HTTPS",
            System::HttpSchema => b"HTTP",
            System::AppId => app(forward.app, catalog)?.name.as_bytes(),
            System::AppKey => {
                // Only one that has been checked.
                let key = call.request.field(FieldId::XCaKey)?;
                let keys = &app(forward.app, catalog)?.keys;
                keys.iter().map(|known| known.key.as_bytes()).find(|&known| known == key)?
            }
            System::ApiName => api.name.as_bytes(),
            System::Stage => catalog.stages.get(api.stage.index())?.as_bytes(),
            System::ClientUa => call.request.field(FieldId::UserAgent)?,
        };
        self.put(text);
        Some(())
    }

    fn put(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// A client of IPv6 has as many addresses as it likes: its network of 64 bits is what counts.
    fn network(&mut self, start: usize, location: &Location) -> Option<Range<usize>> {
        if !matches!(location, Location::System(System::ClientIp) | Location::ForwardedFor(_)) {
            return None;
        }
        let text = std::str::from_utf8(self.text.get(start..)?).ok()?;
        let IpAddr::V6(address) = text.parse::<IpAddr>().ok()?.to_canonical() else { return None };
        let end = self.text.len();
        let network = std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
        write!(self.text, "{network}/64").ok()?;
        Some(end..self.text.len())
    }
}

fn app(app: Option<AppId>, catalog: &Catalog) -> Option<&crate::catalog::App> {
    catalog.apps.get(app?)
}

/// An address of `X-Forwarded-For`, all of its lines together.
fn forwarded_for<'a>(call: &Call<'a>, index: i32) -> Option<&'a [u8]> {
    let buffer = call.request.buffer;
    let lines = || call.request.head.fields.iter().filter(|field| field.id == FieldId::XForwardedFor);
    let nth = index.unsigned_abs() as usize;
    let found = match index {
        0.. => lines().flat_map(|field| field.value.of(buffer).split(|&byte| byte == b',')).nth(nth),
        _ => lines().rev().flat_map(|field| field.value.of(buffer).rsplit(|&byte| byte == b',')).nth(nth - 1),
    };
    found.map(trim)
}
