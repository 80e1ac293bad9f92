"""The island: what a node keeps for itself while its log cannot be reached, and how it returns."""
