"""The PyTorch backend: one readable file that needs only torch, and the same as a module in memory.

Writing source takes no torch; only `loading` imports it, when it makes a module.
"""
