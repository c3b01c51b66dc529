"""Plotting, checking, loading and running: what the notebooks share."""
