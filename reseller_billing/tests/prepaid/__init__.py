"""Tests of the room prepaid."""
