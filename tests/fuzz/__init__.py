"""A fuzzer of command lines: `make fuzz MINUTES=10`; `python -m tests.fuzz --help` has the rest.

Whatever stands in specs, artifacts, checkpoints, media and options, and whatever ends a command half
way, the program answers with a result or with a diagnostic, and destroys nothing.
"""
