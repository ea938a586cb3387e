"""Tests of the room portal."""
