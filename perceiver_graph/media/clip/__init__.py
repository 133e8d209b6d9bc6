"""Video and sound, in and out; a file has one of each."""
