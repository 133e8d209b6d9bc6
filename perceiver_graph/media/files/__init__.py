"""Files by their formats, whatever kind of media they are read as."""
