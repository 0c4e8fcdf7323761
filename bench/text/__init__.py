"""Words and columns that several commands print."""
