"""What a run says: summaries over seeds, with intervals."""
