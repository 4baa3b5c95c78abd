"""Scoring an answer: code checks, and what comes with every call. Pure."""
