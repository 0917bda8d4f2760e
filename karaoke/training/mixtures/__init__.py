"""What a network hears in training: recordings made into songs, on the fly.

Throughout, ``rng`` is the source of randomness, ``audio`` is float32 ``(channels, samples)``,
``sample_rate`` is in Hz, and a ``length`` is in samples.
"""
