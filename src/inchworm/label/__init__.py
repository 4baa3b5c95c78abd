"""The third step: what the messages are about, what fits nothing, and how well each topic does."""
