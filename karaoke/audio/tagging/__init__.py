"""Tags of every container that is written, read and written here.

ffmpeg carries the usual fields alone: it joins several artists to one, cuts text at a carriage
return, and knows neither the type of a picture nor lyrics, tempo and key in most containers.
"""
