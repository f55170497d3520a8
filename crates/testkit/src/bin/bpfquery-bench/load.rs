//! The load: `beat` of `testdata/workloads`, on a processor of its own.

use crate::events::Lab;
use crate::made::output;
use crate::tracer::first_on;

/// Its processor.
const LOAD: usize = 0;

/// What it says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    /// ns of a call.
    pub(crate) call_ns: f64,
}

/// Makes the load: call, rate and number.
///
/// # Errors
/// A load that fails.
pub(crate) fn beat(lab: &Lab, words: &[String]) -> Result<Beat, String> {
    let said = output(first_on(LOAD, &lab.workloads.join("beat")).args(words))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [calls, inside, _] => Ok(Beat { call_ns: inside / calls }),
        _ => Err(format!("the load says: {said}")),
    }
}
