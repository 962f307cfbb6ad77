"""Every way to run a network's members, timed beside the one that a sweep takes."""
