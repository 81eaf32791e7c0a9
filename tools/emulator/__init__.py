"""An emulated GPU with stand-ins of TensorRT, for the tests."""
