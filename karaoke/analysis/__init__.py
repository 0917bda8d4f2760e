"""What is in a song: where somebody sings, its beats, chords, key and melody."""
