"""What complexity.py needs: networks, other counters, tables, plots and files."""
