"""Tests of the room commission."""
