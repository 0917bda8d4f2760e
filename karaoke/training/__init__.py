"""Training: recordings to mixtures (``mixtures``), mixtures to weights (``loop``)."""
