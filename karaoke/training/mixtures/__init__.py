"""What a network hears in training: recordings made into songs, on the fly."""
