"""One member of a sweep, as pure functions: start, step, call, evaluate."""
