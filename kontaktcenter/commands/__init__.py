"""What each verb of the command line does, as a coroutine on an open house; no printing here."""
