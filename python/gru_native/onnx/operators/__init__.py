"""ONNX's operators on NumPy arrays and this project's layers."""
