"""The same in a browser: songs, a queue of the jobs of the command line, and a page to sing by."""
