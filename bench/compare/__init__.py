"""Two runs or two folders of results, paired."""
