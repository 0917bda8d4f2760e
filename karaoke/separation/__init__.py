"""Networks, their checkpoints, and a separator that runs them on songs of any length."""
