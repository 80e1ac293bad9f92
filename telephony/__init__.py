"""Telephone exchanges turned into facts: Asterisk now, others beside it."""
