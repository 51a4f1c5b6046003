"""What every benchmark is made of: cases, timing, the machine and its limits."""
