//! Addresses as they may be printed.

/// What of a URL may be shown: no user, no password, no options.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    let options = rest.find(['?', '#']);
    match (rest.rfind('@'), options) {
        // The sign may stand in a password that was not encoded, before or behind what looks like options.
        (Some(at), Some(options)) if options < at => format!("{scheme}://***"),
        (Some(at), end) => format!("{scheme}://***@{}", &rest[at + 1..end.unwrap_or(rest.len())]),
        (None, end) => format!("{scheme}://{}", &rest[..end.unwrap_or(rest.len())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("redis://localhost/2", "redis://localhost/2"),
            ("redis://me:secret@host:6379/0", "redis://***@host:6379/0"),
            ("redis://me:sec@ret@host", "redis://***@host"),
            ("redis://me:sec?ret@host", "redis://***"),
            ("redis://me:sec#ret@host?prefix=a", "redis://***"),
            ("unix:///run/redis.sock?user=me&pass=secret", "unix:///run/redis.sock"),
            ("unix:///run/redis.sock?pass=sec@ret", "unix://***"),
            ("redis://me:secret@host?prefix=a", "redis://***@host"),
            ("secret", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }
}
