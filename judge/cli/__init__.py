"""The command line: one file a command group; each parses, calls, prints."""
