"""Work on many songs: planned, done all or nothing, and written down."""
