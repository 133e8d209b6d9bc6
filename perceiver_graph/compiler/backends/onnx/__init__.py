"""The ONNX backend: a file for each program of a model. `backend` is what starts with the compiler; all else
here may import onnx, which takes a second, and is imported when it writes."""
