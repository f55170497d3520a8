//! SQL text to a bound plan.
