"""Talking to models: one port, an OpenAI-compatible client, recorded answers, and what answers cost."""
