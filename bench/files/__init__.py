"""Files: documents, archives, links, locks, downloads, and the one atomic write."""
