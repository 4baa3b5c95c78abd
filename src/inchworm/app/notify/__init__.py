"""Telling people: written, signed, sent, and tried again."""
