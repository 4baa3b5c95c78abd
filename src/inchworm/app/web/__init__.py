"""The pages: rendered here, live by server-sent events, every one with a JSON twin."""
