"""Networks with named taps, one file a family."""
