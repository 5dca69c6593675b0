"""Processes of a run: those of Lightning on several devices, and a pool of workers in each."""
