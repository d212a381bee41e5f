"""Doors to foreign objects and files, one a file."""
