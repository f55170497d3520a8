//! Patterns of LIKE, and which texts match them (PostgreSQL 16, 9.7.1 "LIKE").
//!
//! What must hold: a pattern is an automaton whose state `i` means "the first `i` steps have matched", so that the evaluator and
//! a program in the kernel do the same, byte by byte. `_` is one character: a byte, and the bytes behind it that go on with it in
//! UTF-8. Not checked: that text is UTF-8; a byte that goes on with nothing belongs to the character before it.

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    steps: Vec<Step>,
    /// Whether anything may follow the last step.
    open: bool,
    /// ILIKE: the letters of ASCII match in both cases, as in PostgreSQL under the collation `C`.
    fold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Whether anything may stand before it.
    gap: bool,
    one: One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum One {
    Byte(u8),
    /// Any character.
    Char,
}

impl Pattern {
    /// The pattern in this text; `None` where it ends in the escape character, which PostgreSQL refuses.
    pub fn parse(text: &[u8], escape: Option<char>, fold: bool) -> Option<Pattern> {
        let mut buffer = [0; 4];
        let escape = escape.map_or(&[][..], |c| c.encode_utf8(&mut buffer).as_bytes());
        let (mut steps, mut gap, mut rest) = (Vec::new(), false, text);
        while let Some((&byte, behind)) = rest.split_first() {
            let escaped = (!escape.is_empty()).then(|| rest.strip_prefix(escape)).flatten();
            rest = match escaped {
                Some(escaped) => {
                    let (&byte, behind) = escaped.split_first()?;
                    steps.push(Step { gap, one: One::Byte(byte) });
                    gap = false;
                    behind
                }
                None => {
                    if byte != b'%' {
                        steps.push(Step { gap, one: if byte == b'_' { One::Char } else { One::Byte(byte) } });
                    }
                    gap = byte == b'%';
                    behind
                }
            };
        }
        Some(Pattern { steps, open: gap, fold })
    }

    /// How many steps there are: states are numbered from 0 to this.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Whether anything may follow what the last step has matched.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the case of letters is of no matter.
    pub fn folds(&self) -> bool {
        self.fold
    }

    /// Whether it has a letter, whose case may be of matter.
    pub fn has_letters(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.one, One::Byte(byte) if byte.is_ascii_alphabetic()))
    }

    /// Whether a program in the kernel follows it: behind its start it has at most as many states as a register has bits.
    pub fn runs_in_kernel(&self) -> bool {
        self.behind_start().1.steps.len() < 64
    }

    /// The bytes that a matching text starts with, where that is all that the pattern says (whether more may follow, says
    /// [`Pattern::is_open`]); of a pattern that folds, in lower case.
    pub fn start(&self) -> Option<Vec<u8>> {
        let (start, rest) = self.behind_start();
        rest.steps.is_empty().then_some(start)
    }

    /// The bytes that a matching text starts with (of a pattern that folds, in lower case), and the pattern of what follows.
    pub fn behind_start(&self) -> (Vec<u8>, Pattern) {
        let byte = |step: &Step| match step {
            Step { gap: false, one: One::Byte(byte) } if self.fold => Some(byte.to_ascii_lowercase()),
            Step { gap: false, one: One::Byte(byte) } => Some(*byte),
            Step { .. } => None,
        };
        let start: Vec<u8> = self.steps.iter().map_while(byte).collect();
        let steps = self.steps[start.len()..].to_vec();
        (start, Pattern { steps, ..*self })
    }

    /// Whether this byte leads from state `at` to the next one.
    pub fn advances(&self, at: usize, byte: u8) -> bool {
        self.steps.get(at).is_some_and(|step| match step.one {
            One::Byte(wanted) if self.fold => wanted.eq_ignore_ascii_case(&byte),
            One::Byte(wanted) => wanted == byte,
            One::Char => !goes_on(byte),
        })
    }

    /// Whether this byte may be passed over in state `at`.
    pub fn stays(&self, at: usize, byte: u8) -> bool {
        let gap = self.steps.get(at).map_or(self.open && at == self.steps.len(), |step| step.gap);
        gap || (self.is_char_before(at) && goes_on(byte))
    }

    /// Whether the step before state `at` is any character, of which bytes may still follow.
    pub fn is_char_before(&self, at: usize) -> bool {
        at.checked_sub(1).and_then(|at| self.steps.get(at)).is_some_and(|step| step.one == One::Char)
    }

    /// Whether a text matches. With `cut`, something was lost behind `text`; `None` where that would decide.
    pub fn matches(&self, text: &[u8], cut: bool) -> Option<bool> {
        let last = self.steps.len();
        let mut live = vec![false; last + 1];
        live[0] = true;
        for &byte in text {
            for at in (0..=last).rev() {
                let entered = at > 0 && live[at - 1] && self.advances(at - 1, byte);
                live[at] = entered || (live[at] && self.stays(at, byte));
            }
        }
        let undecided = live[..last].contains(&true) || (live[last] && self.is_char_before(last));
        match live[last] {
            accepted if !cut => Some(accepted),
            true if self.open => Some(true),
            _ => (!undecided).then_some(false),
        }
    }
}

