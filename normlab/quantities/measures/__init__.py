"""One quantity in each file: its ``measure``; `QUANTITIES` names them."""
