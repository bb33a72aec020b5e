"""The options of a run, which combinations make sense, and the names of runs."""
