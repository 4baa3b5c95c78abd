"""The stores over the wire: commands work while a server owns the files, and from another machine."""
