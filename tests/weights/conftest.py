"""What only PyTorch can import is not collected."""

collect_ignore = ["files/write_files.py"]
