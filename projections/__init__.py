"""The log folded into read models and statistics, through sqlite-utils."""
