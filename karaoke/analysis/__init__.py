"""What is in a song: where somebody sings, its words, beats, chords, key and melody."""