/// Whether the byte goes on with a character: `10xxxxxx` in UTF-8.
fn goes_on(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The text as a pattern that only it matches, its wildcards escaped by `\`.
pub fn escaped(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for &byte in text {
        if matches!(byte, b'%' | b'_' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::{Pattern, escaped};

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text.as_bytes(), Some('\\'), false).expect("it ends in no backslash")
    }

    fn check(text: &str, like: &str, expect: bool) {
        assert_eq!(pattern(like).matches(text.as_bytes(), false), Some(expect), "{text:?} LIKE {like:?}");
    }

    #[test]
    fn the_examples_of_postgresql() {
        check("abc", "abc", true);
        check("abc", "a%", true);
        check("abc", "_b_", true);
        check("abc", "c", false);
        check("", "", true);
        check("", "%", true);
        check("", "_", false);
        check("a", "", false);
    }

    #[test]
    fn wildcards_find_their_place() {
        check("aaab", "%ab", true);
        check("abab", "%ab", true);
        check("abac", "%ab", false);
        check("mississippi", "m%iss%ip%", true);
        check("mississippi", "m%iss%ipp", false);
        check("mississippi", "%s_s%", true);
        check("ab", "a%%b", true);
        check("ab", "%_%_%", true);
        check("a", "%_%_%", false);
    }

    #[test]
    fn a_character_is_one_however_long() {
        check("äbc", "_bc", true);
        check("äbc", "__bc", false);
        check("日本", "__", true);
        check("日本", "_", false);
        check("日本", "_本", true);
        check("x日", "%_", true);
        check("日", "%__", false);
    }

    #[test]
    fn what_is_escaped_is_meant() {
        check("100%", "100\\%", true);
        check("1000", "100\\%", false);
        check("a_b", "a\\_b", true);
        check("axb", "a\\_b", false);
        check("a\\b", "a\\\\b", true);
        check("ab", "\\a\\b", true);
        assert_eq!(Pattern::parse(b"ab\\", Some('\\'), false), None);
        let with = |escape| Pattern::parse(b"a\\%", escape, false).expect("it ends in no escape");
        assert_eq!(with(None).matches(b"a\\bc", false), Some(true));
        assert_eq!(with(Some('#')).matches(b"a\\", false), Some(true));
        for text in ["", "a%b", "__", "\\%", "ä%"] {
            assert_eq!(pattern(&String::from_utf8_lossy(&escaped(text.as_bytes()))).start(), Some(text.into()));
        }
    }

    #[test]
    fn letters_fold_in_ascii_only() {
        let fold = |text: &str, like: &str| {
            Pattern::parse(like.as_bytes(), Some('\\'), true).and_then(|p| p.matches(text.as_bytes(), false))
        };
        assert_eq!(fold("KWorker/0:1", "kwORKer%"), Some(true));
        assert_eq!(fold("a[b", "A{B"), Some(false));
        assert_eq!(fold("Ä", "ä"), Some(false));
    }

    #[test]
    fn the_lost_end_decides_only_where_it_must() {
        let cut = |text: &str, like: &str| pattern(like).matches(text.as_bytes(), true);
        assert_eq!(cut("abcdefg", "abc%"), Some(true));
        assert_eq!(cut("abcdefg", "abd%"), Some(false));
        assert_eq!(cut("abcdefg", "abcdefgh%"), None);
        assert_eq!(cut("abcdefg", "%cd%"), Some(true));
        assert_eq!(cut("abcdefg", "%xy%"), None);
        assert_eq!(cut("abcdefg", "%fg"), None);
        assert_eq!(cut("abcdefg", "abcdefg"), Some(false));
        assert_eq!(cut("abcdefg", "abcdefgh"), None);
        assert_eq!(cut("abcdefg", "abcdef_"), None);
        assert_eq!(cut("abcdefg", "______"), Some(false));
        assert_eq!(cut("abcdefg", "%"), Some(true));
    }

    /// LIKE by its definition, trying every place.
    fn plainly(text: &[char], like: &[char]) -> bool {
        match like.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|skip| plainly(&text[skip..], rest)),
            Some(('_', rest)) => !text.is_empty() && plainly(&text[1..], rest),
            Some((c, rest)) => text.first() == Some(c) && plainly(&text[1..], rest),
        }
    }

    #[test]
    fn all_short_texts_and_patterns() {
        let words = |letters: &[char], most: usize| {
            let mut all: Vec<Vec<char>> = vec![Vec::new()];
            let mut from = 0;
            for _ in 0..most {
                let upto = all.len();
                for at in from..upto {
                    all.extend(letters.iter().map(|c| [&all[at][..], &[*c]].concat()).collect::<Vec<_>>());
                }
                from = upto;
            }
            all
        };
        for like in words(&['a', 'ä', '_', '%'], 4) {
            let parsed = pattern(&like.iter().collect::<String>());
            for text in words(&['a', 'ä', 'b'], 4) {
                let bytes: String = text.iter().collect();
                let expect = Some(plainly(&text, &like));
                assert_eq!(parsed.matches(bytes.as_bytes(), false), expect, "{bytes:?} LIKE {like:?}");
            }
        }
    }
}
