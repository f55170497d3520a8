//! Loading through libbpf, with what it says kept for when it fails.

use libbpf_rs::{Object, OpenObject, PrintLevel, set_print};
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<String> = Mutex::new(String::new());
static LOGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what libbpf says from here on. A verifier's log that was asked for comes as a message for debugging; others are many.
pub(crate) fn listen() {
    set_print(Some((PrintLevel::Debug, |level, text| match level {
        PrintLevel::Debug if text.contains("-- BEGIN PROG LOAD LOG --") => logs().push(text),
        PrintLevel::Debug => {}
        _ => said().push_str(&text),
    })));
}

/// Loads an object.
///
/// # Errors
/// What the kernel and libbpf say of it, the verifier's log among it.
pub(crate) fn load(open: OpenObject) -> Result<Object, String> {
    said().clear();
    logs().clear();
    open.load().map_err(|error| format!("the kernel refuses it: {error:?}\n{}", said()))
}

/// The verifier's logs of the programs that were loaded last, if they asked for one.
pub(crate) fn verifier_logs() -> Vec<String> {
    std::mem::take(&mut *logs())
}

fn logs() -> std::sync::MutexGuard<'static, Vec<String>> {
    LOGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn said() -> std::sync::MutexGuard<'static, String> {
    // A panic while it was held leaves text as good as any.
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}
