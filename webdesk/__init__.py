"""The HTTP API and the screens in a browser: the coordinators' board first."""
