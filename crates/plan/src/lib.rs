//! Relational algebra, rules, the split between kernel and user space, functions, the scalar evaluator.
