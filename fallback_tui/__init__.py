"""The reserve terminal: an island that starts with the standard library when all else is broken."""
