"""The nouns every room speaks: values, their canonical form, ids, errors and assignment.

Standard library (and xxhash) only, no I/O, no clock and no randomness.
"""
