"""One member of a sweep, as pure functions: start, step, chunk of steps, evaluate."""
