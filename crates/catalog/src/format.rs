//! The text of tracefs' `events/CATEGORY/EVENT/format`.
//!
//! Hostile text never panics: what does not look like a field is not a field. Not checked: that fields do not overlap.
//!
//! ```text
//!     field:const char * filename;    offset:24;      size:8; signed:0;
//!     field:__data_loc char[] name;   offset:8;       size:4; signed:0;
//!     field:char comm[16];    offset:8;       size:16;        signed:0;
//! ```
//! Written by `f_show` in kernel/trace/trace_events.c (Linux 6.1), which puts the array's brackets behind the name,
//! except for `__data_loc` and `__rel_loc`.

/// One field of an event's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatField {
    /// Its name.
    pub name: String,
    /// Its C type without name, array brackets and `__data_loc`: `const char *`, `unsigned long`, `char`.
    pub c_type: String,
    /// Bytes from the record's start.
    pub offset: u16,
    /// Bytes; 4 for what stands elsewhere.
    pub size: u16,
    /// As the format says it; syscall arguments always say 0.
    pub signed: bool,
    /// How it is laid out.
    pub layout: Layout,
}

/// Where a field's value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In the field.
    Plain,
    /// In the field, as an array of this many elements; 0 when the format does not say.
    Array(u32),
    /// `__data_loc`: the field holds `length << 16 | offset from the record's start`.
    DataLocation,
    /// `__rel_loc`: the same, from the field's end.
    RelativeLocation,
}

impl FormatField {
    /// Whether the value is an address.
    pub fn is_pointer(&self) -> bool {
        self.layout == Layout::Plain && self.c_type.trim_end().ends_with('*')
    }

    /// What the pointer points at, qualifiers removed: `char` of `const char *`. `None` when it is no pointer.
    pub fn pointee(&self) -> Option<String> {
        let inner = self.c_type.trim_end().strip_suffix('*')?;
        Some(unqualified(inner))
    }

    /// Whether it is text: a `char` array of any layout. (A `char *` is a pointer.)
    pub fn is_text(&self) -> bool {
        self.layout != Layout::Plain && unqualified(&self.c_type) == "char"
    }

    /// Whether every event has it: `common_type` and the like. BPF programs cannot read these
    /// (`tp_prog_is_valid_access`, kernel/trace/bpf_trace.c, Linux 6.1: nothing below offset 8).
    pub fn is_common(&self) -> bool {
        self.offset < 8
    }
}

/// A C type without `const`, `volatile`, `__user` and surplus blanks.
pub(crate) fn unqualified(c_type: &str) -> String {
    let keep = |word: &&str| !matches!(*word, "const" | "volatile" | "restrict" | "__user" | "__rcu");
    c_type.replace('*', " * ").split_whitespace().filter(keep).collect::<Vec<_>>().join(" ")
}

/// All fields of a format, the common ones too, in order.
pub fn parse_format(text: &str) -> Vec<FormatField> {
    text.lines().filter_map(|line| field(line.trim().strip_prefix("field:")?)).collect()
}

/// The event's number, by which perf knows it (`ID: 123`).
pub fn event_id(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("ID:")?.trim().parse().ok())
}

fn field(line: &str) -> Option<FormatField> {
    let mut parts = line.split(';');
    let declaration = parts.next()?;
    let (mut offset, mut size, mut signed) = (None, None, false);
    for part in parts {
        match part.trim().split_once(':') {
            Some(("offset", value)) => offset = value.trim().parse().ok(),
            Some(("size", value)) => size = value.trim().parse().ok(),
            Some(("signed", value)) => signed = value.trim() == "1",
            Some(_) | None => {}
        }
    }
    let (name, c_type, layout) = declare(declaration)?;
    Some(FormatField { name, c_type, offset: offset?, size: size?, signed, layout })
}

