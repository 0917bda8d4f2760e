"""Read and write the tags of every container that karaoke writes.

ffmpeg only carries the usual fields: it merges several artists into one, cuts text at a carriage
return, and in most containers knows neither picture types nor lyrics, tempo and key.
"""
