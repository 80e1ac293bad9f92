"""Load tests: a black box that knows the HTTP API and the exported log, and nothing of ours."""
