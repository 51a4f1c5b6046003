"""What compare.py makes of its timings: rows, targets, tables, plots and files."""
