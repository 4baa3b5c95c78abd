"""A Langfuse server as a source: what it has is read page by page, and taken in as what arrives is."""
