"""The tests, one folder per package; they read like the protocol they hold."""
