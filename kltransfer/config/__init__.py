"""What a run can be told, which combinations make sense, and the names that follow."""
