"""Where everything rests: ``control`` (SQLite, many processes) and ``traces`` (DuckDB, one process).

Other rooms never import this one; they say what they need in a ``ports.py`` and ``app`` hands it in.
"""
