"""The HTTP API: reads what was asked, calls one use case, says what came back. It decides nothing."""
