"""Files: how those of others are read, and how our own are written to survive a kill."""
