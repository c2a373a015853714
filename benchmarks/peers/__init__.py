"""The programs that are timed against each other: one file each, all doing the same `Task`."""
