"""Measurements of rtrd beside other programs: a module for each part (`python -m bench`), and what they share."""
