//! Addresses as they may be printed.

/// What of a URL may be shown: no user, no password, none of what stands behind a question mark.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    // An at sign may stand in a password that was not encoded: the last one ends it.
    let (place, _) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
    let hidden = rest.rfind('@').map(|at| &rest[at + 1..]);
    match hidden {
        Some(place) => format!("{scheme}://***@{}", place.split(['?', '#']).next().unwrap_or_default()),
        None => format!("{scheme}://{place}"),
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
            ("redis://me:sec?ret@host", "redis://***@host"),
            ("redis://me:sec#ret@host?prefix=a", "redis://***@host"),
            ("unix:///run/redis.sock?user=me&pass=secret", "unix:///run/redis.sock"),
            ("unix:///run/redis.sock?pass=sec@ret", "unix://***@ret"),
            ("secret", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }
}
