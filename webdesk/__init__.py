"""The HTTP API and the pages for agents and coordinators."""
