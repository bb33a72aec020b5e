"""One run from start to end: its objects, its folder, its metrics."""
