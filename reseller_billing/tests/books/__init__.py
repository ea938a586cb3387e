"""Tests of the room books."""
