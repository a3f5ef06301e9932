"""The command line: one file a group of commands. Only here is anything printed."""
