"""Exchange of records with other people."""
