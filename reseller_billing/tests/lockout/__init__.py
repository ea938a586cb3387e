"""Tests of the room lockout."""
