"""Names to components: tables, entry points, paths, and the arguments they take."""
