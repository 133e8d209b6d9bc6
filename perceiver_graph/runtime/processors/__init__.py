"""Processors of files under the names they had here: they live in `perceiver_graph.media`.

Each module hands on the public names of its successor and adds nothing; the package imports none of it.
"""
