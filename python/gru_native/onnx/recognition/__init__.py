"""Which chain of layers a graph is."""
