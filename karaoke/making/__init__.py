"""The singer's version of a song: the band in their key and tempo, and a voice to follow."""
