"""What emitted files need beside their own classes, each copied into a file that uses it.

Ordinary Python that imports torch and the standard library alone. Writing source reads the text of
these files and imports none of them.
"""
