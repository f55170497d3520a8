//! Loading through libbpf, with what it says kept for when it fails.

use libbpf_rs::{Object, OpenObject, PrintLevel, set_print};
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<String> = Mutex::new(String::new());

/// Keeps what libbpf says from here on.
pub(crate) fn listen() {
    set_print(Some((PrintLevel::Info, |_, text| said().push_str(&text))));
}

/// Loads an object.
///
/// # Errors
/// What the kernel and libbpf say of it, the verifier's log among it.
pub(crate) fn load(open: OpenObject) -> Result<Object, String> {
    said().clear();
    open.load().map_err(|error| format!("the kernel refuses it: {error:?}\n{}", said()))
}

fn said() -> std::sync::MutexGuard<'static, String> {
    // A panic while it was held leaves text as good as any.
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}
