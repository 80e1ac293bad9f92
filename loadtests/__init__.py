"""Load tests: a black box that knows the HTTP API and the exported log, and none of our packages."""
