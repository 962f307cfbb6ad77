"""One norm in each file: its Linen layer, and its entry in `normlab.norms.NORMS`."""
