"""Training: recordings to mixtures (``data``, ``augment``), mixtures to weights (``loop``)."""
