"""What the pages show, as plain values: the templates and the JSON twins say the same."""
