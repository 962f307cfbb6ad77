"""Two complete commands, timed from their start to their end, in turns."""
