"""What is heard in a song: where somebody sings, and when each word of its lyrics."""
