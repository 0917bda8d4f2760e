"""Models by name: which exist, where they come from, and how they are fetched and verified."""
