//! Who the client is, where proxies stand before the gateway.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::http::field::{FieldId, trim};
use crate::http::head::RequestView;

/// The address of the client: the peer, unless that is a trusted proxy. Then it is what the proxy says of its own peer,
/// which is the last address of `X-Forwarded-For`, and so on to the left as long as proxies are trusted. What a client
/// wrote there itself stands further left, and is never reached.
pub fn client_address(request: &RequestView<'_>, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let lines = request.head.fields.iter().filter(|field| field.id == FieldId::XForwardedFor).rev();
    let mut chain = lines.flat_map(|field| field.value.of(request.buffer).rsplit(|&byte| byte == b','));
    let mut address = peer;
    while is_trusted(trusted, address) {
        let said = chain.next().and_then(|text| std::str::from_utf8(trim(text)).ok()?.parse::<IpAddr>().ok());
        match said {
            Some(before) => address = before.to_canonical(),
            None => break,
        }
    }
    address
}

/// Whether what an address says of others is believed.
pub fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{HeadLimits, RequestHead, parse_request};

    fn client(lines: &[&str], peer: &str) -> String {
        let mut text = String::from("GET / HTTP/1.1\r\nHost: a\r\n");
        lines.iter().for_each(|line| text += &format!("X-Forwarded-For: {line}\r\n"));
        text += "\r\n";
        let mut head = RequestHead::default();
        let limits = HeadLimits { start_line_bytes: 1000, head_bytes: 4000, fields: 20 };
        parse_request(text.as_bytes(), 0, &limits, &mut head).unwrap();
        let request = RequestView { buffer: text.as_bytes(), head: &head };
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        client_address(&request, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(client(&["203.0.113.7"], "198.51.100.1"), "198.51.100.1");
        assert_eq!(client(&[], "10.1.2.3"), "10.1.2.3");
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_its_peer_and_no_further() {
        assert_eq!(client(&["1.1.1.1, 203.0.113.7"], "10.0.0.1"), "203.0.113.7");
        assert_eq!(client(&["1.1.1.1", "203.0.113.7, 10.9.9.9,2001:db8::1"], "10.0.0.1"), "203.0.113.7");
        assert_eq!(client(&["::ffff:203.0.113.7"], "2001:db8::2"), "203.0.113.7");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(client(&["203.0.113.7, unknown"], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["203.0.113.7, , 10.2.2.2"], "10.0.0.1"), "10.2.2.2");
    }
}
