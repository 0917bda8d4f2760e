"""Programs that make, weigh and carry what is needed to train."""
