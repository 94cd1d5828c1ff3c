//! Where to listen, as written on the command line: `:9091`, `host:port`, `[::1]:9091` (SPEC 11.1).
//!
//! Resolves no name: that is the caller's, who opens the socket.

use super::UsageError;

/// A listen address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an IP address without brackets; `None` for every address of the machine.
    pub host: Option<String>,
    /// The port; 0 lets the kernel choose.
    pub port: u16,
}

impl ListenAddress {
    /// Takes an address apart. Like the original, an empty address or port means a port the kernel chooses.
    ///
    /// # Errors
    /// Go's words for an address without port, with too many colons, with an unbalanced bracket or with a port that
    /// is no number below 65536. Names of services are not looked up.
    pub fn parse(address: &str) -> Result<Self, UsageError> {
        if address.is_empty() {
            return Ok(Self { host: None, port: 0 });
        }
        let wrong = |reason: &str| UsageError(format!("listen tcp: address {address}: {reason}"));
        let (host, port) = split(address).map_err(wrong)?;
        let port = parse_port(port).map_err(|reason| UsageError(format!("listen tcp: address {reason}")))?;
        Ok(Self { host: Some(host).filter(|host| !host.is_empty()).map(str::to_owned), port })
    }
}

fn split(address: &str) -> Result<(&str, &str), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("missing port in address")?;
    if let Some(bracketed) = address.strip_prefix('[') {
        let (inner, after) = bracketed.split_once(']').ok_or("missing ']' in address")?;
        return match after.strip_prefix(':') {
            Some(port) if port.contains(':') => Err("too many colons in address"),
            Some(_) if inner.contains('[') => Err("unexpected '[' in address"),
            Some(port) if port.contains(['[', ']']) => Err("unexpected ']' in address"),
            Some(port) => Ok((inner, port)),
            None => Err("missing port in address"),
        };
    }
    match host {
        _ if host.contains(':') => Err("too many colons in address"),
        _ if address.contains('[') => Err("unexpected '[' in address"),
        _ if address.contains(']') => Err("unexpected ']' in address"),
        _ => Ok((host, port)),
    }
}

fn parse_port(port: &str) -> Result<u16, String> {
    if port.is_empty() {
        return Ok(0);
    }
    let digits = port.strip_prefix(['+', '-']).unwrap_or(port);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("tcp/{port}: unknown port"));
    }
    port.parse().map_err(|_| format!("{port}: invalid port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_apart() {
        let check = |address: &str, host: Option<&str>, port: u16| {
            let expected = ListenAddress { host: host.map(str::to_owned), port };
            assert_eq!(ListenAddress::parse(address), Ok(expected), "{address}");
        };
        check(":9091", None, 9091);
        check("localhost:9091", Some("localhost"), 9091);
        check("127.0.0.1:80", Some("127.0.0.1"), 80);
        check("[::1]:9091", Some("::1"), 9091);
        check("[fe80::1%eth0]:1", Some("fe80::1%eth0"), 1);
        check("[]:1", None, 1);
        check("host:", Some("host"), 0);
        check(":", None, 0);
        check("", None, 0);
        check(":0", None, 0);
        check(":+9091", None, 9091);
        check(":09091", None, 9091);
        check(":65535", None, 65535);
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |address: &str, reason: &str| {
            let expected = format!("listen tcp: address {reason}");
            assert_eq!(ListenAddress::parse(address), Err(UsageError(expected)), "{address}");
        };
        check("foo", "foo: missing port in address");
        check("9091", "9091: missing port in address");
        check("[::1]", "[::1]: missing port in address");
        check("::1:9091", "::1:9091: too many colons in address");
        check("[::1]:1:2", "[::1]:1:2: too many colons in address");
        check("[::1:9091", "[::1:9091: missing ']' in address");
        check("a]:1", "a]:1: unexpected ']' in address");
        check("a[:1", "a[:1: unexpected '[' in address");
        check("[a[]:1", "[a[]:1: unexpected '[' in address");
        check("[a]:]", "[a]:]: unexpected ']' in address");
        check(":99999", "99999: invalid port");
        check(":-1", "-1: invalid port");
        check("a:b", "tcp/b: unknown port");
        check(":9091x", "tcp/9091x: unknown port");
        check(":+", "tcp/+: unknown port");
    }
}
