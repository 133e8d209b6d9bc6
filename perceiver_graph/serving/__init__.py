"""Programs for servers that others wrote: the folders and descriptions that these read."""
