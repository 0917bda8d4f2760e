"""Models by name: which there are, where they come from, and how they are fetched and trusted."""
