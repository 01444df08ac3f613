"""The phone's own script in real Rhino: alone, against a server of the tests, and against a real relay."""