/// Takes `const char * filename`, `char comm[16]` or `__data_loc char[] name` apart.
fn declare(declaration: &str) -> Option<(String, String, Layout)> {
    let (body, array) = match declaration.trim().strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((body, len)) => (body, Some(len.trim().parse().unwrap_or(0))),
        None => (declaration.trim(), None),
    };
    let split = body.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))? + 1;
    let (c_type, name) = body.split_at_checked(split)?;
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let c_type = c_type.trim();
    let located =
        |layout, text: &str| (name.to_string(), text.trim().trim_end_matches("[]").trim().to_string(), layout);
    Some(match (c_type.strip_prefix("__data_loc "), c_type.strip_prefix("__rel_loc "), array) {
        (Some(inner), _, _) => located(Layout::DataLocation, inner),
        (_, Some(inner), _) => located(Layout::RelativeLocation, inner),
        (_, _, Some(len)) => located(Layout::Array(len), c_type),
        (_, _, None) => located(Layout::Plain, c_type),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_number() {
        assert_eq!(event_id("name: x\nID: 337\nformat:\n"), Some(337));
        assert_eq!(event_id("name: ID\nID: none\n"), None);
    }

    fn one(line: &str) -> Option<FormatField> {
        parse_format(&format!("name: x\nID: 1\nformat:\n\t{line}\n\nprint fmt: \"field:%d\", 1\n")).pop()
    }

    #[test]
    fn fields() {
        let check = |line: &str, name: &str, c_type: &str, place: (u16, u16, bool), layout: Layout| {
            let field = one(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((field.name.as_str(), field.c_type.as_str()), (name, c_type), "{line}");
            assert_eq!((field.offset, field.size, field.signed), place, "{line}");
            assert_eq!(field.layout, layout, "{line}");
        };
        let plain = Layout::Plain;
        check("field:int dfd;\toffset:16;\tsize:8;\tsigned:0;", "dfd", "int", (16, 8, false), plain);
        check("field:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;", "pid", "pid_t", (12, 4, true), plain);
        check(
            "field:const char * filename;\toffset:24;\tsize:8;\tsigned:0;",
            "filename",
            "const char *",
            (24, 8, false),
            plain,
        );
        check(
            "field:char comm[16];\toffset:8;\tsize:16;\tsigned:0;",
            "comm",
            "char",
            (8, 16, false),
            Layout::Array(16),
        );
        check(
            "field:__data_loc char[] f;\toffset:8;\tsize:4;\tsigned:0;",
            "f",
            "char",
            (8, 4, false),
            Layout::DataLocation,
        );
        check(
            "field:__rel_loc u64[] f;\toffset:8;\tsize:4;\tsigned:0;",
            "f",
            "u64",
            (8, 4, false),
            Layout::RelativeLocation,
        );
        check(
            "field:unsigned long args[];\toffset:24;\tsize:0;\tsigned:0;",
            "args",
            "unsigned long",
            (24, 0, false),
            Layout::Array(0),
        );
        check(
            "field:char a[TASK_COMM_LEN];\toffset:8;\tsize:16;\tsigned:0;",
            "a",
            "char",
            (8, 16, false),
            Layout::Array(0),
        );
        check("field:struct file *f;\toffset:8;\tsize:8;\tsigned:0;", "f", "struct file *", (8, 8, false), plain);
    }

    #[test]
    fn what_is_no_field_is_none() {
        let check = |line: &str| assert_eq!(one(line), None, "{line}");
        check("field:;");
        check("field:int;offset:0;size:4;signed:0;");
        check("field:int x;offset:-1;size:4;signed:0;");
        check("field:int x;offset:99999;size:4;signed:0;");
        check("field:int x;offset:0;");
        check("field:é;offset:0;size:4;");
        check("field:]]][;offset:0;size:4;");
        check("field:int é x ü;offset:0;size:4;");
        check("field");
    }

    #[test]
    fn kinds() {
        let pointer = one("field:const char *const * argv;offset:24;size:8;signed:0;").expect("a field");
        assert!(pointer.is_pointer() && !pointer.is_text());
        assert_eq!(pointer.pointee().as_deref(), Some("char *"));
        let text = one("field:char comm[16];offset:8;size:16;signed:0;").expect("a field");
        assert!(text.is_text() && !text.is_pointer() && text.pointee().is_none());
        let common = one("field:int common_pid;offset:4;size:4;signed:1;").expect("a field");
        assert!(common.is_common());
        assert_eq!(unqualified("const struct  foo __user*const"), "struct foo *");
    }
}
