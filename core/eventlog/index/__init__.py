"""The index of a shard: what was judged, in one SQLite file that can be made anew from the log."""
