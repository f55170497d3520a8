//! Shell patterns over names: `*` is any text, `?` any one character. Case counts.

/// Whether the whole of `name` fits `pattern`. Takes time proportional to the product of their lengths at worst.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match retry {
                // The last star takes one byte more.
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// The text before the first wildcard.
pub(crate) fn literal_prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check =
            |pattern: &str, name: &str, expect: bool| assert_eq!(glob(pattern, name), expect, "{pattern} {name}");
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("*", "anything", true);
        check("vfs_*", "vfs_read", true);
        check("vfs_*", "xfs_read", false);
        check("*read", "vfs_read", true);
        check("*re*d*", "vfs_read", true);
        check("*a*b", "aab", true);
        check("*a*b", "aabc", false);
        check("v?s", "vfs", true);
        check("v?s", "vs", false);
        check("**", "x", true);
        check("abc", "ab", false);
        check("ab", "abc", false);
    }

    #[test]
    fn a_pattern_of_stars_ends() {
        assert!(!glob(&"*a".repeat(200), &"b".repeat(20_000)));
    }

    #[test]
    fn prefixes() {
        assert_eq!(literal_prefix("kprobe.vfs_*"), "kprobe.vfs_");
        assert_eq!(literal_prefix("k?"), "k");
        assert_eq!(literal_prefix("kprobe"), "kprobe");
    }
}
