//! What libbpf says, kept for error messages.
//!
//! Kept by thread, because libbpf calls back on the thread that called it; so parallel sessions do not mix.
//! Not libbpf-rs's `set_print`: it panics on text that is not UTF-8, which a hostile object's names can be.

use libbpf_sys::{__va_list_tag, LIBBPF_DEBUG, libbpf_print_level, libbpf_set_print};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};

/// The longest message that is kept whole; of a longer one, as a verifier's log can be, the end.
const LONGEST: usize = 256 << 10;
/// The most messages that are kept.
const MOST: usize = 256;

thread_local! {
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static VERBOSE: Cell<bool> = const { Cell::new(false) };
}

unsafe extern "C" {
    /// The C library's; its `va_list` is passed as a pointer on x86-64.
    fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, list: *mut __va_list_tag) -> c_int;
}

/// Starts to listen. With `verbose`, everything that libbpf says goes to stderr, too.
pub(crate) fn listen(verbose: bool) {
    VERBOSE.set(verbose);
    HEARD.take();
    // SAFETY: `heard` has the type that libbpf wants and lives as long as the program.
    unsafe { libbpf_set_print(Some(heard)) };
}

/// What was said since, oldest first.
pub(crate) fn take() -> Vec<String> {
    HEARD.take()
}

unsafe extern "C" fn heard(level: libbpf_print_level, format: *const c_char, list: *mut __va_list_tag) -> c_int {
    let debug = level == LIBBPF_DEBUG;
    if debug && !VERBOSE.get() {
        return 0;
    }
    // SAFETY: libbpf calls with a format and the arguments that it needs.
    let text = unsafe { formatted(format, list) };
    if VERBOSE.get() {
        eprint!("{text}");
    }
    if !debug {
        HEARD.with_borrow_mut(|heard| {
            if heard.len() < MOST {
                heard.push(tail(text));
            }
        });
    }
    0
}

/// # Safety
/// `list` holds the arguments that `format` names.
unsafe fn formatted(format: *const c_char, list: *mut __va_list_tag) -> String {
    // SAFETY: the caller's list is valid. A list can be gone through once, so measuring takes a copy (on x86-64, copying the
    // structure is what va_copy does).
    let mut copy = unsafe { *list };
    // SAFETY: a size of 0 writes nothing.
    let length = unsafe { vsnprintf(std::ptr::null_mut(), 0, format, &raw mut copy) };
    let mut buffer = vec![0u8; usize::try_from(length).unwrap_or(0) + 1];
    // SAFETY: the buffer is as long as is said.
    unsafe { vsnprintf(buffer.as_mut_ptr().cast(), buffer.len(), format, list) };
    buffer.pop();
    String::from_utf8_lossy(&buffer).into_owned()
}

fn tail(text: String) -> String {
    match text.len().checked_sub(LONGEST) {
        None | Some(0) => text,
        Some(start) => text[text.ceil_char_boundary(start)..].to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, listen, tail, take};
    use libbpf_rs::ObjectBuilder;

    #[test]
    fn libbpf_is_heard() {
        listen(false);
        assert!(ObjectBuilder::default().open_memory(b"no object").is_err());
        let heard = take();
        assert!(heard.iter().any(|message| message.contains("is not a proper ELF object")), "{heard:?}");
        assert!(take().is_empty());
    }

    #[test]
    fn of_a_long_message_the_end_is_kept() {
        assert_eq!(tail("short".into()), "short");
        let long = format!("é{}end", "x".repeat(LONGEST));
        assert!(tail(long.clone()).ends_with("xend"));
        assert!(tail(long).len() <= LONGEST);
    }
}
