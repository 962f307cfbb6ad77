"""Times two complete commands from start to end, alternating between them."""
